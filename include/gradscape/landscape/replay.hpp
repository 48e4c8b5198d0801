#pragma once

#include <map>

#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// Takes `state` from its step to `last` by training again, calling `observe` at each step, and compares all that
/// `recorded` says of every step but its wall time, bit for bit (NaN equals NaN). Error at the first difference, naming
/// the step and both values; error also where a step was not recorded. `keep_going` is asked before each step; replay
/// stops early, returning false, when it says no.
template <class S>
bool replay(TrainingProcess<S>& process, TrainingState<S>& state, std::int64_t last,
            const std::map<std::int64_t, TraceRecord>& recorded, const StepObserver<S>& observe,
            const std::function<bool()>& keep_going);

/// Error unless the states agree in every bit (NaN equals NaN), naming the vector and the first element that differ.
template <class S>
void require_same_state(const TrainingState<S>& replayed, const TrainingState<S>& stored, const std::string& where);

}  // namespace gradscape
