#include "gradscape/nn/convolution.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "gradscape/core/error.hpp"
#include "gradscape/core/lanes.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/nn/row_sums.hpp"

namespace gradscape {
namespace {

/// Sizes of blocks. They decide about speed, and about bits only where they cut sums: groups of samples (statistics,
/// bias gradients) and copies of the weight gradient.
constexpr Index kChannels = 64;         // channels of one task that transforms tiles
constexpr Index kProductRows = 512;     // of one task that multiplies
constexpr Index kProductColumns = 128;  // likewise; a multiple of kPanel
constexpr Index kWeightRows = 32;       // rows of U, or input channels, of one task that transforms weights
constexpr Index kSpectrumBytes =
    24 << 20;                            // V and M of the samples taken at a time: they should stay in the last cache
constexpr Index kWeightBytes = 5 << 20;  // of U or dU, likewise
constexpr Index kGradientTasks = 16;     // at least so many for the weight gradient

/// Pixels of the largest tile of any form.
constexpr Index kLargestTile = 16;

/// In `route_`: ReLU was below 0 (or at it), nothing flows back.
constexpr std::uint8_t kOff = 4;

FeatureShape convolved(FeatureShape in, const ConvolutionOptions& options) {
  const Index height = in.height + 2 * options.padding - options.kernel_height;
  const Index width = in.width + 2 * options.padding - options.kernel_width;
  check(height >= 0 && width >= 0, "a kernel fits into its padded image");
  return {height / options.stride + 1, width / options.stride + 1, options.channels};
}

FeatureShape output_of(FeatureShape in, const ConvolutionOptions& options) {
  FeatureShape out = convolved(in, options);
  if (options.max_pool) out = {out.height / 2, out.width / 2, out.channels};
  check(out.pixels() > 0, "a pooling window fits into its image");
  return out;
}

Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Columns of a block so that `rows` rows of them, of every frequency, fill about `bytes`.
template <class S>
Index block_columns(Index columns, Index rows, Index frequencies, Index bytes) {
  const Index fitting = bytes / (rows * frequencies * static_cast<Index>(sizeof(S)));
  return std::min(columns, std::max(kProductColumns, fitting / kProductColumns * kProductColumns));
}

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

/// A block [first, last) of [0, total) cut into pieces of `size`.
struct Piece {
  Index first, last;
  Piece(Index number, Index size, Index total) : first(number * size), last(std::min(first + size, total)) {}
  Index count() const { return last - first; }
};

}  // namespace

template <class S>
Convolution<S>::Convolution(Layout& parameters, Layout& buffers, const std::string& name, const std::string& norm_name,
                            FeatureShape in, const ConvolutionOptions& options, std::uint32_t ordinal, Engine engine)
    : Layer<S>(in, output_of(in, options)),
      shape_{in, convolved(in, options), options.kernel_height, options.kernel_width, options.stride, options.padding},
      options_(options),
      weight_(parameters.add(name + ".weight",
                             {options.channels, in.channels, options.kernel_height, options.kernel_width})),
      bias_(options.bias ? parameters.add(name + ".bias", {options.channels}) : -1),
      ordinal_(ordinal),
      form_(make_tile_form<S>(shape_, engine)),
      sums_(static_cast<std::size_t>(2 * options.channels)),
      squares_(static_cast<std::size_t>(options.channels)),
      zeros_(Vector<S>::Zero(options.channels)),
      ones_(Vector<S>::Ones(options.channels)),
      shift_(options.channels) {
  if (options.norm) norm_.emplace(parameters, buffers, norm_name, options.channels, *options.norm);
}

template <class S>
std::string Convolution<S>::describe() const {
  std::string text = fmt::format("conv {}×{} {}→{} @{}×{}", shape_.kernel_height, shape_.kernel_width,
                                 shape_.in.channels, shape_.out.channels, shape_.out.height, shape_.out.width);
  if (norm_) text += ", norm";
  if (options_.relu) text += ", relu";
  if (options_.max_pool) text += ", pool";
  return fmt::format("{} ({})", text, form_->name());
}

template <class S>
void Convolution<S>::initialise(S* theta, Init init, std::uint64_t seed) const {
  const Index area = options_.kernel_height * options_.kernel_width;
  initialise_linear(theta + weight_, options_.channels * shape_.in.channels * area, bias_ < 0 ? nullptr : theta + bias_,
                    options_.channels, shape_.in.channels * area, options_.channels * area, init, seed, ordinal_);
  if (norm_) norm_->initialise(theta);
}

template <class S>
void Convolution<S>::initialise_buffers(S* buffers) const {
  if (norm_) norm_->initialise_buffers(buffers);
}

template <class S>
Index Convolution<S>::plan(Index samples) {
  if (samples == plan_.samples) return plan_.size;
  const Index channels = options_.channels;
  const Index frequencies = form_->frequencies();
  const Index depth = form_->depth();
  const Index rows = rows_per_sample();
  const auto bytes = static_cast<Index>(sizeof(S));
  Plan p;
  p.samples = samples;
  p.group = std::max<Index>(1, kSumRows / shape_.out.pixels());
  p.chunks = std::max<Index>(1, samples * rows * frequencies * (depth + channels) * bytes / kSpectrumBytes);
  p.chunk = std::min(samples, round_up(parallel::chunk_count(samples, p.chunks), p.group));
  p.chunks = parallel::chunk_count(samples, p.chunk);
  p.columns = block_columns<S>(channels, depth, frequencies, kWeightBytes);
  p.back_columns = block_columns<S>(depth, channels, frequencies, kWeightBytes);
  const Index tasks =
      frequencies * parallel::chunk_count(depth, kProductRows) * parallel::chunk_count(p.columns, kProductColumns);
  p.copies = std::clamp<Index>(kGradientTasks / tasks, 1, parallel::chunk_count(p.chunk * rows, kProductRows));

  p.v_frequency = round_up(p.chunk * rows * depth, 16) + kGap;
  p.m_frequency = round_up(p.chunk * rows * channels, 16) + kGap;
  // dU of one block of columns if it is complete after one chunk, else of all: it is added to chunk by chunk.
  const Index gradient_columns = p.chunks == 1 ? p.columns : channels;
  p.du_frequency = round_up(depth * gradient_columns, 16) + kGap;
  p.du_copy = frequencies * p.du_frequency;
  p.v = 0;
  p.m = p.v + frequencies * p.v_frequency;
  p.u = p.m + frequencies * p.m_frequency;
  const Index u_size =
      frequencies * (std::max(panels_size<S>(depth, p.columns), panels_size<S>(channels, p.back_columns)) + kGap);
  p.du = p.u + round_up(u_size, 16);
  p.size = p.du + p.copies * p.du_copy;
  plan_ = p;

  const Index outputs = samples * this->out().size();
  const Index groups = parallel::chunk_count(samples, p.group);
  if (routes()) route_.at_least(outputs);
  if (norm_) normalised_.at_least(samples * shape_.out.size());
  if (keeps_spectrum()) spectrum_.at_least(frequencies * kept_frequency());
  partial_.at_least(groups * 3 * sum_width());
  return p.size;
}

/// body(group, first, last, channels): for groups of samples, each with a block of channels, in parallel.
template <class S>
template <class Body>
void Convolution<S>::for_groups(Index first, Index last, Index channels, Body&& body) const {
  const Index blocks = parallel::chunk_count(channels, kChannels);
  const Index groups = parallel::chunk_count(last - first, plan_.group);
  parallel::for_each(groups * blocks, [&](Index task) {
    const Index begin = first + task / blocks * plan_.group;
    const Piece block(task % blocks, kChannels, channels);
    body(begin / plan_.group, begin, std::min(begin + plan_.group, last), ChannelRange{block.first, block.last});
  });
}

/// body(tile_y, tile_x, row of V and M) for the tiles of a sample.
template <class S>
template <class Body>
void Convolution<S>::for_tiles(Index sample, Index first_sample, Body&& body) const {
  Index row = (sample - first_sample) * rows_per_sample();
  for (Index y = 0; y < tiles_down(); ++y)
    for (Index x = 0; x < tiles_across(); ++x, row += form_->rows()) body(y, x, row);
}

template <class S>
void Convolution<S>::load_tiles(const S* x, Index first, Index last, Spectrum<S> v) const {
  for_groups(first, last, shape_.in.channels, [&](Index, Index begin, Index end, ChannelRange channels) {
    for (Index sample = begin; sample < end; ++sample)
      for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
        form_->load(x + sample * shape_.in.size(), tile_y, tile_x, channels,
                    {v.data + row * v.row, v.frequency, v.row});
      });
  });
}

/// Columns [first, first + columns) of U or, `transposed`, of Uᵀ.
template <class S>
void Convolution<S>::make_weights(const S* theta, bool transposed, Index first, Index columns, S* u) const {
  const Index rows = transposed ? options_.channels : form_->depth();
  const Index panels = parallel::chunk_count(columns, kPanel<S>);
  const Index blocks = parallel::chunk_count(rows, kWeightRows);
  const Index frequency = panels_size<S>(rows, columns) + kGap;
  parallel::for_each(panels * blocks, [&](Index task) {
    const Piece block(task % blocks, kWeightRows, rows);
    const Index panel = task / blocks;
    form_->weights(theta + weight_, transposed, first / kPanel<S> + panel, block.first, block.last,
                   u + panel * rows * kPanel<S>, frequency);
  });
}

/// c_f[:, first … first + columns) = a_f · u_f for all frequencies; a has `rows` rows of `depth` elements.
template <class S>
void Convolution<S>::multiply_spectra(Spectrum<S> a, Index rows, const S* u, Index depth, Index first, Index columns,
                                      Spectrum<S> c) const {
  const Index row_blocks = parallel::chunk_count(rows, kProductRows);
  const Index column_blocks = parallel::chunk_count(columns, kProductColumns);
  const Index frequency = panels_size<S>(depth, columns) + kGap;
  parallel::for_each(form_->frequencies() * row_blocks * column_blocks, [&](Index task) {
    const Index f = task / (row_blocks * column_blocks);
    const Piece block(task / column_blocks % row_blocks, kProductRows, rows);
    const Piece column(task % column_blocks, kProductColumns, columns);
    multiply_panels<S>(
        {a.data + f * a.frequency + block.first * a.row, block.count(), depth, a.row},
        u + f * frequency + column.first * depth,
        {c.data + f * c.frequency + block.first * c.row + first + column.first, block.count(), column.count(), c.row},
        Into::overwrite);
  });
}

template <class S>
void Convolution<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  S* workspace = inputs.workspace;
  S* u = workspace + plan_.u;
  if (bias_ >= 0)
    std::copy_n(inputs.theta + bias_, options_.channels, shift_.data());
  else
    shift_.setZero();
  for (Index chunk = 0; chunk < plan_.chunks; ++chunk) {
    const Index first = chunk * plan_.chunk;
    const Index last = last_of(chunk);
    load_tiles(x.data(), first, last, spectrum_of(first, workspace));
    for (Index column = 0; column < options_.channels; column += plan_.columns) {
      const Index columns = std::min(plan_.columns, options_.channels - column);
      if (chunk == 0 || plan_.columns < options_.channels) make_weights(inputs.theta, false, column, columns, u);
      multiply_spectra(spectrum_of(first, workspace), (last - first) * rows_per_sample(), u, form_->depth(), column,
                       columns, m(workspace));
    }
    store_tiles(inputs, first, last, m(workspace), y.data());
  }
  if (norm_) normalise(inputs, y.data());
}

/// M → y; with norm → its input and, for batch statistics, sums of the samples' groups: of each channel a value near
/// its mean, and the sums of differences from it and of their squares (which lose no digits to a large mean).
template <class S>
void Convolution<S>::store_tiles(const LayerInputs<S>& inputs, Index first, Index last, Spectrum<S> m, S* y) {
  using Wide = WideLanes<S>;
  const Index edge = form_->edge();
  const FeatureShape& out = shape_.out;
  const bool statistics = norm_ && norm_->uses_batch_statistics(inputs.pass);
  for_groups(first, last, options_.channels, [&](Index group, Index begin, Index end, ChannelRange channels) {
    const Index width = channels.count();
    alignas(64) S pixels[kLargestTile * kChannels];
    double* near = partial_.data() + group * 3 * sum_width() + channels.first;
    double* sums = near + sum_width();
    double* squares = sums + sum_width();
    bool started = false;
    for (Index sample = begin; sample < end; ++sample)
      for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
        form_->store({m.data + row * m.row, m.frequency, m.row}, channels, pixels);
        const Index height = std::min(edge, out.height - tile_y * edge);
        const Index across = std::min(edge, out.width - tile_x * edge);
        if (!norm_) {
          const Index target = sample * this->out().size() +
                               (tile_y * edge / window() * this->out().width + tile_x * edge / window()) * out.channels;
          activate(pixels - channels.first, edge * width, width, height, across, channels, zeros_.data(), ones_.data(),
                   shift_.data(), target, y);
          return;
        }
        S* to = normalised_.data() +
                ((sample * out.height + tile_y * edge) * out.width + tile_x * edge) * out.channels + channels.first;
        for_lanes<S>(0, width, [&](Index c, auto count) {
          const auto bias = load_lanes(shift_.data() + channels.first + c, count);
          const Wide origin = started ? Wide::load(near + c) : Wide::of(load_lanes(pixels + c, count) + bias);
          Wide sum = started ? Wide::load(sums + c) : Wide{};
          Wide square = started ? Wide::load(squares + c) : Wide{};
          for (Index r = 0; r < height; ++r)
            for (Index q = 0; q < across; ++q) {
              const auto value = load_lanes(pixels + (r * edge + q) * width + c, count) + bias;
              store_lanes(to + (r * out.width + q) * out.channels + c, value, count);
              const Wide difference = Wide::of(value) - origin;
              sum.add(difference);
              square.add_product(difference, difference);
            }
          if (!statistics) return;
          origin.store(near + c);
          sum.store(sums + c);
          square.store(squares + c);
        });
        started = true;
      });
  });
}

/// y and routes of a region of `height`×`width` values, `line` and `pixel` elements apart; element `target` of y is
/// where the region's first output pixel begins. `values` points to where channel 0 would be.
template <class S>
void Convolution<S>::activate(const S* values, Index line, Index pixel, Index height, Index width,
                              ChannelRange channels, const S* mean, const S* scale, const S* shift, Index target,
                              S* y) {
  using L = Lanes<S>;
  const Index size = window();
  const Index places[4] = {0, pixel, line, line + pixel};
  for (Index oy = 0; oy < height / size; ++oy)
    for (Index ox = 0; ox < width / size; ++ox) {
      const S* v = values + oy * size * line + ox * size * pixel;
      const Index out = target + (oy * this->out().width + ox) * options_.channels;
      for_lanes<S>(channels.first, channels.last, [&](Index c, auto count) {
        const auto m = load_lanes(mean + c, count);
        const auto a = load_lanes(scale + c, count);
        const auto b = load_lanes(shift + c, count);
        auto best = (load_lanes(v + c, count) - m) * a + b;
        auto winner = best != best;  // an integer of S's size for each lane
        winner = winner ^ winner;    // 0
        if (options_.max_pool)
          for (int i = 1; i < 4; ++i) {
            const auto value = (load_lanes(v + places[i] + c, count) - m) * a + b;
            // !(a <= b) is a > b or a NaN; a NaN that is already there is only replaced by another one.
            const auto wins = ~(value <= best) & ((value != value) | (best == best));
            best = wins ? value : best;
            winner = wins ? (winner ^ winner) + i : winner;
          }
        if (options_.relu) {
          const auto zero = L::fill(S{0});
          const auto off = best <= zero;
          best = off ? zero : best;
          winner = off ? (winner ^ winner) + kOff : winner;
        }
        store_lanes(y + out + c, best, count);
        if (routes()) store_bytes(route_.data() + out + c, winner, count);
      });
    }
}

/// From the norm's input to y.
template <class S>
void Convolution<S>::normalise(const LayerInputs<S>& inputs, S* y) {
  const Index channels = options_.channels;
  const FeatureShape& out = shape_.out;
  if (norm_->uses_batch_statistics(inputs.pass)) {
    const Index rows = plan_.samples * out.pixels();
    norm_->require_rows(rows);
    // Groups are merged in order (Chan, Golub and LeVeque 1983).
    const double* partial = partial_.data();
    parallel::for_chunks(channels, kChannels, [&](Index first, Index last, Index) {
      for (Index c = first; c < last; ++c) {
        double count = 0, mean = 0, square = 0;
        for (Index sample = 0, group = 0; sample < plan_.samples; sample += plan_.group, ++group) {
          const double* slot = partial + group * 3 * sum_width() + c;
          const auto more = static_cast<double>(std::min(plan_.group, plan_.samples - sample) * out.pixels());
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
    norm_->take_batch(inputs, sums_, squares_, rows);
  } else {
    norm_->take_running(inputs);
  }
  const S* values = normalised_.data();
  for_groups(0, plan_.samples, channels, [&](Index, Index begin, Index end, ChannelRange range) {
    for (Index sample = begin; sample < end; ++sample)
      activate(values + sample * out.size(), out.width * channels, channels, out.height, out.width, range,
               norm_->mean(), norm_->scale(), norm_->shift(), sample * this->out().size(), y);
  });
}

/// Σ dz and Σ dz·(z − mean) over the norm's output z, whose gradient dy comes through pooling and ReLU.
template <class S>
void Convolution<S>::sum_gradients(const LayerInputs<S>& inputs, const S* dy, S* grad) {
  using Wide = WideLanes<S>;
  const Index channels = options_.channels;
  const FeatureShape& shape = shape_.out;
  const FeatureShape out = this->out();
  const Index places[4] = {0, channels, shape.width * channels, (shape.width + 1) * channels};
  for_groups(0, plan_.samples, channels, [&](Index group, Index begin, Index end, ChannelRange range) {
    double* sums = partial_.data() + group * 2 * sum_width();
    double* products = sums + sum_width();
    std::fill(sums + range.first, sums + round_up(range.last, Lanes<S>::kCount), 0.0);
    std::fill(products + range.first, products + round_up(range.last, Lanes<S>::kCount), 0.0);
    for (Index sample = begin; sample < end; ++sample)
      for (Index oy = 0; oy < out.height; ++oy)
        for_lanes<S>(range.first, range.last, [&](Index c, auto count) {
          const Index line = (sample * out.height + oy) * out.width * channels + c;
          const S* z = normalised_.data() + (sample * shape.height + oy * window()) * shape.width * channels + c;
          const auto mean = load_lanes(norm_->mean() + c, count);
          Wide sum = Wide::load(sums + c);
          Wide product = Wide::load(products + c);
          for (Index ox = 0; ox < out.width; ++ox, z += window() * channels) {
            auto delta = load_lanes(dy + line + ox * channels, count);
            auto value = load_lanes(z, count);
            if (routes()) {
              const auto route = load_bytes<S>(route_.data() + line + ox * channels, count);
              if (options_.max_pool)
                for (int i = 1; i < 4; ++i) value = route == i ? load_lanes(z + places[i], count) : value;
              delta = route == kOff ? Lanes<S>::fill(S{0}) : delta;
            }
            sum.add(Wide::of(delta));
            product.add_product(Wide::of(delta), Wide::of(value - mean));
          }
          sum.store(sums + c);
          product.store(products + c);
        });
  });
  std::fill(sums_.begin(), sums_.end(), 0.0);
  for (Index group = 0; group < parallel::chunk_count(plan_.samples, plan_.group); ++group)
    for (Index i = 0; i < 2 * channels; ++i)
      sums_[static_cast<std::size_t>(i)] += partial_.data()[(2 * group + i / channels) * sum_width() + i % channels];
  norm_->take_gradient(inputs, sums_, plan_.samples * shape.pixels(), grad);
}

/// ∂L/∂(output pixels of a tile) [edge·edge, channels.count()], back through pooling, ReLU and norm; adds up the pixels
/// in `sums` [channels.count()].
template <class S>
void Convolution<S>::spread(const S* dy, Index sample, Index tile_y, Index tile_x, ChannelRange channels, S* pixels,
                            double* sums) const {
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
    for (Index r = 0; r < height; ++r)
      for (Index q = 0; q < across; ++q) {
        const auto z = load_lanes(normalised_.data() + source + (r * shape.width + q) * options_.channels + c, count);
        S* d = pixels + (r * edge + q) * width + c;
        const auto value = scale * (load_lanes<S>(d, count) - centre - (z - mean) * slope);
        store_lanes(d, value, count);
        sum.add(Wide::of(value));
      }
    sum.store(sums + c);
  });
}

/// dy → dM, and sums of the bias gradient.
template <class S>
void Convolution<S>::load_gradients(const S* dy, Index first, Index last, Spectrum<S> m) {
  for_groups(first, last, options_.channels, [&](Index group, Index begin, Index end, ChannelRange channels) {
    alignas(64) S pixels[kLargestTile * kChannels];
    double* sums = partial_.data() + group * sum_width() + channels.first;
    std::fill_n(sums, round_up(channels.count(), Lanes<S>::kCount), 0.0);
    for (Index sample = begin; sample < end; ++sample)
      for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
        spread(dy, sample, tile_y, tile_x, channels, pixels, sums);
        form_->load_gradient(pixels, channels, {m.data + row * m.row, m.frequency, m.row});
      });
  });
}

/// dU_f[:, first … first + columns) (+)= V_fᵀ · dM_f[:, …), each copy from its part of the rows.
template <class S>
void Convolution<S>::multiply_gradients(Spectrum<S> v, Spectrum<S> m, Index rows, Index first, Index columns, Into into,
                                        S* du) const {
  const Index depth = form_->depth();
  const Index stride = plan_.chunks == 1 ? plan_.columns : options_.channels;
  const Index depth_blocks = parallel::chunk_count(depth, kProductRows);
  const Index column_blocks = parallel::chunk_count(columns, kProductColumns);
  const Index per_copy = form_->frequencies() * depth_blocks * column_blocks;
  parallel::for_each(plan_.copies * per_copy, [&](Index task) {
    const Index copy = task / per_copy;
    const Index f = task % per_copy / (depth_blocks * column_blocks);
    const Piece block(task / column_blocks % depth_blocks, kProductRows, depth);
    const Piece column(task % column_blocks, kProductColumns, columns);
    const Index begin = copy * rows / plan_.copies;
    const Index count = (copy + 1) * rows / plan_.copies - begin;
    multiply_transposed_a<S>(
        {v.data + f * v.frequency + begin * v.row + block.first, count, block.count(), v.row},
        {m.data + f * m.frequency + begin * m.row + first + column.first, count, column.count(), m.row},
        {du + copy * plan_.du_copy + f * plan_.du_frequency + block.first * stride + column.first, block.count(),
         column.count(), stride},
        into);
  });
}

template <class S>
void Convolution<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  S* workspace = inputs.workspace;
  const Index channels = options_.channels;
  const Index depth = form_->depth();
  if (norm_) sum_gradients(inputs, dy.data(), grad);
  for (Index chunk = 0; chunk < plan_.chunks; ++chunk) {
    const Index first = chunk * plan_.chunk;
    const Index last = last_of(chunk);
    const Index rows = (last - first) * rows_per_sample();
    if (!keeps_spectrum()) load_tiles(x.data(), first, last, v(workspace));
    load_gradients(dy.data(), first, last, m(workspace));
    for (Index column = 0; column < channels; column += plan_.columns) {
      const Index columns = std::min(plan_.columns, channels - column);
      S* du = workspace + plan_.du + (plan_.chunks == 1 ? 0 : column);
      multiply_gradients(spectrum_of(first, workspace), m(workspace), rows, column, columns,
                         chunk == 0 ? Into::overwrite : Into::accumulate, du);
      if (chunk + 1 < plan_.chunks) continue;
      const Index stride = plan_.chunks == 1 ? plan_.columns : channels;
      const Index input_blocks = parallel::chunk_count(shape_.in.channels, kWeightRows);
      const Index column_blocks = parallel::chunk_count(columns, kWeightRows);
      parallel::for_each(input_blocks * column_blocks, [&](Index task) {
        const Piece block(task / input_blocks, kWeightRows, columns);
        const Piece input(task % input_blocks, kWeightRows, shape_.in.channels);
        form_->weight_gradient({du + block.first, plan_.du_frequency, stride}, plan_.copies, plan_.du_copy,
                               {column + block.first, column + block.last}, {input.first, input.last}, grad + weight_);
      });
    }
    if (dx.data() == nullptr) continue;
    for (Index column = 0; column < depth; column += plan_.back_columns) {  // dV, in V's place in the workspace
      const Index columns = std::min(plan_.back_columns, depth - column);
      if (chunk == 0 || plan_.back_columns < depth)
        make_weights(inputs.theta, true, column, columns, workspace + plan_.u);
      multiply_spectra(m(workspace), rows, workspace + plan_.u, channels, column, columns, v(workspace));
    }
    const Spectrum<S> dv = v(workspace);
    for_groups(first, last, shape_.in.channels, [&](Index, Index begin, Index end, ChannelRange range) {
      for (Index sample = begin; sample < end; ++sample) {
        S* image = dx.data() + sample * shape_.in.size();
        for (Index pixel = 0; pixel < shape_.in.pixels(); ++pixel)
          std::fill_n(image + pixel * shape_.in.channels + range.first, range.count(), S{0});
        for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
          form_->add_gradient({dv.data + row * dv.row, dv.frequency, dv.row}, tile_y, tile_x, range, image);
        });
      }
    });
  }
  if (bias_ < 0) return;
  const Index groups = parallel::chunk_count(plan_.samples, plan_.group);
  for (Index c = 0; c < channels; ++c) {
    double sum = 0;
    for (Index group = 0; group < groups; ++group) sum += partial_.data()[group * sum_width() + c];
    grad[bias_ + c] = static_cast<S>(sum);
  }
}

template class Convolution<float>;
template class Convolution<double>;

}  // namespace gradscape
