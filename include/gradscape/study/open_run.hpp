// A run with all that is needed to look at its steps: directory, configuration, data, training process, replay.
#pragma once

#include <memory>
#include <string>

#include "gradscape/config/experiment.hpp"
#include "gradscape/store/checkpoint_file.hpp"
#include "gradscape/store/run_directory.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {

template <class S>
class OpenRun {
 public:
  /// Loads the data and makes the training process; no file of the directory is read, nor need it exist.
  /// train.checkpoint_every = "auto" becomes a number. UsageError as for TrainingProcess.
  OpenRun(const Experiment& experiment, const RunDirectory& directory);
  OpenRun(const OpenRun&) = delete;

  const RunDirectory& directory() const { return directory_; }
  const Experiment& experiment() const { return experiment_; }
  const Provenance& provenance() const { return provenance_; }
  const std::string& data_fingerprint() const { return provenance_.data_fingerprint; }
  TrainingProcess<S>& process() { return process_; }

  /// Reads a checkpoint. Error where it is another run's (fields named) or another step's.
  TrainingState<S> checkpoint(std::int64_t step);

  /// Error as for checkpoint() where it is another run's, without reading all of it.
  void require_own_checkpoint(std::int64_t step) const;

  /// Takes `state` to step `last` by training again, showing each step; every one must be as the trace has it, bit for
  /// bit (landscape/replay.hpp). False where a signal stopped it.
  bool replay_to(TrainingState<S>& state, std::int64_t last, const StepObserver<S>& observe);

  /// Shows one step to `observe`, which is not empty, from the checkpoint before it; the step after the last update by
  /// a preview. False where a signal stopped it. Error where no checkpoint lies before it, or it was not trained.
  bool look_at(std::int64_t step, const StepObserver<S>& observe);

 private:
  RunDirectory directory_;
  std::shared_ptr<const Dataset> dataset_;
  TrainingProcess<S> process_;
  Experiment experiment_;
  Provenance provenance_;
};

}  // namespace gradscape
