#include "gradscape/nn/pooling.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/parallel.hpp"
#include "gradscape/nn/op_shapes.hpp"

namespace gradscape {
namespace {

/// Pixels [top, bottom) × [left, right) of an image that a window sees; (y, x): where it begins, maybe outside.
struct Window {
  Index y, x, top, left, bottom, right;
  /// Pixels of the window that count for a mean, with those of the padding.
  Index area;

  Index count() const { return (bottom - top) * (right - left); }
};

/// Calls visit(out, in, window) for each sample's output pixels: offsets of the pixel's first channel in y, and of the
/// sample's first pixel in x. One task per sample.
template <class Visit>
void for_windows(Index samples, FeatureShape in, FeatureShape out, const PoolOp& op, Visit&& visit) {
  parallel::for_each(samples, [&](Index sample) {
    for (Index oy = 0; oy < out.height; ++oy)
      for (Index ox = 0; ox < out.width; ++ox) {
        Window w;
        w.y = oy * op.stride - op.padding.top;
        w.x = ox * op.stride - op.padding.left;
        w.top = std::max<Index>(0, w.y);
        w.left = std::max<Index>(0, w.x);
        w.bottom = std::min(w.y + op.kernel, in.height);
        w.right = std::min(w.x + op.kernel, in.width);
        w.area = (std::min(w.y + op.kernel, in.height + op.padding.bottom) - w.y) *
                 (std::min(w.x + op.kernel, in.width + op.padding.right) - w.x);
        visit(((sample * out.height + oy) * out.width + ox) * out.channels, sample * in.size(), w);
      }
  });
}

/// visit(position in the window, offset from the sample's first pixel) for the pixels that a window sees.
template <class Visit>
void for_pixels(const Window& w, FeatureShape in, Index kernel, Visit&& visit) {
  for (Index y = w.top; y < w.bottom; ++y)
    for (Index x = w.left; x < w.right; ++x) visit((y - w.y) * kernel + x - w.x, (y * in.width + x) * in.channels);
}

template <class S>
void clear(Rows<S> rows) {
  parallel::for_chunks(rows.size(), parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    std::fill(rows.data() + first, rows.data() + last, S{0});
  });
}

}  // namespace

template <class S>
MaxPool<S>::MaxPool(FeatureShape in, const PoolOp& op) : Layer<S>(in, pooled(op, in)), op_(op) {}

template <class S>
std::string MaxPool<S>::describe() const {
  return fmt::format("max pool {}×{}", op_.kernel, op_.kernel);
}

template <class S>
void MaxPool<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, C], y, winner_ [N·H'·W', C]
  const FeatureShape in = this->in();
  winner_.resize(static_cast<std::size_t>(y.size()));
  for_windows(this->samples(x), in, this->out(), op_, [&](Index out_offset, Index in_offset, const Window& window) {
    S* best = y.data() + out_offset;
    std::uint8_t* winner = winner_.data() + out_offset;
    bool begun = false;
    for_pixels(window, in, op_.kernel, [&](Index position, Index offset) {
      const S* candidate = x.data() + in_offset + offset;
      if (!begun) {
        std::copy_n(candidate, in.channels, best);
        std::fill_n(winner, in.channels, static_cast<std::uint8_t>(position));
        begun = true;
        return;
      }
      for (Index c = 0; c < in.channels; ++c) {
        // !(a <= b) is a > b or a NaN; a NaN that is already there is only replaced by another one.
        const bool wins = !(candidate[c] <= best[c]) && (candidate[c] == candidate[c] ? best[c] == best[c] : true);
        winner[c] = wins ? static_cast<std::uint8_t>(position) : winner[c];
        best[c] = wins ? candidate[c] : best[c];
      }
    });
  });
}

template <class S>
void MaxPool<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dx [N·H·W, C], dy, winner_ [N·H'·W', C]
  if (dx.data() == nullptr) return;
  const FeatureShape in = this->in();
  clear(dx);
  for_windows(this->samples(x), in, this->out(), op_, [&](Index out_offset, Index in_offset, const Window& window) {
    const S* delta = dy.data() + out_offset;
    const std::uint8_t* winner = winner_.data() + out_offset;
    for_pixels(window, in, op_.kernel, [&](Index position, Index offset) {
      S* target = dx.data() + in_offset + offset;
      for (Index c = 0; c < in.channels; ++c) target[c] += winner[c] == position ? delta[c] : S{0};
    });
  });
}

template <class S>
AveragePool<S>::AveragePool(FeatureShape in, const PoolOp& op) : Layer<S>(in, pooled(op, in)), op_(op) {}

template <class S>
std::string AveragePool<S>::describe() const {
  return fmt::format("average pool {}×{}", op_.kernel, op_.kernel);
}

template <class S>
void AveragePool<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, C], y [N·H'·W', C]
  const FeatureShape in = this->in();
  for_windows(this->samples(x), in, this->out(), op_, [&](Index out_offset, Index in_offset, const Window& window) {
    S* mean = y.data() + out_offset;
    bool begun = false;
    for_pixels(window, in, op_.kernel, [&](Index, Index offset) {
      const S* value = x.data() + in_offset + offset;
      if (!begun) {
        std::copy_n(value, in.channels, mean);
        begun = true;
        return;
      }
      for (Index c = 0; c < in.channels; ++c) mean[c] += value[c];
    });
    const S area = static_cast<S>(op_.exclude_padding ? window.count() : window.area);
    for (Index c = 0; c < in.channels; ++c) mean[c] /= area;
  });
}

template <class S>
void AveragePool<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dx [N·H·W, C], dy [N·H'·W', C]
  if (dx.data() == nullptr) return;
  const FeatureShape in = this->in();
  clear(dx);
  for_windows(this->samples(x), in, this->out(), op_, [&](Index out_offset, Index in_offset, const Window& window) {
    const S* delta = dy.data() + out_offset;
    const S area = static_cast<S>(op_.exclude_padding ? window.count() : window.area);
    for_pixels(window, in, op_.kernel, [&](Index, Index offset) {
      S* target = dx.data() + in_offset + offset;
      for (Index c = 0; c < in.channels; ++c) target[c] += delta[c] / area;
    });
  });
}

template <class S>
void GlobalPool<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, C], y [N, C]
  const Index pixels = this->in().pixels(), channels = this->in().channels;
  if (kind_ == PoolKind::max) winner_.resize(static_cast<std::size_t>(y.size()));
  parallel::for_each(y.rows(), [&](Index sample) {
    const S* from = x.data() + sample * pixels * channels;
    S* to = y.data() + sample * channels;
    std::copy_n(from, channels, to);
    if (kind_ == PoolKind::average) {
      for (Index pixel = 1; pixel < pixels; ++pixel)
        for (Index c = 0; c < channels; ++c) to[c] += from[pixel * channels + c];
      for (Index c = 0; c < channels; ++c) to[c] /= static_cast<S>(pixels);
      return;
    }
    Index* winner = winner_.data() + sample * channels;
    std::fill_n(winner, channels, Index{0});
    for (Index pixel = 1; pixel < pixels; ++pixel)
      for (Index c = 0; c < channels; ++c)
        if (const S value = from[pixel * channels + c]; !(value <= to[c]) && (value == value ? to[c] == to[c] : true)) {
          to[c] = value;
          winner[c] = pixel;
        }
  });
}

template <class S>
void GlobalPool<S>::backward(const LayerInputs<S>&, ConstRows<S>, Rows<S> dy, Rows<S> dx, S*) {
  // dx [N·H·W, C], dy [N, C]
  if (dx.data() == nullptr) return;
  const Index pixels = this->in().pixels(), channels = this->in().channels;
  parallel::for_each(dy.rows(), [&](Index sample) {
    const S* delta = dy.data() + sample * channels;
    S* to = dx.data() + sample * pixels * channels;
    for (Index pixel = 0; pixel < pixels; ++pixel)
      for (Index c = 0; c < channels; ++c)
        to[pixel * channels + c] = kind_ == PoolKind::average ? delta[c] / static_cast<S>(pixels)
                                   : winner_[static_cast<std::size_t>(sample * channels + c)] == pixel ? delta[c]
                                                                                                       : S{0};
  });
}

/// Of a sample, visit(offset in x, offset in y) for each pixel of x that has a place in y.
template <class Visit>
void Placement::for_pixels(Visit&& visit) const {
  for (Index y = 0; y * stride < in.height; ++y)
    for (Index x = 0; x * stride < in.width; ++x)
      visit((y * stride * in.width + x * stride) * in.channels,
            ((y + top) * out.width + x + left) * out.channels + before);
}

template <class S>
void Place<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, C], y [N·H'·W', C']
  parallel::for_each(this->samples(x), [&](Index sample) {
    const S* from = x.data() + sample * this->in().size();
    S* to = y.data() + sample * this->out().size();
    std::fill_n(to, this->out().size(), S{0});
    placement_.for_pixels([&](Index here, Index there) { std::copy_n(from + here, this->in().channels, to + there); });
  });
}

template <class S>
void Place<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dx [N·H·W, C], dy [N·H'·W', C']
  if (dx.data() == nullptr) return;
  parallel::for_each(this->samples(x), [&](Index sample) {
    const S* from = dy.data() + sample * this->out().size();
    S* to = dx.data() + sample * this->in().size();
    std::fill_n(to, this->in().size(), S{0});
    placement_.for_pixels([&](Index here, Index there) { std::copy_n(from + there, this->in().channels, to + here); });
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
template class GlobalPool<float>;
template class GlobalPool<double>;
template class Place<float>;
template class Place<double>;
template class Flatten<float>;
template class Flatten<double>;

}  // namespace gradscape
