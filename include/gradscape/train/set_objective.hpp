// A network on a fixed set of images: the mean over a partition into batches, as a function of theta.
#pragma once

#include <cstdint>
#include <vector>

#include "gradscape/core/objective.hpp"
#include "gradscape/data/dataset.hpp"
#include "gradscape/nn/network.hpp"

namespace gradscape {

/// `count` (0: all) of `size` positions, evenly spaced from 0 on: ⌊i·size/count⌋. Whatever order a data set has, each
/// of its parts is there.
std::vector<std::int32_t> spaced_positions(Index size, Index count);

/// Images in the data set's order, not augmented, cut into batches of one size and a last one of what is left: this
/// partition is part of what is computed wherever batch norm takes the batches' statistics. A batch weighs as much as
/// its share of the images; a summed loss is summed.
template <class S>
class SetObjective {
 public:
  /// `images` and `standardisation` must outlive it. Positions may be none. `as_float`: in double, of pixels rounded to
  /// float, the numbers that a run in float sees.
  SetObjective(const ImageSet& images, const Standardisation& standardisation, std::vector<std::int32_t> positions,
               Index batch_size, bool as_float = false);

  Index size() const { return static_cast<Index>(positions_.size()); }
  Index batches() const { return (size() + batch_size_ - 1) / batch_size_; }
  /// Images in the last batch, the smallest.
  Index smallest() const { return size() - (batches() - 1) * batch_size_; }
  /// XXH3 of the positions and the size of batches, in hex.
  std::string fingerprint() const;

  /// Loss, accuracy and, unless `grad` is null, the gradient of the loss.
  Evaluation evaluate(Network<S>& network, const Point<S>& theta, const Vector<S>& buffers, const Pass& pass,
                      Vector<S>* grad = nullptr);

  /// Running statistics at theta: the batches' own, averaged, a batch weighing as much as its share of the images
  /// (Izmailov et al. 2018, section 3.2). `pass` is of train mode.
  Vector<S> average_statistics(Network<S>& network, const Point<S>& theta, const Pass& pass);

 private:
  const Batch<S>& batch(Index number);
  Index first(Index number) const { return number * batch_size_; }
  Index last(Index number) const { return std::min(size(), first(number) + batch_size_); }

  const ImageSet& images_;
  const Standardisation& standardisation_;
  std::vector<std::int32_t> positions_;
  Index batch_size_;
  bool as_float_;
  bool keeps_;                     // all batches are kept, as they are small
  std::vector<Batch<S>> batches_;  // those kept, or the one in use
};

}  // namespace gradscape
