#pragma once

#include <string>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

/// CPU seconds of a training step, by the traces of a run in or below `place` whose steps cost the same: model, batch
/// size, optimiser, precision and engine agree. It is the median of the recorded wall times, all threads of that run
/// counted as busy. Error where no run there agrees (fields named), or none has a trace.
double recorded_step_cpu(const std::string& place, const Experiment& experiment);

}  // namespace gradscape
