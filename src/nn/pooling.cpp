#include "gradscape/nn/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"

namespace gradscape {
namespace {

FeatureShape pooled(FeatureShape in, Index kernel, Index stride) {
  check(kernel >= 1 && kernel <= 15 && stride >= 1, "a pooling window of 1 to 15");
  check(in.height >= kernel && in.width >= kernel, "a pooling window fits into its image");
  return {(in.height - kernel) / stride + 1, (in.width - kernel) / stride + 1, in.channels};
}

/// Calls visit(out, in) for each sample's output pixels: offsets of the pixel's first channel in y and of the window's
/// first pixel in x. One task per sample.
template <class Visit>
void for_windows(Index samples, FeatureShape in, FeatureShape out, Index stride, Visit&& visit) {
  parallel::for_each(samples, [&](Index sample) {
    for (Index oy = 0; oy < out.height; ++oy)
      for (Index ox = 0; ox < out.width; ++ox)
        visit(((sample * out.height + oy) * out.width + ox) * out.channels,
              ((sample * in.height + oy * stride) * in.width + ox * stride) * in.channels);
  });
}

}  // namespace

template <class S>
MaxPool<S>::MaxPool(FeatureShape in, Index kernel, Index stride)
    : Layer<S>(in, pooled(in, kernel, stride)), kernel_(kernel), stride_(stride) {}

template <class S>
std::string MaxPool<S>::describe() const {
  return fmt::format("max pool {}×{}", kernel_, kernel_);
}

template <class S>
void MaxPool<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, C], y, winner_ [N·H'·W', C]
  const FeatureShape in = this->in();
  winner_.resize(static_cast<std::size_t>(y.size()));
  for_windows(this->samples(x), in, this->out(), stride_, [&](Index out_offset, Index in_offset) {
    S* best = y.data() + out_offset;
    std::uint8_t* winner = winner_.data() + out_offset;
    std::copy_n(x.data() + in_offset, in.channels, best);
    std::fill_n(winner, in.channels, std::uint8_t{0});
    for (Index position = 1; position < kernel_ * kernel_; ++position) {
      const S* candidate = x.data() + in_offset + (position / kernel_ * in.width + position % kernel_) * in.channels;
      for (Index c = 0; c < in.channels; ++c) {
        // !(a <= b) is a > b or a NaN; a NaN that is already there is only replaced by another one.
        const bool wins = !(candidate[c] <= best[c]) && (candidate[c] == candidate[c] ? best[c] == best[c] : true);
        winner[c] = wins ? static_cast<std::uint8_t>(position) : winner[c];
        best[c] = wins ? candidate[c] : best[c];
      }
    }
  });
}

template <class S>
void MaxPool<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dx [N·H·W, C], dy, winner_ [N·H'·W', C]
  if (dx.data() == nullptr) return;
  const FeatureShape in = this->in();
  parallel::for_chunks(dx.size(), parallel::kElementwiseChunk,
                       [&](Index first, Index last, Index) { std::fill(dx.data() + first, dx.data() + last, S{0}); });
  for_windows(this->samples(x), in, this->out(), stride_, [&](Index out_offset, Index in_offset) {
    const S* delta = dy.data() + out_offset;
    const std::uint8_t* winner = winner_.data() + out_offset;
    for (Index position = 0; position < kernel_ * kernel_; ++position) {
      S* target = dx.data() + in_offset + (position / kernel_ * in.width + position % kernel_) * in.channels;
      for (Index c = 0; c < in.channels; ++c) target[c] += winner[c] == position ? delta[c] : S{0};
    }
  });
}

template <class S>
AveragePool<S>::AveragePool(FeatureShape in, Index kernel, Index stride)
    : Layer<S>(in, pooled(in, kernel, stride)), kernel_(kernel), stride_(stride) {}

template <class S>
std::string AveragePool<S>::describe() const {
  return fmt::format("average pool {}×{}", kernel_, kernel_);
}

template <class S>
void AveragePool<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, C], y [N·H'·W', C]
  const FeatureShape in = this->in();
  const S area = static_cast<S>(kernel_ * kernel_);
  for_windows(this->samples(x), in, this->out(), stride_, [&](Index out_offset, Index in_offset) {
    S* mean = y.data() + out_offset;
    std::copy_n(x.data() + in_offset, in.channels, mean);
    for (Index position = 1; position < kernel_ * kernel_; ++position) {
      const S* value = x.data() + in_offset + (position / kernel_ * in.width + position % kernel_) * in.channels;
      for (Index c = 0; c < in.channels; ++c) mean[c] += value[c];
    }
    for (Index c = 0; c < in.channels; ++c) mean[c] /= area;
  });
}

template <class S>
void AveragePool<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dx [N·H·W, C], dy [N·H'·W', C]
  if (dx.data() == nullptr) return;
  const FeatureShape in = this->in();
  const S area = static_cast<S>(kernel_ * kernel_);
  parallel::for_chunks(dx.size(), parallel::kElementwiseChunk,
                       [&](Index first, Index last, Index) { std::fill(dx.data() + first, dx.data() + last, S{0}); });
  for_windows(this->samples(x), in, this->out(), stride_, [&](Index out_offset, Index in_offset) {
    const S* delta = dy.data() + out_offset;
    for (Index position = 0; position < kernel_ * kernel_; ++position) {
      S* target = dx.data() + in_offset + (position / kernel_ * in.width + position % kernel_) * in.channels;
      for (Index c = 0; c < in.channels; ++c) target[c] += delta[c] / area;
    }
  });
}

template <class S>
void Flatten<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, C], y [N, C·H·W]
  if (in_place()) return;
  const Index pixels = this->in().pixels();
  const Index channels = this->in().channels;
  parallel::for_each(this->samples(x), [&](Index sample) {
    const S* from = x.data() + sample * pixels * channels;
    S* to = y.data() + sample * pixels * channels;
    for (Index pixel = 0; pixel < pixels; ++pixel)
      for (Index c = 0; c < channels; ++c) to[c * pixels + pixel] = from[pixel * channels + c];
  });
}

template <class S>
void Flatten<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dx [N·H·W, C], dy [N, C·H·W]
  if (in_place() || dx.data() == nullptr) return;
  const Index pixels = this->in().pixels();
  const Index channels = this->in().channels;
  parallel::for_each(this->samples(x), [&](Index sample) {
    const S* from = dy.data() + sample * pixels * channels;
    S* to = dx.data() + sample * pixels * channels;
    for (Index pixel = 0; pixel < pixels; ++pixel)
      for (Index c = 0; c < channels; ++c) to[pixel * channels + c] = from[c * pixels + pixel];
  });
}

template class MaxPool<float>;
template class MaxPool<double>;
template class AveragePool<float>;
template class AveragePool<double>;
template class Flatten<float>;
template class Flatten<double>;

}  // namespace gradscape
