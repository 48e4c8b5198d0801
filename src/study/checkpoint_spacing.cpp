#include "gradscape/study/checkpoint_spacing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/store/checkpoint_file.hpp"

namespace gradscape {

std::int64_t checkpoint_spacing(const TrainOptions& options, std::int64_t total, std::int64_t bytes) {
  const double room = options.checkpoint_gb * 1e9 / static_cast<double>(bytes);
  if (room < 2)
    throw UsageError("train.checkpoint_gb",
                     fmt::format("{} GB do not hold the first and the last checkpoint, of {:.3g} GB each",
                                 options.checkpoint_gb, static_cast<double>(bytes) / 1e9),
                     "give more, or set train.checkpoint_every");
  // More checkpoints than steps are of no use.
  const auto affordable = static_cast<std::int64_t>(std::min(room, static_cast<double>(total) + 1)) - 1;
  const std::int64_t segments = std::max<std::int64_t>(1, std::min(options.checkpoint_segments, affordable));
  return std::max<std::int64_t>(1, (total + segments - 1) / segments);
}

template <class S>
Experiment with_checkpoint_spacing(Experiment experiment, TrainingProcess<S>& process) {
  std::int64_t& every = experiment.train.checkpoint_every;
  if (every == kAutomatic)
    every = checkpoint_spacing(experiment.train, process.total_steps(), checkpoint_bytes(process));
  return experiment;
}

template Experiment with_checkpoint_spacing<float>(Experiment, TrainingProcess<float>&);
template Experiment with_checkpoint_spacing<double>(Experiment, TrainingProcess<double>&);

}  // namespace gradscape
