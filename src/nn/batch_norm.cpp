#include "gradscape/nn/batch_norm.hpp"

#include <fmt/format.h>

#include "gradscape/kernel/row_sums.hpp"

namespace gradscape {

template <class S>
BatchNorm<S>::BatchNorm(Layout& parameters, Layout& buffers, const std::string& name, FeatureShape in,
                        const BatchNormOptions& options)
    : Layer<S>(in, in), norm_(parameters, buffers, name, in.channels, options) {}

template <class S>
std::string BatchNorm<S>::describe() const {
  return fmt::format("batch norm {}", this->in().channels);
}

template <class S>
void BatchNorm<S>::initialise(S* theta, Init, std::uint64_t) const {
  norm_.initialise(theta);
}

template <class S>
void BatchNorm<S>::initialise_buffers(S* buffers) const {
  norm_.initialise_buffers(buffers);
}

template <class S>
void BatchNorm<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  // x, y [N·H·W, C]; mean, scale, shift [C]
  const Index channels = this->in().channels;
  const Index rows = x.rows();
  if (norm_.uses_batch_statistics(inputs.pass)) {
    norm_.require_rows(rows);
    column_sums(x, means_);
    for (double& value : means_) value /= static_cast<double>(rows);
    sum_over_rows(rows, channels, sums_, [&](Index first, Index last, double* slot) {
      for (Index row = first; row < last; ++row) {
        const S* values = x.data() + row * channels;
        for (Index c = 0; c < channels; ++c) {
          const double centred = static_cast<double>(values[c]) - means_[static_cast<std::size_t>(c)];
          slot[c] += centred * centred;
        }
      }
    });
    norm_.take_batch(inputs, means_, sums_, rows);
  } else {
    norm_.take_running(inputs);
  }
  const S* mean = norm_.mean();
  const S* scale = norm_.scale();
  const S* shift = norm_.shift();
  parallel::for_chunks(rows, kSumRows, [&](Index first, Index last, Index) {
    for (Index row = first; row < last; ++row) {
      const S* in = x.data() + row * channels;
      S* out = y.data() + row * channels;
      for (Index c = 0; c < channels; ++c) out[c] = (in[c] - mean[c]) * scale[c] + shift[c];
    }
  });
}

template <class S>
void BatchNorm<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  // x, dy, dx [N·H·W, C]; Σ dy and Σ dy·(x − mean) [2, C]
  const Index channels = this->in().channels;
  sum_over_rows(x.rows(), 2 * channels, sums_, [&](Index first, Index last, double* slot) {
    for (Index row = first; row < last; ++row) {
      const S* in = x.data() + row * channels;
      const S* d = dy.data() + row * channels;
      for (Index c = 0; c < channels; ++c) {
        const auto delta = static_cast<double>(d[c]);
        slot[c] += delta;
        slot[channels + c] += delta * (static_cast<double>(in[c]) - norm_.exact_mean(c));
      }
    }
  });
  norm_.take_gradient(inputs, sums_, x.rows(), grad);
  if (dx.data() == nullptr) return;
  const S* mean = norm_.mean();
  const S* scale = norm_.scale();
  const S* centre = norm_.centre();
  const S* slope = norm_.slope();
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
