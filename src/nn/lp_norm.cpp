#include "gradscape/nn/lp_norm.hpp"

#include <fmt/format.h>

#include <cmath>

#include "gradscape/kernel/row_sums.hpp"

namespace gradscape {

template <class S>
LpNorm<S>::LpNorm(Layout& parameters, Layout& buffers, const std::string& name, FeatureShape in, LpKind kind,
                  const BatchNormOptions& options)
    : Layer<S>(in, in),
      kind_(kind),
      options_(options),
      affine_(parameters, name, in.channels, options.affine),
      running_(buffers, name, kRunningScale, in.channels, options.track),
      mean_(static_cast<std::size_t>(in.channels)),
      size_(mean_.size()),
      first_maximum_(mean_.size()),
      gamma_(in.channels),
      beta_(in.channels) {}

template <class S>
std::string LpNorm<S>::describe() const {
  const char* name = kind_ == LpKind::l1 ? "l1" : kind_ == LpKind::l2 ? "l2" : "linf";
  return fmt::format("{} norm {}", name, this->in().channels);
}

template <class S>
void LpNorm<S>::initialise(S* theta, Init, std::uint64_t) const {
  affine_.initialise(theta);
}

template <class S>
void LpNorm<S>::initialise_buffers(S* buffers) const {
  running_.initialise(buffers);
}

/// s of p = ∞ and the first row that has it; a NaN is larger than any number. Chunks are compared in order.
template <class S>
void LpNorm<S>::find_maxima(ConstRows<S> x) {
  // x [N·H·W, C]; maxima_, maximum_rows_ [chunks of rows, C]; size_, first_maximum_ [C]
  const auto channels = static_cast<std::size_t>(x.cols());
  const Index chunks = parallel::chunk_count(x.rows(), kSumRows);
  maxima_.assign(static_cast<std::size_t>(chunks) * channels, -1.0);
  maximum_rows_.assign(maxima_.size(), 0);
  const auto take = [](double value, Index row, double& best, Index& best_row) {
    if (value <= best || std::isnan(best)) return;
    best = value;
    best_row = row;
  };
  parallel::for_chunks(x.rows(), kSumRows, [&](Index first, Index last, Index number) {
    const std::size_t slot = static_cast<std::size_t>(number) * channels;
    for (Index row = first; row < last; ++row)
      for (std::size_t c = 0; c < channels; ++c)
        take(std::abs(static_cast<double>(x(row, static_cast<Index>(c)))), row, maxima_[slot + c],
             maximum_rows_[slot + c]);
  });
  size_.assign(channels, -1.0);
  for (std::size_t i = 0; i < maxima_.size(); ++i)
    take(maxima_[i], maximum_rows_[i], size_[i % channels], first_maximum_[i % channels]);
}

template <class S>
void LpNorm<S>::take_batch(const LayerInputs<S>& inputs, ConstRows<S> x) {
  // x [N·H·W, C]; Σ x and Σ x² or Σ |x| [2, C]; mean, s [C]
  const Index channels = x.cols();
  const auto rows = static_cast<double>(x.rows());
  const bool squares = kind_ == LpKind::l2;
  sum_over_rows(x.rows(), 2 * channels, sums_, [&](Index first, Index last, double* slot) {
    for (Index row = first; row < last; ++row)
      for (Index c = 0; c < channels; ++c) {
        const auto value = static_cast<double>(x(row, c));
        slot[c] += value;
        slot[channels + c] += squares ? value * value : std::abs(value);
      }
  });
  if (kind_ == LpKind::linf) find_maxima(x);
  for (std::size_t c = 0; c < mean_.size(); ++c) {
    mean_[c] = sums_[c] / rows;
    const double average = sums_[mean_.size() + c] / rows;
    if (kind_ != LpKind::linf) size_[c] = squares ? std::sqrt(average) : average;
  }
  if (!options_.track || inputs.new_buffers == nullptr) return;
  const double momentum = inputs.pass.share_of_batch(options_.momentum);
  const auto blend = [&](Index offset, double value) {
    const auto old = static_cast<double>(inputs.buffers[offset]);
    inputs.new_buffers[offset] = static_cast<S>((1.0 - momentum) * old + momentum * value);
  };
  for (Index c = 0; c < channels; ++c) {
    blend(running_.mean + c, mean_[static_cast<std::size_t>(c)]);
    blend(running_.spread + c, size_[static_cast<std::size_t>(c)]);
  }
  inputs.new_buffers[running_.batches] = inputs.buffers[running_.batches] + S{1};
}

template <class S>
void LpNorm<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  // x, y [N·H·W, C]; mean, s, γ, β [C]
  const Index channels = x.cols();
  if (uses_batch(inputs.pass)) {
    take_batch(inputs, x);
  } else {
    for (Index c = 0; c < channels; ++c) {
      mean_[static_cast<std::size_t>(c)] = static_cast<double>(inputs.buffers[running_.mean + c]);
      size_[static_cast<std::size_t>(c)] = static_cast<double>(inputs.buffers[running_.spread + c]);
    }
  }
  for (Index c = 0; c < channels; ++c) {
    gamma_[c] = static_cast<S>(affine_.gamma(inputs.theta, c) / (size_[static_cast<std::size_t>(c)] + options_.eps));
    beta_[c] = static_cast<S>(affine_.beta(inputs.theta, c));
  }
  parallel::for_chunks(x.rows(), kSumRows, [&](Index first, Index last, Index) {
    for (Index row = first; row < last; ++row)
      for (Index c = 0; c < channels; ++c)
        y(row, c) = (x(row, c) - static_cast<S>(mean_[static_cast<std::size_t>(c)])) * gamma_[c] + beta_[c];
  });
}

template <class S>
void LpNorm<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  // x, dy, dx [N·H·W, C]; Σ dy and Σ dy·(x − mean) [2, C]
  const Index channels = x.cols();
  // Σ dy and Σ dy·(x − mean).
  sum_over_rows(x.rows(), 2 * channels, sums_, [&](Index first, Index last, double* slot) {
    for (Index row = first; row < last; ++row)
      for (Index c = 0; c < channels; ++c) {
        const auto delta = static_cast<double>(dy(row, c));
        slot[c] += delta;
        slot[channels + c] += delta * (static_cast<double>(x(row, c)) - mean_[static_cast<std::size_t>(c)]);
      }
  });
  if (affine_.learned())
    for (Index c = 0; c < channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      grad[affine_.weight + c] =
          static_cast<S>(sums_[static_cast<std::size_t>(channels) + i] / (size_[i] + options_.eps));
      grad[affine_.bias + c] = static_cast<S>(sums_[i]);
    }
  if (dx.data() == nullptr) return;
  if (uses_batch(inputs.pass)) {
    spread(x, as_const(dy), dx, static_cast<double>(x.rows()));
    return;
  }
  parallel::for_chunks(x.rows(), kSumRows, [&](Index first, Index last, Index) {
    for (Index row = first; row < last; ++row)
      for (Index c = 0; c < channels; ++c) dx(row, c) = gamma_[c] * dy(row, c);
  });
}

/// dx = γ/(s + eps)·(dy − mean dy) + ∂L/∂s·∂s/∂x with ∂L/∂s = −γ/(s + eps)²·Σ dy·(x − mean), and ∂s/∂x = sign(x)/M,
/// x/(M·s) or, in one row, sign(x). At s = 0, where there is none, 0.
template <class S>
void LpNorm<S>::spread(ConstRows<S> x, ConstRows<S> dy, Rows<S> dx, double rows) const {
  // x, dy, dx [N·H·W, C]; centre, slope [C]
  const auto channels = static_cast<std::size_t>(x.cols());
  Vector<S> centre(x.cols()), slope(x.cols());
  for (std::size_t c = 0; c < channels; ++c) {
    const auto i = static_cast<Index>(c);
    centre[i] = static_cast<S>(sums_[c] / rows);
    const double by_size = -static_cast<double>(gamma_[i]) * sums_[channels + c] / (size_[c] + options_.eps);
    const double share = kind_ == LpKind::linf ? 1.0 : kind_ == LpKind::l1 ? 1.0 / rows : 1.0 / (rows * size_[c]);
    slope[i] = size_[c] == 0 ? S{0} : static_cast<S>(by_size * share);
  }
  const auto sign = [](S value) { return static_cast<S>((value > S{0}) - (value < S{0})); };
  parallel::for_chunks(x.rows(), kSumRows, [&](Index first, Index last, Index) {
    for (Index row = first; row < last; ++row)
      for (Index c = 0; c < x.cols(); ++c) {
        const S value = x(row, c);
        S through_size{0};
        if (kind_ == LpKind::l1) through_size = slope[c] * sign(value);
        if (kind_ == LpKind::l2) through_size = slope[c] * value;
        if (kind_ == LpKind::linf && first_maximum_[static_cast<std::size_t>(c)] == row)
          through_size = slope[c] * sign(value);
        dx(row, c) = gamma_[c] * (dy(row, c) - centre[c]) + through_size;
      }
  });
}

template class LpNorm<float>;
template class LpNorm<double>;

}  // namespace gradscape
