// Probing the steps of a training run, whether it runs for the first time or is replayed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gradscape/landscape/options.hpp"
#include "gradscape/landscape/probe.hpp"
#include "gradscape/landscape/set_probe.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/train/network_objective.hpp"
#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// All that a grid keeps of one probed step.
struct SweepRecord {
  std::int64_t step = 0;
  double lr = 0;
  double train_loss = 0;  // the multiplier 0: loss and ‖g‖ at theta_t, in the probe's precision
  double train_grad_norm = 0;
  double noise_floor = 0;                  // relative error of the gradient at the segment's first step
  std::vector<Cell> cells;                 // one per multiplier
  SetRecord set;                           // where sweep.on is not the batch
  std::vector<std::int32_t> batch_index;   // the batch's samples, as positions in the training set
  std::vector<Augmentation> augmentation;  // of each sample
};

const std::vector<std::string>& direction_names();

/// The step at which the noise floor of the probed step `step` is measured: the first of its segment
/// [k·segment, (k + 1)·segment), whichever steps are probed.
inline std::int64_t floor_step(std::int64_t segment, std::int64_t step) {
  return step / segment * segment;
}

/// How many cells of a step are evaluated at once, each on one thread, rather than one after the other on all of them:
/// more than one where layers are so small that threads wait for each other more than they work. `flops`: operations of
/// a mean layer of one evaluation, over all samples.
int cells_at_once(double flops, std::size_t cells, int threads);

/// The probers of a step's cells, kept from step to step.
template <class P>
struct ProberPool {
  std::vector<std::unique_ptr<Network<P>>> networks;  // of all probers but the first
  std::vector<NetworkObjective<P>> objectives;
  std::vector<Prober<P>> probers;
  Vector<P> ray;  // where it is not the gradient
};

/// Gaussian direction of step `step`, of the norm of `grad`.
template <class S>
void draw_direction(std::uint64_t seed, std::int64_t step, const Vector<S>& grad, Vector<S>& direction);

/// Probes single steps of `process`.
template <class S>
class StepProber {
 public:
  /// `process` must outlive this object; its network's scratch is used, and given back now and then.
  /// `segment`: steps for which a noise floor holds, the same wherever the run is probed (docs/definitions.md).
  StepProber(const SweepOptions& options, TrainingProcess<S>& process, std::int64_t segment);

  /// The names of the layers that cells tell of; none unless sweep.layers.
  const std::vector<std::string>& layers() const { return layers_; }

  /// The earlier step whose noise floor the probed step `step` needs and this prober has not measured: measure_floor()
  /// must be shown it first. −1: there is none.
  std::int64_t missing_floor(std::int64_t step) const;

  /// Measures the noise floor at the step seen, for the probed steps of its segment.
  void measure_floor(const StepView<S>& step);

  /// Takes over the noise floor of the record of `step` that was made before, for the other steps of its segment.
  void adopt_floor(std::int64_t step, double noise_floor);

  /// Probes the step seen, and measures the floor there where that is due. Changes nothing of the training.
  SweepRecord probe_step(const StepView<S>& step);

 private:
  template <class P>
  void probe_in(Network<P>& network, Engine engine, const Pass& pass, const Batch<P>& batch, const Vector<P>& theta,
                const Vector<P>& buffers, const Vector<P>& grad, const Vector<P>& theta_next, ProberPool<P>& pool,
                SweepRecord& record);

  SweepOptions options_;
  TrainingProcess<S>& process_;
  std::int64_t segment_;
  std::unique_ptr<Network<double>> double_network_;  // where cells are in double and the run is not
  bool exact_;                                       // g is double-direct itself: the floor is 0
  std::int64_t floor_step_ = -1;                     // where the floor was measured; −1: nowhere yet
  double floor_ = 0;
  ProbeOptions probe_options_;
  std::vector<std::string> layers_;
  std::unique_ptr<SetProbe<S>> set_;  // null: the batch alone
  ProberPool<S> pool_;
  ProberPool<double> double_pool_;  // with double_network_
};

}  // namespace gradscape
