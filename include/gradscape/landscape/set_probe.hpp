// The loss over a fixed set of images at the points of a probe, beside that of the step's batch (sweep.on): does the
// batch's gradient predict the loss that is meant?
#pragma once

#include <cstdint>
#include <vector>

#include "gradscape/landscape/options.hpp"
#include "gradscape/landscape/probe.hpp"
#include "gradscape/train/set_objective.hpp"
#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// Means over the set at one point. The gradient's numbers are NaN unless sweep.on_gradients.
struct SetValue {
  double loss = 0;
  double accuracy = 0;   // fraction of the set; NaN of regression
  double grad_norm = 0;  // ‖G(theta(m))‖₂, G the gradient of the set's loss       loss / weight
  double grad_diff = 0;  // ‖G(theta(m)) − G(theta)‖₂; 0 at theta                   loss / weight
};

/// Extremes of the set's loss over the cells in front of theta (m > 0): NaN is skipped, infinities are kept.
struct SetBands {
  double loss_min = 0;
  double loss_max = 0;
};

struct SetRecord {
  SetValue at_theta;
  double grad_cos = 0;          // ⟨G(theta), g⟩/(‖G(theta)‖·‖g‖): how alike set and batch are
  std::vector<SetValue> cells;  // one per multiplier
};

SetBands make_bands(const std::vector<SetValue>& cells, const std::vector<double>& multipliers);

/// Evaluates a network on the set: batches as large as training's in the data set's order, images not augmented; a
/// batch weighs as much as its share of the images, and a summed loss is summed. In train mode batch norm takes each
/// batch's statistics, and dropout and noise are the training step's, for each batch alike.
template <class S>
class SetProbe {
 public:
  /// `process` must outlive this object. UsageError where the data have no such images, or a batch is too small for
  /// batch norm.
  SetProbe(const SweepOptions& options, TrainingProcess<S>& process);

  Index size() const { return static_cast<Index>(positions_.size()); }

  /// In the network's precision P: at theta and at each multiplier along `ray`, where `grad` is the batch's gradient.
  /// `step`: of the batch. Pure except for the network's scratch.
  template <class P>
  SetRecord probe(Network<P>& network, const Vector<P>& theta, const Vector<P>& buffers, const Vector<P>& grad,
                  const Ray<P>& ray, const Pass& step) const;

 private:
  std::vector<double> multipliers_;
  bool gradients_;
  Mode mode_;
  const ImageSet& images_;
  const Standardisation& standardisation_;
  std::vector<std::int32_t> positions_;
  Index batch_size_;
};

}  // namespace gradscape
