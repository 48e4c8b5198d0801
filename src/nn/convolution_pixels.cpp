// What happens to a convolution's output pixels while tiles are stored (bias, batch norm, ReLU, max-pool), and its
// adjoint while their gradients are loaded. The products are in convolution.cpp.
// Ho×Wo: the convolution's output pixels (shape_.out); H'×W': those after pooling (out()).
#include <algorithm>
#include <cstring>

#include "gradscape/kernel/lanes.hpp"
#include "gradscape/nn/convolution.hpp"

namespace gradscape {
namespace {

/// Pixels of the largest tile of any form.
constexpr Index kLargestTile = 16;

/// Rows of one task that has nothing to sum.
constexpr Index kRows = 32;

/// In `route_`: ReLU was below 0 (or at it), nothing flows back.
constexpr std::uint8_t kOff = 4;

/// Writes the low byte of each of the first `count` lanes.
template <class Integers>
void store_bytes(std::uint8_t* p, Integers x, Index count) {
  constexpr std::size_t kLanes = sizeof(Integers) / sizeof(x[0]);
  typedef std::uint8_t Bytes __attribute__((vector_size(kLanes)));
  const Bytes bytes = __builtin_convertvector(x, Bytes);
  if (count == static_cast<Index>(kLanes))
    std::memcpy(p, &bytes, kLanes);
  else
    std::memcpy(p, &bytes, std::min(static_cast<std::size_t>(count), kLanes));
}

/// The inverse: `count` bytes, one for each lane.
template <class S>
auto load_bytes(const std::uint8_t* p, Index count) {
  constexpr std::size_t kLanes = Lanes<S>::kCount;
  typedef std::uint8_t Bytes __attribute__((vector_size(kLanes)));
  using Integers = decltype(typename Lanes<S>::Vector{} == typename Lanes<S>::Vector{});
  Bytes bytes = {};
  if (count == static_cast<Index>(kLanes))
    std::memcpy(&bytes, p, kLanes);
  else
    std::memcpy(&bytes, p, std::min(static_cast<std::size_t>(count), kLanes));
  return __builtin_convertvector(bytes, Integers);
}

/// `channels` rounded up to whole vectors.
template <class S>
Index whole_lanes(Index channels) {
  return (channels + Lanes<S>::kCount - 1) / Lanes<S>::kCount * Lanes<S>::kCount;
}

/// ReLU of `value`; the winner where it was below 0 or at it becomes kOff.
template <class S, class Integers>
void rectify(typename Lanes<S>::Vector& value, Integers& winner) {
  const auto zero = Lanes<S>::fill(S{0});
  const auto off = value <= zero;
  value = off ? zero : value;
  winner = off ? (winner ^ winner) + kOff : winner;
}

/// Copies past the caches (non-temporal stores): for what is not read again soon.
template <class S>
void stream(const S* from, Index count, S* to) {
  constexpr Index kLine = 64 / sizeof(S);
  if (count % kLine != 0 || reinterpret_cast<std::uintptr_t>(to) % 64 != 0) {
    std::copy_n(from, count, to);
    return;
  }
  for (Index i = 0; i < count; i += Lanes<S>::kCount) Lanes<S>::stream(to + i, Lanes<S>::load(from + i));
}

}  // namespace

/// M → y; with norm → its input, and pooled.
template <class S>
void Convolution<S>::store_tiles(Index first, Index last, Spectrum<S> m, S* y) {
  // M_f [rows, Cout], y, pooled_ [N·H'·W', Cout], normalised_ [N·Ho·Wo, Cout]; of a tile: pixels [edge·edge, width]
  for_groups(first, last, options_.channels, [&](Index group, Index begin, Index end, ChannelRange channels) {
    store_group(group, begin, end, first, channels, m, y);
  });
}

/// The same for the samples [begin, end), where M begins with the tiles of `first`.
template <class S>
void Convolution<S>::store_group(Index group, Index begin, Index end, Index first, ChannelRange channels, Spectrum<S> m,
                                 S* y) {
  const Index edge = form_->edge();
  const FeatureShape& out = shape_.out;
  const Index width = channels.count();
  alignas(64) S pixels[kLargestTile * kChannels];
  bool started = false;
  for (Index sample = begin; sample < end; ++sample)
    for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
      form_->store({m.data + row * m.row, m.frequency, m.row}, channels, pixels);
      const Index top = tile_y * edge;
      const Index left = tile_x * edge;
      const Index height = std::min(edge, out.height - top);
      const Index across = std::min(edge, out.width - left);
      const Index target = sample * this->out().size() +
                           (top / window() * this->out().width + left / window()) * out.channels + channels.first;
      if (!norm_) {
        pool(pixels, height, across, channels, shift_.data(), ones_.data(), target, y);
        return;
      }
      sum_pixels(pixels, height, across, channels, group, started);
      started = true;
      S* to = normalised_.data() + ((sample * out.height + top) * out.width + left) * out.channels + channels.first;
      for (Index r = 0; r < height; ++r)
        for (Index q = 0; q < across; ++q)
          stream(pixels + (r * edge + q) * width, width, to + (r * out.width + q) * out.channels);
      if (options_.max_pool)
        pool(pixels, height, across, channels, zeros_.data(), norm_->sign(), target, pooled_.data());
    });
  if (norm_) _mm_sfence();
}

/// Adds the bias to a tile's pixels, and the pixels to the sums of their group: of each channel a value near its mean
/// (the first, before anything has `started`), and the sums of differences from it and of their squares, which lose no
/// digits to a large mean.
template <class S>
void Convolution<S>::sum_pixels(S* pixels, Index height, Index across, ChannelRange channels, Index group,
                                bool started) {
  // pixels [edge·edge, width]; partial_ [groups, 3, sum_width()]
  using Wide = WideLanes<S>;
  const Index edge = form_->edge();
  const Index width = channels.count();
  double* near = partial_.data() + group * 3 * sum_width() + channels.first;
  double* sums = near + sum_width();
  double* squares = sums + sum_width();
  for_lanes<S>(0, width, [&](Index c, auto count) {
    const auto bias = load_lanes(shift_.data() + channels.first + c, count);
    const Wide origin = started ? Wide::load(near + c) : Wide::of(load_lanes<S>(pixels + c, count) + bias);
    Wide sum = started ? Wide::load(sums + c) : Wide{};
    Wide square = started ? Wide::load(squares + c) : Wide{};
    for (Index r = 0; r < height; ++r)
      for (Index q = 0; q < across; ++q) {
        S* pixel = pixels + (r * edge + q) * width + c;
        const auto value = load_lanes<S>(pixel, count) + bias;
        store_lanes(pixel, value, count);
        const Wide difference = Wide::of(value) - origin;
        sum.add(difference);
        square.add_product(difference, difference);
      }
    origin.store(near + c);
    sum.store(sums + c);
    square.store(squares + c);
  });
}

/// Pools the `height`×`across` pixels of a tile, `bias` added, into y from element `target` on: the value that is
/// largest times `sign` (batch norm with γ < 0 turns the order round). Without norm ReLU follows at once.
template <class S>
void Convolution<S>::pool(const S* pixels, Index height, Index across, ChannelRange channels, const S* bias,
                          const S* sign, Index target, S* y) {
  // pixels [edge·edge, width], bias, sign [Cout], y, route_ [N·H'·W', Cout]
  const Index size = window();
  const Index width = channels.count();
  const Index edge = form_->edge();
  const Index places[4] = {0, width, edge * width, (edge + 1) * width};
  for (Index oy = 0; oy < height / size; ++oy)
    for (Index ox = 0; ox < across / size; ++ox) {
      const S* from = pixels + (oy * edge + ox) * size * width;
      const Index out = target + (oy * this->out().width + ox) * options_.channels;
      for_lanes<S>(0, width, [&](Index c, auto count) {
        const auto shift = load_lanes(bias + channels.first + c, count);
        auto best = load_lanes(from + c, count) + shift;
        auto winner = best != best;  // an integer of S's size for each lane
        winner = winner ^ winner;    // 0
        if (options_.max_pool) {
          const auto factor = load_lanes(sign + channels.first + c, count);
          for (int i = 1; i < 4; ++i) {
            const auto value = load_lanes(from + places[i] + c, count) + shift;
            // !(a <= b) is a > b or a NaN; a NaN that is already there is only replaced by another one.
            const auto wins = ~(value * factor <= best * factor) & ((value != value) | (best == best));
            best = wins ? value : best;
            winner = wins ? (winner ^ winner) + i : winner;
          }
        }
        if (options_.relu && !norm_) rectify<S>(best, winner);
        store_lanes(y + out + c, best, count);
        if (routes()) store_bytes(route_.data() + out + c, winner, count);
      });
    }
}

/// Statistics of the batch from the groups' sums, or the running ones.
template <class S>
void Convolution<S>::take_statistics(const LayerInputs<S>& inputs) {
  // partial_ [groups, 3, sum_width()]
  const Index channels = options_.channels;
  if (norm_->uses_batch_statistics(inputs.pass)) {
    const Index pixels = shape_.out.pixels();
    norm_->require_rows(plan_.samples * pixels);
    // Groups are merged in order (Chan, Golub and LeVeque 1983).
    const double* partial = partial_.data();
    parallel::for_chunks(channels, kChannels, [&](Index first, Index last, Index) {
      for (Index c = first; c < last; ++c) {
        double count = 0, mean = 0, square = 0;
        for (Index sample = 0, group = 0; sample < plan_.samples; sample += plan_.group, ++group) {
          const double* slot = partial + group * 3 * sum_width() + c;
          const auto more = static_cast<double>(std::min(plan_.group, plan_.samples - sample) * pixels);
          const double offset = slot[sum_width()] / more;
          const double delta = slot[0] + offset - mean;
          square += slot[2 * sum_width()] - slot[sum_width()] * offset + delta * delta * count * more / (count + more);
          mean += delta * more / (count + more);
          count += more;
        }
        sums_[static_cast<std::size_t>(c)] = mean;
        squares_[static_cast<std::size_t>(c)] = std::max(square, 0.0);
      }
    });
    norm_->take_batch(inputs, sums_, squares_, plan_.samples * pixels);
  } else {
    norm_->take_running(inputs);
  }
}

/// From the norm's input, pooled, to y.
template <class S>
void Convolution<S>::normalise(S* y) {
  // pooled(), y, route_ [N·H'·W', Cout]
  const Index channels = options_.channels;
  const S* values = pooled();
  const DeferredNorm<S> norm = output_norm();
  parallel::for_chunks(plan_.samples * this->out().pixels(), kRows, [&](Index first, Index last, Index) {
    if (!options_.max_pool || !options_.relu)
      return norm.apply(values + first * channels, last - first, channels, y + first * channels);
    for (Index row = first; row < last; ++row)
      for_lanes<S>(0, channels, [&](Index c, auto count) {
        const Index place = row * channels + c;
        auto value = norm.normalise(load_lanes(values + place, count), c, count);
        auto route = load_bytes<S>(route_.data() + place, count);
        rectify<S>(value, route);
        store_bytes(route_.data() + place, route, count);
        store_lanes(y + place, value, count);
      });
  });
}

/// Σ dz and Σ dz·(z − mean) over the norm's output z, whose gradient dy comes through pooling and ReLU.
template <class S>
void Convolution<S>::sum_gradients(const LayerInputs<S>& inputs, const S* dy, S* grad) {
  // dy, pooled(), route_ [N·H'·W', Cout]; partial_ [groups, 2, sum_width()]; in grad: γ, β [Cout]
  using Wide = WideLanes<S>;
  const Index channels = options_.channels;
  const FeatureShape out = this->out();
  const S* values = pooled();
  const DeferredNorm<S> norm = output_norm();
  const auto zero = Lanes<S>::fill(S{0});
  for_groups(0, plan_.samples, channels, [&](Index group, Index begin, Index end, ChannelRange range) {
    double* sums = partial_.data() + group * 2 * sum_width();
    double* products = sums + sum_width();
    std::fill(sums + range.first, sums + whole_lanes<S>(range.last), 0.0);
    std::fill(products + range.first, products + whole_lanes<S>(range.last), 0.0);
    for (Index line = begin * out.height; line < end * out.height; ++line)
      for_lanes<S>(range.first, range.last, [&](Index c, auto count) {
        const auto mean = load_lanes(norm_->mean() + c, count);
        Wide sum = Wide::load(sums + c);
        Wide product = Wide::load(products + c);
        for (Index x = 0; x < out.width; ++x) {
          const Index place = (line * out.width + x) * channels + c;
          auto delta = load_lanes(dy + place, count);
          const auto z = load_lanes(values + place, count);
          if (gated())
            delta = norm.normalise(z, c, count) <= zero ? zero : delta;
          else if (options_.relu)
            delta = load_bytes<S>(route_.data() + place, count) == kOff ? zero : delta;
          sum.add(Wide::of(delta));
          product.add_product(Wide::of(delta), Wide::of(z - mean));
        }
        sum.store(sums + c);
        product.store(products + c);
      });
  });
  std::fill(sums_.begin(), sums_.end(), 0.0);
  for (Index group = 0; group < parallel::chunk_count(plan_.samples, plan_.group); ++group)
    for (Index i = 0; i < 2 * channels; ++i)
      sums_[static_cast<std::size_t>(i)] += partial_.data()[(2 * group + i / channels) * sum_width() + i % channels];
  norm_->take_gradient(inputs, sums_, plan_.samples * shape_.out.pixels(), grad);
}

/// ∂L/∂(output pixels of a tile) [edge·edge, channels.count()], back through pooling, ReLU and norm; adds up the pixels
/// in `sums` [channels.count()].
template <class S>
void Convolution<S>::spread(const S* dy, Index sample, Index tile_y, Index tile_x, ChannelRange channels, S* pixels,
                            double* sums) const {
  // dy, route_ [N·H'·W', Cout], normalised_ [N·Ho·Wo, Cout], pixels [edge·edge, width], sums [width]
  using L = Lanes<S>;
  using Wide = WideLanes<S>;
  const Index edge = form_->edge();
  const Index size = window();
  const Index width = channels.count();
  const FeatureShape& shape = shape_.out;
  const FeatureShape out = this->out();
  const Index top = tile_y * edge;
  const Index left = tile_x * edge;
  const Index height = std::min(edge, shape.height - top);
  const Index across = std::min(edge, shape.width - left);
  const Index target =
      ((sample * out.height + top / size) * out.width + left / size) * options_.channels + channels.first;
  const Index source = ((sample * shape.height + top) * shape.width + left) * options_.channels + channels.first;
  // Pixels beyond the image, or beyond the last whole window, take part in nothing.
  const bool whole = height == edge && across == edge;
  if (!whole) std::fill_n(pixels, edge * edge * width, S{0});
  for_lanes<S>(0, width, [&](Index c, auto count) {
    for (Index oy = 0; oy < height / size; ++oy)
      for (Index ox = 0; ox < across / size; ++ox) {
        const Index place = target + (oy * out.width + ox) * options_.channels + c;
        const auto delta = load_lanes(dy + place, count);
        S* to = pixels + (oy * size * edge + ox * size) * width + c;
        if (!routes()) {
          store_lanes(to, delta, count);
          continue;
        }
        const auto route = load_bytes<S>(route_.data() + place, count);
        for (int i = 0; i < size * size; ++i)
          store_lanes(to + (i / 2 * edge + i % 2) * width, route == i ? delta : L::fill(S{0}), count);
      }
    Wide sum = Wide::load(sums + c);
    if (!norm_) {
      for (Index pixel = 0; pixel < edge * edge; ++pixel)
        sum.add(Wide::of(load_lanes(pixels + pixel * width + c, count)));
      sum.store(sums + c);
      return;
    }
    const Index channel = channels.first + c;
    const auto mean = load_lanes(norm_->mean() + channel, count);
    const auto scale = load_lanes(norm_->scale() + channel, count);
    const auto centre = load_lanes(norm_->centre() + channel, count);
    const auto slope = load_lanes(norm_->slope() + channel, count);
    const DeferredNorm<S> norm = output_norm();
    const auto zero = L::fill(S{0});
    for (Index r = 0; r < height; ++r)
      for (Index q = 0; q < across; ++q) {
        const auto z = load_lanes(normalised_.data() + source + (r * shape.width + q) * options_.channels + c, count);
        S* d = pixels + (r * edge + q) * width + c;
        auto delta = load_lanes<S>(d, count);
        if (gated()) delta = norm.normalise(z, channel, count) <= zero ? zero : delta;
        const auto value = scale * (delta - centre - (z - mean) * slope);
        store_lanes(d, value, count);
        sum.add(Wide::of(value));
      }
    sum.store(sums + c);
  });
}

/// dy → dM, and sums of the bias gradient.
template <class S>
void Convolution<S>::load_gradients(const S* dy, Index first, Index last, Spectrum<S> m) {
  // dy [N·H'·W', Cout], dM_f [rows, Cout]; of a tile: pixels [edge·edge, width]; partial_ [groups, sum_width()]
  for_groups(first, last, options_.channels, [&](Index group, Index begin, Index end, ChannelRange channels) {
    load_group_gradients(dy, group, begin, end, first, channels, m);
  });
}

/// The same for the samples [begin, end), where dM begins with the tiles of `first`.
template <class S>
void Convolution<S>::load_group_gradients(const S* dy, Index group, Index begin, Index end, Index first,
                                          ChannelRange channels, Spectrum<S> m) {
  alignas(64) S pixels[kLargestTile * kChannels];
  double* sums = partial_.data() + group * sum_width() + channels.first;
  std::fill_n(sums, whole_lanes<S>(channels.count()), 0.0);
  for (Index sample = begin; sample < end; ++sample)
    for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
      spread(dy, sample, tile_y, tile_x, channels, pixels, sums);
      form_->load_gradient(pixels, channels, {m.data + row * m.row, m.frequency, m.row});
    });
}

#define GRADSCAPE_INSTANTIATE(S)                                                                                       \
  template void Convolution<S>::store_tiles(Index, Index, Spectrum<S>, S*);                                            \
  template void Convolution<S>::store_group(Index, Index, Index, Index, ChannelRange, Spectrum<S>, S*);                \
  template void Convolution<S>::load_group_gradients(const S*, Index, Index, Index, Index, ChannelRange, Spectrum<S>); \
  template void Convolution<S>::take_statistics(const LayerInputs<S>&);                                                \
  template void Convolution<S>::normalise(S*);                                                                         \
  template void Convolution<S>::sum_gradients(const LayerInputs<S>&, const S*, S*);                                    \
  template void Convolution<S>::load_gradients(const S*, Index, Index, Spectrum<S>);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
