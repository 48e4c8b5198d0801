// How a convolution's batch is cut, and where its matrices lie in the workspace: functions of shape and batch size
// alone.
#include <algorithm>

#include "gradscape/nn/convolution.hpp"

namespace gradscape {
namespace {

/// Sizes of blocks. They decide about speed, and about bits only where they cut sums: groups of samples (statistics,
/// bias gradients) and copies of the weight gradient.
constexpr Index kCachedBytes = 8 << 20;  // V and M of the samples taken at a time: they should stay in the last cache
constexpr Index kWeightBytes = 5 << 20;  // of U or dU, likewise
constexpr Index kGradientTasks = 16;     // at least so many for the weight gradient
constexpr Index kFusedWeights = 640 << 10;  // bytes of U up to which a thread takes groups from pixels to pixels
constexpr Index kRangeWeights = 160 << 10;  // of dU of a range of samples
constexpr Index kFusedTiles = 512 << 10;    // and of V and M of a group
constexpr Index kSlotGap = 16;              // between a group's frequencies, in elements

Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Columns of a block so that `rows` rows of them, of every frequency, fill about `bytes`; a multiple of `least`.
template <class S>
Index block_columns(Index columns, Index rows, Index frequencies, Index bytes, Index least) {
  const Index fitting = bytes / (rows * frequencies * static_cast<Index>(sizeof(S)));
  return std::min(columns, std::max(least, fitting / least * least));
}

}  // namespace

template <class S>
bool Convolution<S>::fused() const {
  const Index tiles = form_->frequencies() * group() * rows_per_sample() * (form_->depth() + options_.channels) *
                      static_cast<Index>(sizeof(S));
  return weight_bytes() <= kFusedWeights && tiles <= kFusedTiles;
}

template <class S>
Index Convolution<S>::plan(Index samples) {
  if (samples == plan_.samples && parallel::slots() == plan_.slots) return plan_.size;
  const Index channels = options_.channels;
  const Index frequencies = form_->frequencies();
  const Index depth = form_->depth();
  const Index rows = rows_per_sample();
  const auto bytes = static_cast<Index>(sizeof(S));
  Plan p;
  p.samples = samples;
  p.group = group();
  // Every chunk meets all of U and dU: fewer chunks where those do not stay in the cache anyway.
  const Index chunk_bytes = std::max(kCachedBytes, weight_bytes());
  p.chunks = std::max<Index>(1, samples * rows * frequencies * (depth + channels) * bytes / chunk_bytes);
  p.chunk = std::min(samples, round_up(parallel::chunk_count(samples, p.chunks), p.group));
  p.chunks = parallel::chunk_count(samples, p.chunk);
  p.columns = block_columns<S>(channels, depth, frequencies, kWeightBytes, kProductColumns);
  p.back_columns = block_columns<S>(depth, channels, frequencies, kWeightBytes, kProductColumns);
  const Index tasks =
      frequencies * parallel::chunk_count(depth, kProductRows) * parallel::chunk_count(p.columns, kProductColumns);
  p.copies = std::clamp<Index>(kGradientTasks / tasks, 1, parallel::chunk_count(p.chunk * rows, kProductRows));

  if (options_.by_ranges && fused() && weight_bytes() <= kRangeWeights) {
    p.ranges = std::min(kGradientTasks, parallel::chunk_count(samples, p.group));
    p.copies = p.ranges;
    p.chunk = std::min(p.group, samples);  // there is no other
    p.chunks = 1;
  }
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
  p.slot = p.du + p.copies * p.du_copy;
  p.slots = parallel::slots();
  p.slot_v_frequency = round_up(p.group * rows * depth, 16) + kSlotGap;
  p.slot_m_frequency = round_up(p.group * rows * channels, 16) + kSlotGap;
  p.slot_image = round_up(frequencies * (p.slot_v_frequency + p.slot_m_frequency), 16);
  p.slot_size = fused() ? p.slot_image + round_up(shape_.in.size(), 16) : 0;
  p.size = p.slot + p.slots * p.slot_size;
  plan_ = p;

  const Index outputs = samples * this->out().size();
  const Index groups = parallel::chunk_count(samples, p.group);
  if (routes()) route_.at_least(outputs);
  if (norm_) normalised_.at_least(samples * shape_.out.size());
  if (norm_ && options_.max_pool) pooled_.at_least(outputs);
  partial_.at_least(groups * 3 * sum_width());
  return p.size;
}

/// Elements of a block of columns of U in panels, as make_weights() writes it.
template <class S>
Index Convolution<S>::weights_size() const {
  return round_up(form_->frequencies() * (panels_size<S>(form_->depth(), plan_.columns) + kGap), 16);
}

#define GRADSCAPE_INSTANTIATE(S)               \
  template bool Convolution<S>::fused() const; \
  template Index Convolution<S>::plan(Index);  \
  template Index Convolution<S>::weights_size() const;
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
