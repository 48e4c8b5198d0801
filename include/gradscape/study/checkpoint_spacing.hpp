// train.checkpoint_every = "auto": as many segments as tasks are wanted, as far as the disk allows.
#pragma once

#include <cstdint>

#include "gradscape/config/experiment.hpp"
#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// Steps between checkpoints that cut `total` steps into train.checkpoint_segments segments, or as many as leave all
/// their checkpoints (one more than segments) of `bytes` each within train.checkpoint_gb. UsageError where not even the
/// first and the last checkpoint fit.
std::int64_t checkpoint_spacing(const TrainOptions& options, std::int64_t total, std::int64_t bytes);

/// The experiment with a number in the place of "auto". `process` is the experiment's own.
template <class S>
Experiment with_checkpoint_spacing(Experiment experiment, TrainingProcess<S>& process);

}  // namespace gradscape
