#include "gradscape/nn/group_norm.hpp"

#include <fmt/format.h>

#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/kernel/row_sums.hpp"

namespace gradscape {

template <class S>
GroupNorm<S>::GroupNorm(Layout& parameters, const std::string& name, FeatureShape in, const GroupNormOptions& options)
    : Layer<S>(in, in), options_(options), affine_(parameters, name, in.channels, options.affine) {
  check(options.groups >= 1 && in.channels % options.groups == 0, "groups divide the channels");
}

template <class S>
std::string GroupNorm<S>::describe() const {
  if (options_.groups == 1) return fmt::format("layer norm {}", this->in().channels);
  return fmt::format("group norm {} in {}", this->in().channels, options_.groups);
}

template <class S>
void GroupNorm<S>::initialise(S* theta, Init, std::uint64_t) const {
  affine_.initialise(theta);
}

template <class S>
void GroupNorm<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  // x, y [N·H·W, C]; means, inv_stds [N, groups]
  const Index samples = this->samples(x);
  const Index pixels = this->in().pixels();
  const Index width = x.cols() / options_.groups;
  double* means = mean_.at_least(samples * options_.groups);
  double* inv_stds = inv_std_.at_least(samples * options_.groups);
  parallel::for_each(samples * options_.groups, [&](Index number) {
    const Index sample = number / options_.groups;
    const Index channel = number % options_.groups * width;
    const auto block = x.block(sample * pixels, channel, pixels, width);
    const auto count = static_cast<double>(pixels * width);
    double sum = 0, squares = 0;
    for (Index row = 0; row < pixels; ++row)
      for (Index c = 0; c < width; ++c) sum += static_cast<double>(block(row, c));
    const double mean = sum / count;
    for (Index row = 0; row < pixels; ++row)
      for (Index c = 0; c < width; ++c) {
        const double centred = static_cast<double>(block(row, c)) - mean;
        squares += centred * centred;
      }
    means[number] = mean;
    inv_stds[number] = 1.0 / std::sqrt(squares / count + options_.eps);
    for (Index c = 0; c < width; ++c) {
      const auto scale = static_cast<S>(affine_.gamma(inputs.theta, channel + c) * inv_stds[number]);
      const auto shift = static_cast<S>(affine_.beta(inputs.theta, channel + c));
      for (Index row = 0; row < pixels; ++row)
        y(sample * pixels + row, channel + c) = (block(row, c) - static_cast<S>(mean)) * scale + shift;
    }
  });
}

template <class S>
void GroupNorm<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  // x, dy, dx [N·H·W, C]; means, inv_stds [N, groups]; Σ dy·x̂ and Σ dy [2, C]
  const Index channels = x.cols();
  const Index samples = this->samples(x);
  const Index pixels = this->in().pixels();
  const Index groups = options_.groups;
  const Index width = channels / groups;
  const double* means = mean_.data();
  const double* inv_stds = inv_std_.data();
  if (affine_.learned()) {
    // Σ dy·x̂ and Σ dy.
    sum_over_rows(x.rows(), 2 * channels, sums_, [&](Index first, Index last, double* slot) {
      for (Index row = first; row < last; ++row)
        for (Index c = 0; c < channels; ++c) {
          const Index number = row / pixels * groups + c / width;
          const auto delta = static_cast<double>(dy(row, c));
          slot[c] += delta * (static_cast<double>(x(row, c)) - means[number]) * inv_stds[number];
          slot[channels + c] += delta;
        }
    });
    for (Index c = 0; c < channels; ++c) {
      grad[affine_.weight + c] = static_cast<S>(sums_[static_cast<std::size_t>(c)]);
      grad[affine_.bias + c] = static_cast<S>(sums_[static_cast<std::size_t>(channels + c)]);
    }
  }
  if (dx.data() == nullptr) return;
  // With g = γ·dy: dx = (g − mean g − x̂·mean(g·x̂))/std, means over the group.
  parallel::for_each(samples * groups, [&](Index number) {
    const Index top = number / groups * pixels;
    const Index left = number % groups * width;
    const double mean = means[number], inv_std = inv_stds[number];
    double sum = 0, along = 0;
    for (Index row = top; row < top + pixels; ++row)
      for (Index c = left; c < left + width; ++c) {
        const double g = affine_.gamma(inputs.theta, c) * static_cast<double>(dy(row, c));
        sum += g;
        along += g * (static_cast<double>(x(row, c)) - mean) * inv_std;
      }
    const auto count = static_cast<double>(pixels * width);
    for (Index row = top; row < top + pixels; ++row)
      for (Index c = left; c < left + width; ++c) {
        const double g = affine_.gamma(inputs.theta, c) * static_cast<double>(dy(row, c));
        const double normal = (static_cast<double>(x(row, c)) - mean) * inv_std;
        dx(row, c) = static_cast<S>(inv_std * (g - sum / count - normal * along / count));
      }
  });
}

template class GroupNorm<float>;
template class GroupNorm<double>;

}  // namespace gradscape
