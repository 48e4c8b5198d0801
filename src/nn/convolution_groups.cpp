// Convolutions whose U is small: one thread takes a group of samples from pixels to pixels, V and M in its cache. The
// values are those of the products in chunks (convolution.cpp).
#include <algorithm>

#include "gradscape/nn/convolution.hpp"

namespace gradscape {

/// Tiles of a sample, where V begins with those of `first`.
template <class S>
void Convolution<S>::load_image(const S* image, Index sample, Index first, ChannelRange channels, Spectrum<S> v) const {
  for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
    form_->load(image, tile_y, tile_x, channels, {v.data + row * v.row, v.frequency, v.row});
  });
}

/// Likewise of the samples [begin, end), the norm applied that is still to be.
template <class S>
void Convolution<S>::load_group(const LayerInputs<S>& inputs, const S* x, Index begin, Index end, Index first,
                                Index slot, Spectrum<S> v) const {
  // x [N·H·W, Cin]
  S* const finished = inputs.workspace + plan_.slot + slot * plan_.slot_size + plan_.slot_image;
  for (Index sample = begin; sample < end; ++sample) {
    const S* image = x + sample * shape_.in.size();
    if (inputs.norm) {
      inputs.norm.apply(image, shape_.in.pixels(), shape_.in.channels, finished);
      image = finished;
    }
    load_image(image, sample, first, {0, shape_.in.channels}, v);
  }
}

/// dV → dx of the samples [begin, end).
template <class S>
void Convolution<S>::add_group_gradients(Spectrum<S> dv, Index begin, Index end, Index first, ChannelRange channels,
                                         S* dx) const {
  for (Index sample = begin; sample < end; ++sample) {
    S* image = dx + sample * shape_.in.size();
    for (Index pixel = 0; pixel < shape_.in.pixels(); ++pixel)
      std::fill_n(image + pixel * shape_.in.channels + channels.first, channels.count(), S{0});
    for_tiles(sample, first, [&](Index tile_y, Index tile_x, Index row) {
      form_->add_gradient({dv.data + row * dv.row, dv.frequency, dv.row}, tile_y, tile_x, channels, image);
    });
  }
}

/// c_f = a_f·u_f for all frequencies, on this thread; a has `rows` rows of `depth` elements, u all `columns`.
template <class S>
void Convolution<S>::multiply_group(Spectrum<S> a, Index rows, const S* u, Index depth, Index columns,
                                    Spectrum<S> c) const {
  const Index frequency = panels_size<S>(depth, columns) + kGap;
  for (Index f = 0; f < form_->frequencies(); ++f)
    multiply_panels<S>({a.data + f * a.frequency, rows, depth, a.row}, u + f * frequency,
                       {c.data + f * c.frequency, rows, columns, c.row}, Into::overwrite);
}

/// Each group of samples from pixels to pixels on one thread, V and M in its cache: the same values as in chunks.
template <class S>
void Convolution<S>::forward_in_groups(const LayerInputs<S>& inputs, const S* x, S* y) {
  S* u = inputs.workspace + plan_.u;
  make_weights(inputs.theta, false, 0, options_.channels, u);
  for_whole_groups(0, plan_.samples, [&](Index group, Index begin, Index end, Index slot) {
    const Spectrum<S> v = slot_v(inputs.workspace, slot), m = slot_m(inputs.workspace, slot);
    load_group(inputs, x, begin, end, begin, slot, v);
    multiply_group(v, (end - begin) * rows_per_sample(), u, form_->depth(), options_.channels, m);
    for (Index channel = 0; channel < options_.channels; channel += kChannels)
      store_group(group, begin, end, begin, {channel, std::min(channel + kChannels, options_.channels)}, m, y);
  });
}

/// Each range of samples on one thread, group by group: V, dM, its part of dU, dV and dx, all in its cache.
template <class S>
void Convolution<S>::backward_in_ranges(const LayerInputs<S>& inputs, const S* x, const S* dy, S* dx, S* grad) {
  // x, dx [N·H·W, Cin], dy [N·H'·W', Cout]; of a range: dU_f [depth, Cout]
  const Index channels = options_.channels, depth = form_->depth();
  S* const u = inputs.workspace + plan_.u;
  S* const du = inputs.workspace + plan_.du;
  if (dx != nullptr) make_weights(inputs.theta, true, 0, depth, u);
  const Index groups = parallel::chunk_count(plan_.samples, plan_.group);
  parallel::for_each_in_slots(plan_.ranges, [&](Index range, Index slot) {
    const Spectrum<S> v = slot_v(inputs.workspace, slot), m = slot_m(inputs.workspace, slot);
    const Index first = range * groups / plan_.ranges, last = (range + 1) * groups / plan_.ranges;
    for (Index group = first; group < last; ++group) {
      const Index begin = group * plan_.group, end = std::min(begin + plan_.group, plan_.samples);
      const Index rows = (end - begin) * rows_per_sample();
      load_group(inputs, x, begin, end, begin, slot, v);
      for (Index channel = 0; channel < channels; channel += kChannels)
        load_group_gradients(dy, group, begin, end, begin, {channel, std::min(channel + kChannels, channels)}, m);
      for (Index f = 0; f < form_->frequencies(); ++f)
        multiply_transposed_a<S>({v.data + f * v.frequency, rows, depth, v.row},
                                 {m.data + f * m.frequency, rows, channels, m.row},
                                 {du + range * plan_.du_copy + f * plan_.du_frequency, depth, channels, channels},
                                 group == first ? Into::overwrite : Into::accumulate);
      if (dx == nullptr) continue;
      multiply_group(m, rows, u, channels, depth, v);  // dV in V's place
      add_group_gradients(v, begin, end, begin, {0, shape_.in.channels}, dx);
    }
  });
  gather_weight_gradient(du, 0, channels, channels, grad);
}

#define GRADSCAPE_INSTANTIATE(S)                                                                                     \
  template void Convolution<S>::load_image(const S*, Index, Index, ChannelRange, Spectrum<S>) const;                 \
  template void Convolution<S>::load_group(const LayerInputs<S>&, const S*, Index, Index, Index, Index, Spectrum<S>) \
      const;                                                                                                         \
  template void Convolution<S>::add_group_gradients(Spectrum<S>, Index, Index, Index, ChannelRange, S*) const;       \
  template void Convolution<S>::multiply_group(Spectrum<S>, Index, const S*, Index, Index, Spectrum<S>) const;       \
  template void Convolution<S>::forward_in_groups(const LayerInputs<S>&, const S*, S*);                              \
  template void Convolution<S>::backward_in_ranges(const LayerInputs<S>&, const S*, const S*, S*, S*);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
