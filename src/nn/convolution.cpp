#include "gradscape/nn/convolution.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"

namespace gradscape {
namespace {

/// Rows of U, or input channels, of one task that transforms weights.
constexpr Index kWeightRows = 32;

FeatureShape convolved(FeatureShape in, const ConvolutionOptions& options) {
  const Index height = in.height + options.padding.height() - options.dilation * (options.kernel_height - 1) - 1;
  const Index width = in.width + options.padding.width() - options.dilation * (options.kernel_width - 1) - 1;
  check(height >= 0 && width >= 0, "a kernel fits into its padded image");
  return {height / options.stride + 1, width / options.stride + 1, options.channels};
}

FeatureShape output_of(FeatureShape in, const ConvolutionOptions& options) {
  FeatureShape out = convolved(in, options);
  if (options.max_pool) out = {out.height / 2, out.width / 2, out.channels};
  check(out.pixels() > 0, "a pooling window fits into its image");
  return out;
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
    : Convolution(
          LinearTensors(parameters, name, {options.channels, in.channels, options.kernel_height, options.kernel_width},
                        options.bias),
          in, options, ordinal, engine) {
  if (options.norm) norm_.emplace(parameters, buffers, norm_name, options.channels, *options.norm);
}

template <class S>
Convolution<S>::Convolution(const LinearTensors& tensors, FeatureShape in, const ConvolutionOptions& options,
                            std::uint32_t ordinal, Engine engine)
    : Layer<S>(in, output_of(in, options)),
      shape_{in,
             convolved(in, options),
             options.kernel_height,
             options.kernel_width,
             options.stride,
             options.padding,
             options.dilation},
      options_(options),
      tensors_(tensors),
      ordinal_(ordinal),
      form_(make_tile_form<S>(shape_, engine)),
      sums_(static_cast<std::size_t>(2 * options.channels)),
      squares_(static_cast<std::size_t>(options.channels)),
      zeros_(Vector<S>::Zero(options.channels)),
      ones_(Vector<S>::Ones(options.channels)),
      shift_(options.channels) {}

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
  initialise_linear(theta + tensors_.weight, options_.channels * shape_.in.channels * area,
                    tensors_.bias < 0 ? nullptr : theta + tensors_.bias, options_.channels, shape_.in.channels * area,
                    options_.channels * area, init, seed, ordinal_);
  if (norm_) norm_->initialise(theta);
}

template <class S>
void Convolution<S>::initialise_buffers(S* buffers) const {
  if (norm_) norm_->initialise_buffers(buffers);
}

template <class S>
void Convolution<S>::release() {
  plan_ = {};  // so that plan() allocates again
  kept_.release();
  kept_id_ = 0;
  normalised_.release();
  pooled_.release();
  route_.release();
  partial_.release();
}

template <class S>
void Convolution<S>::load_tiles(const S* x, Index first, Index last, Spectrum<S> v) const {
  // x [N·H·W, Cin]; V_f [rows, depth], `rows` being those of the tiles of samples [first, last)
  for_groups(first, last, shape_.in.channels, [&](Index, Index begin, Index end, ChannelRange channels) {
    for (Index sample = begin; sample < end; ++sample)
      load_image(x + sample * shape_.in.size(), sample, first, channels, v);
  });
}

/// Columns [first, first + columns) of U or, `transposed`, of Uᵀ.
template <class S>
void Convolution<S>::make_weights(const Point<S>& theta, bool transposed, Index first, Index columns, S* u) const {
  // weight [Cout, Cin, Kh, Kw]; in panels, U_f [depth, columns] or U_fᵀ [Cout, columns]
  const Index rows = transposed ? options_.channels : form_->depth();
  const Index panels = parallel::chunk_count(columns, kPanel<S>);
  const Index blocks = parallel::chunk_count(rows, kWeightRows);
  const Index frequency = panels_size<S>(rows, columns) + kGap;
  parallel::for_each(panels * blocks, [&](Index task) {
    const Piece block(task % blocks, kWeightRows, rows);
    const Index panel = task / blocks;
    form_->weights(theta, tensors_.weight, transposed, first / kPanel<S> + panel, block.first, block.last,
                   u + panel * rows * kPanel<S>, frequency);
  });
}

/// All blocks of columns of U for passes that name their theta: made in the first of them. Null for others.
template <class S>
const S* Convolution<S>::keep_weights(const LayerInputs<S>& inputs) {
  const std::uint64_t id = inputs.pass.theta_id;
  if (id == 0) return nullptr;
  const Index channels = options_.channels;
  S* kept = kept_.at_least(parallel::chunk_count(channels, plan_.columns) * weights_size());
  if (id == kept_id_) return kept;
  kept_id_ = 0;
  for (Index column = 0; column < channels; column += plan_.columns)
    make_weights(inputs.theta, false, column, std::min(plan_.columns, channels - column),
                 kept + column / plan_.columns * weights_size());
  kept_id_ = id;
  return kept;
}

/// c_f[:, first … first + columns) = a_f · u_f for all frequencies; a has `rows` rows of `depth` elements.
template <class S>
void Convolution<S>::multiply_spectra(Spectrum<S> a, Index rows, const S* u, Index depth, Index first, Index columns,
                                      Spectrum<S> c) const {
  // a_f [rows, depth], u_f [depth, columns] in panels, c_f [rows, columns] from column `first` on
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
  // x [N·H·W, Cin], weight [Cout, Cin, Kh, Kw], bias [Cout], y [N·H'·W', Cout]
  // per chunk of samples and frequency: M_f [rows, Cout] = V_f [rows, depth]·U_f [depth, Cout]
  S* workspace = inputs.workspace;
  S* u = workspace + plan_.u;
  if (norm_) norm_->prepare(inputs);
  if (tensors_.bias >= 0)
    inputs.theta.copy(tensors_.bias, options_.channels, shift_.data());
  else
    shift_.setZero();
  if (fused()) forward_in_groups(inputs, x.data(), y.data());
  const S* kept = fused() ? nullptr : keep_weights(inputs);
  for (Index chunk = 0; chunk < plan_.chunks && !fused(); ++chunk) {
    const Index first = chunk * plan_.chunk;
    const Index last = last_of(chunk);
    load_tiles(x.data(), first, last, v(workspace));
    for (Index column = 0; column < options_.channels; column += plan_.columns) {
      const Index columns = std::min(plan_.columns, options_.channels - column);
      if (kept == nullptr && (chunk == 0 || plan_.columns < options_.channels))
        make_weights(inputs.theta, false, column, columns, u);
      multiply_spectra(v(workspace), (last - first) * rows_per_sample(),
                       kept == nullptr ? u : kept + column / plan_.columns * weights_size(), form_->depth(), column,
                       columns, m(workspace));
    }
    store_tiles(first, last, m(workspace), y.data());
  }
  if (!norm_) return;
  take_statistics(inputs);
  if (!inputs.defer) normalise(y.data());
}

template <class S>
Taken<S> Convolution<S>::deferred(Index samples) const {
  return {{normalised_.data(), samples * shape_.out.pixels(), options_.channels}, output_norm()};
}

/// dU_f[:, first … first + columns) (+)= V_fᵀ · dM_f[:, …), each copy from its part of the rows.
template <class S>
void Convolution<S>::multiply_gradients(Spectrum<S> v, Spectrum<S> m, Index rows, Index first, Index columns, Into into,
                                        S* du) const {
  // V_f [rows, depth], dM_f [rows, Cout], dU_f [depth, columns] in `copies`
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

/// dU → the gradient of the weight, for `columns` output channels from `column` on.
template <class S>
void Convolution<S>::gather_weight_gradient(S* du, Index column, Index columns, Index stride, S* grad) const {
  // dU_f [depth, columns] in `copies`; in grad: weight [Cout, Cin, Kh, Kw]
  const Index input_blocks = parallel::chunk_count(shape_.in.channels, kWeightRows);
  const Index column_blocks = parallel::chunk_count(columns, kWeightRows);
  parallel::for_each(input_blocks * column_blocks, [&](Index task) {
    const Piece block(task / input_blocks, kWeightRows, columns);
    const Piece input(task % input_blocks, kWeightRows, shape_.in.channels);
    form_->weight_gradient({du + block.first, plan_.du_frequency, stride}, plan_.copies, plan_.du_copy,
                           {column + block.first, column + block.last}, {input.first, input.last},
                           grad + tensors_.weight);
  });
}

template <class S>
void Convolution<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  // x, dx [N·H·W, Cin], dy [N·H'·W', Cout]; in grad: weight [Cout, Cin, Kh, Kw], bias [Cout]
  // dU_f [depth, Cout] = V_fᵀ·dM_f, dV_f [rows, depth] = dM_f [rows, Cout]·U_fᵀ
  S* workspace = inputs.workspace;
  const Index channels = options_.channels;
  const Index depth = form_->depth();
  if (norm_) sum_gradients(inputs, dy.data(), grad);
  if (plan_.ranges > 0) {
    backward_in_ranges(inputs, x.data(), dy.data(), dx.data(), grad);
    return sum_bias(grad);
  }
  const bool fused_dx = fused() && dx.data() != nullptr;
  if (fused_dx) make_weights(inputs.theta, true, 0, depth, workspace + plan_.u);
  for (Index chunk = 0; chunk < plan_.chunks; ++chunk) {
    const Index first = chunk * plan_.chunk;
    const Index last = last_of(chunk);
    const Index rows = (last - first) * rows_per_sample();
    if (fused()) {
      for_whole_groups(first, last, [&](Index group, Index begin, Index end, Index slot) {
        load_group(inputs, x.data(), begin, end, first, slot, v(workspace));
        for (Index channel = 0; channel < channels; channel += kChannels)
          load_group_gradients(dy.data(), group, begin, end, first, {channel, std::min(channel + kChannels, channels)},
                               m(workspace));
        if (!fused_dx) return;
        Spectrum<S> dm = m(workspace);
        dm.data += (begin - first) * rows_per_sample() * dm.row;
        multiply_group(dm, (end - begin) * rows_per_sample(), workspace + plan_.u, channels, depth,
                       slot_v(workspace, slot));
        add_group_gradients(slot_v(workspace, slot), begin, end, begin, {0, shape_.in.channels}, dx.data());
      });
    } else {
      load_tiles(x.data(), first, last, v(workspace));
      load_gradients(dy.data(), first, last, m(workspace));
    }
    for (Index column = 0; column < channels; column += plan_.columns) {
      const Index columns = std::min(plan_.columns, channels - column);
      S* du = workspace + plan_.du + (plan_.chunks == 1 ? 0 : column);
      multiply_gradients(v(workspace), m(workspace), rows, column, columns,
                         chunk == 0 ? Into::overwrite : Into::accumulate, du);
      if (chunk + 1 < plan_.chunks) continue;
      gather_weight_gradient(du, column, columns, plan_.chunks == 1 ? plan_.columns : channels, grad);
    }
    if (dx.data() == nullptr || fused()) continue;
    for (Index column = 0; column < depth; column += plan_.back_columns) {  // dV, in V's place in the workspace
      const Index columns = std::min(plan_.back_columns, depth - column);
      if (chunk == 0 || plan_.back_columns < depth)
        make_weights(inputs.theta, true, column, columns, workspace + plan_.u);
      multiply_spectra(m(workspace), rows, workspace + plan_.u, channels, column, columns, v(workspace));
    }
    const Spectrum<S> dv = v(workspace);
    for_groups(first, last, shape_.in.channels, [&](Index, Index begin, Index end, ChannelRange range) {
      add_group_gradients(dv, begin, end, first, range, dx.data());
    });
  }
  sum_bias(grad);
}

template <class S>
void Convolution<S>::sum_bias(S* grad) const {
  // partial_ [groups, sum_width()]
  if (tensors_.bias < 0) return;
  const Index groups = parallel::chunk_count(plan_.samples, plan_.group);
  for (Index c = 0; c < options_.channels; ++c) {
    double sum = 0;
    for (Index group = 0; group < groups; ++group) sum += partial_.data()[group * sum_width() + c];
    grad[tensors_.bias + c] = static_cast<S>(sum);
  }
}

template class Convolution<float>;
template class Convolution<double>;

}  // namespace gradscape
