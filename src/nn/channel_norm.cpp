#include "gradscape/nn/channel_norm.hpp"

#include <algorithm>
#include <cmath>

#include "gradscape/core/error.hpp"

namespace gradscape {

template <class S>
ChannelNorm<S>::ChannelNorm(Layout& parameters, Layout& buffers, const std::string& name, Index channels,
                            const BatchNormOptions& options)
    : name_(name),
      channels_(channels),
      options_(options),
      affine_(parameters, name, channels, options.affine),
      running_(buffers, name, kRunningVariance, channels, options.track),
      exact_mean_(static_cast<std::size_t>(channels)),
      inv_std_(static_cast<std::size_t>(channels)),
      sign_(Vector<S>::Ones(channels)),
      mean_(channels),
      scale_(channels),
      shift_(channels),
      centre_(channels),
      slope_(channels) {}

template <class S>
void ChannelNorm<S>::initialise(S* theta) const {
  affine_.initialise(theta);
}

template <class S>
void ChannelNorm<S>::initialise_buffers(S* buffers) const {
  running_.initialise(buffers);
}

template <class S>
void ChannelNorm<S>::prepare(const LayerInputs<S>& inputs) {
  if (!options_.affine) return;
  for (Index c = 0; c < channels_; ++c) {
    const S gamma = inputs.theta[affine_.weight + c];
    sign_[c] = static_cast<S>((gamma > S{0}) - (gamma < S{0}));
  }
}

template <class S>
void ChannelNorm<S>::require_rows(Index rows) const {
  if (rows < 2)
    throw Error(name_, "batch norm in train mode needs more than one value per channel, this batch has one",
                "choose a batch size that leaves no batch of one sample");
}

template <class S>
void ChannelNorm<S>::take_batch(const LayerInputs<S>& inputs, const std::vector<double>& mean,
                                const std::vector<double>& squares, Index rows) {
  // mean, squares [C]
  const auto count = static_cast<double>(rows);
  const double momentum = inputs.pass.share_of_batch(options_.momentum);
  const bool update = options_.track && inputs.new_buffers != nullptr;
  for (Index c = 0; c < channels_; ++c) {
    const auto i = static_cast<std::size_t>(c);
    exact_mean_[i] = mean[i];
    inv_std_[i] = 1.0 / std::sqrt(squares[i] / count + options_.eps);
    if (!update) continue;
    const auto blend = [&](Index offset, double value) {
      const auto old = static_cast<double>(inputs.buffers[offset + c]);
      inputs.new_buffers[offset + c] = static_cast<S>((1.0 - momentum) * old + momentum * value);
    };
    blend(running_.mean, mean[i]);
    blend(running_.spread, squares[i] / (count - 1.0));
  }
  if (update) inputs.new_buffers[running_.batches] = inputs.buffers[running_.batches] + S{1};
  take(inputs);
}

template <class S>
void ChannelNorm<S>::take_running(const LayerInputs<S>& inputs) {
  for (Index c = 0; c < channels_; ++c) {
    const auto i = static_cast<std::size_t>(c);
    exact_mean_[i] = static_cast<double>(inputs.buffers[running_.mean + c]);
    inv_std_[i] = 1.0 / std::sqrt(static_cast<double>(inputs.buffers[running_.spread + c]) + options_.eps);
  }
  take(inputs);
}

template <class S>
void ChannelNorm<S>::take(const LayerInputs<S>& inputs) {
  // γ, β, mean, scale, shift [C]
  for (Index c = 0; c < channels_; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double gamma = options_.affine ? static_cast<double>(inputs.theta[affine_.weight + c]) : 1.0;
    mean_[c] = static_cast<S>(exact_mean_[i]);
    scale_[c] = static_cast<S>(gamma * inv_std_[i]);
    shift_[c] = options_.affine ? inputs.theta[affine_.bias + c] : S{0};
  }
}

template <class S>
void ChannelNorm<S>::take_gradient(const LayerInputs<S>& inputs, const std::vector<double>& sums, Index rows, S* grad) {
  // sums [2, C]; dγ, dβ, centre, slope [C]
  // With x̂ = (x − mean)/std and M rows: dβ = Σ dy, dγ = Σ dy·x̂, and, as mean and std depend on x,
  // dx = γ/std · (dy − dβ/M − x̂·dγ/M); where they are running values, dx = γ/std · dy.
  const auto count = static_cast<double>(rows);
  const bool batch_statistics = uses_batch_statistics(inputs.pass);
  for (Index c = 0; c < channels_; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double beta_grad = sums[i];
    const double gamma_grad = sums[static_cast<std::size_t>(channels_) + i] * inv_std_[i];
    if (options_.affine) {
      grad[affine_.weight + c] = static_cast<S>(gamma_grad);
      grad[affine_.bias + c] = static_cast<S>(beta_grad);
    }
    centre_[c] = batch_statistics ? static_cast<S>(beta_grad / count) : S{0};
    slope_[c] = batch_statistics ? static_cast<S>(gamma_grad * inv_std_[i] / count) : S{0};
  }
}

template class ChannelNorm<float>;
template class ChannelNorm<double>;

}  // namespace gradscape
