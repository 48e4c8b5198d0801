#include "gradscape/nn/batch_norm.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/nn/row_sums.hpp"

namespace gradscape {

template <class S>
BatchNorm<S>::BatchNorm(Layout& parameters, Layout& buffers, const std::string& name, FeatureShape in,
                        const BatchNormOptions& options)
    : Layer<S>(in, in), name_(name), options_(options) {
  const Index channels = in.channels;
  if (options.affine) {
    weight_ = parameters.add(name + ".weight", {channels});
    bias_ = parameters.add(name + ".bias", {channels});
  }
  if (options.track) {
    running_mean_ = buffers.add(name + ".running_mean", {channels});
    running_var_ = buffers.add(name + ".running_var", {channels});
    batches_tracked_ = buffers.add(name + ".num_batches_tracked", {}, true);
  }
  mean_.resize(static_cast<std::size_t>(channels));
  inv_std_.resize(static_cast<std::size_t>(channels));
}

template <class S>
void BatchNorm<S>::initialise(S* theta, Init, std::uint64_t) const {
  if (!options_.affine) return;
  std::fill_n(theta + weight_, this->in().channels, S{1});
  std::fill_n(theta + bias_, this->in().channels, S{0});
}

template <class S>
void BatchNorm<S>::initialise_buffers(S* buffers) const {
  if (!options_.track) return;
  std::fill_n(buffers + running_mean_, this->in().channels, S{0});
  std::fill_n(buffers + running_var_, this->in().channels, S{1});
  buffers[batches_tracked_] = S{0};
}

template <class S>
void BatchNorm<S>::take_batch_statistics(const LayerInputs<S>& inputs, ConstRows<S> x) {
  const Index channels = this->in().channels;
  const Index rows = x.rows();
  const auto count = static_cast<double>(rows);
  if (rows < 2)
    throw Error(name_, "batch norm in train mode needs more than one value per channel, this batch has one",
                "choose a batch size that leaves no batch of one sample");
  mean_ = column_sums(x);
  for (double& value : mean_) value /= count;
  const auto squares = sum_over_rows(rows, channels, [&](Index first, Index last, double* slot) {
    for (Index row = first; row < last; ++row) {
      const S* values = x.data() + row * channels;
      for (Index c = 0; c < channels; ++c) {
        const double centred = static_cast<double>(values[c]) - mean_[static_cast<std::size_t>(c)];
        slot[c] += centred * centred;
      }
    }
  });
  const double momentum = options_.momentum;
  const bool update = options_.track && inputs.new_buffers != nullptr;
  for (Index c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    inv_std_[i] = 1.0 / std::sqrt(squares[i] / count + options_.eps);
    if (!update) continue;
    const auto blend = [&](Index offset, double value) {
      const auto old = static_cast<double>(inputs.buffers[offset + c]);
      inputs.new_buffers[offset + c] = static_cast<S>((1.0 - momentum) * old + momentum * value);
    };
    blend(running_mean_, mean_[i]);
    blend(running_var_, squares[i] / (count - 1.0));
  }
  if (update) inputs.new_buffers[batches_tracked_] = inputs.buffers[batches_tracked_] + S{1};
}

template <class S>
void BatchNorm<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  const Index channels = this->in().channels;
  if (uses_batch_statistics(inputs.pass)) {
    take_batch_statistics(inputs, x);
  } else {
    for (Index c = 0; c < channels; ++c) {
      const auto i = static_cast<std::size_t>(c);
      mean_[i] = static_cast<double>(inputs.buffers[running_mean_ + c]);
      inv_std_[i] = 1.0 / std::sqrt(static_cast<double>(inputs.buffers[running_var_ + c]) + options_.eps);
    }
  }
  // y = (x − mean)·scale + shift
  Vector<S> mean(channels), scale(channels), shift(channels);
  for (Index c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    mean[c] = static_cast<S>(mean_[i]);
    scale[c] = static_cast<S>(inv_std_[i] * (options_.affine ? static_cast<double>(inputs.theta[weight_ + c]) : 1.0));
    shift[c] = options_.affine ? inputs.theta[bias_ + c] : S{0};
  }
  parallel::for_chunks(x.rows(), kSumRows, [&](Index first, Index last, Index) {
    for (Index row = first; row < last; ++row) {
      const S* in = x.data() + row * channels;
      S* out = y.data() + row * channels;
      for (Index c = 0; c < channels; ++c) out[c] = (in[c] - mean[c]) * scale[c] + shift[c];
    }
  });
}

template <class S>
void BatchNorm<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  // With x̂ = (x − mean)/std and M rows: dβ = Σ dy, dγ = Σ dy·x̂, and, as mean and std depend on x,
  // dx = γ/std · (dy − dβ/M − x̂·dγ/M); where they are running values, dx = γ/std · dy.
  const Index channels = this->in().channels;
  const auto count = static_cast<double>(x.rows());
  const auto sums = sum_over_rows(x.rows(), 2 * channels, [&](Index first, Index last, double* slot) {
    for (Index row = first; row < last; ++row) {
      const S* in = x.data() + row * channels;
      const S* d = dy.data() + row * channels;
      for (Index c = 0; c < channels; ++c) {
        const auto delta = static_cast<double>(d[c]);
        slot[c] += delta;
        slot[channels + c] += delta * (static_cast<double>(in[c]) - mean_[static_cast<std::size_t>(c)]);
      }
    }
  });
  const bool batch_statistics = uses_batch_statistics(inputs.pass);
  Vector<S> mean(channels), scale(channels), centre(channels), slope(channels);
  for (Index c = 0; c < channels; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double beta_grad = sums[i];
    const double gamma_grad = sums[static_cast<std::size_t>(channels) + i] * inv_std_[i];
    if (options_.affine) {
      grad[weight_ + c] = static_cast<S>(gamma_grad);
      grad[bias_ + c] = static_cast<S>(beta_grad);
    }
    const double gamma = options_.affine ? static_cast<double>(inputs.theta[weight_ + c]) : 1.0;
    mean[c] = static_cast<S>(mean_[i]);
    scale[c] = static_cast<S>(gamma * inv_std_[i]);
    centre[c] = batch_statistics ? static_cast<S>(beta_grad / count) : S{0};
    slope[c] = batch_statistics ? static_cast<S>(gamma_grad * inv_std_[i] / count) : S{0};
  }
  if (dx.data() == nullptr) return;
  parallel::for_chunks(x.rows(), kSumRows, [&](Index first, Index last, Index) {
    for (Index row = first; row < last; ++row) {
      const S* in = x.data() + row * channels;
      const S* d = dy.data() + row * channels;
      S* out = dx.data() + row * channels;
      for (Index c = 0; c < channels; ++c) out[c] = scale[c] * (d[c] - centre[c] - (in[c] - mean[c]) * slope[c]);
    }
  });
}

template class BatchNorm<float>;
template class BatchNorm<double>;

}  // namespace gradscape
