// Probing the steps of a training run, whether it runs for the first time or is replayed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gradscape/landscape/options.hpp"
#include "gradscape/landscape/probe.hpp"
#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// All that a grid keeps of one probed step.
struct SweepRecord {
  std::int64_t step = 0;
  double lr = 0;
  double train_loss = 0;  // the multiplier 0: loss and ‖g‖ at theta_t, in the probe's precision
  double train_grad_norm = 0;
  std::vector<Cell> cells;                 // one per multiplier
  std::vector<std::int32_t> batch_index;   // the batch's samples, as positions in the training set
  std::vector<Augmentation> augmentation;  // of each sample
};

const std::vector<std::string>& direction_names();

/// Steps that `options` select in a run of `total` steps: first, first + every, … up to last, inclusive.
bool is_probed(const SweepOptions& options, std::int64_t step, std::int64_t total);

/// Last probed step the options allow in a run of `total` steps.
std::int64_t last_step(const SweepOptions& options, std::int64_t total);

/// Probes single steps of `process`.
template <class S>
class StepProber {
 public:
  /// `process` must outlive this object; its network's scratch is used.
  StepProber(const SweepOptions& options, TrainingProcess<S>& process, const ModelOptions& model,
             const Dataset& dataset);

  bool wants(std::int64_t step) const { return is_probed(options_, step, process_.total_steps()); }

  /// Probes the step seen. Changes nothing of the training.
  SweepRecord probe_step(const StepView<S>& step);

 private:
  SweepOptions options_;
  TrainingProcess<S>& process_;
  std::unique_ptr<Network<double>> double_network_;  // where cells are in double and the run is not
};

}  // namespace gradscape
