#include "gradscape/landscape/replay.hpp"

#include <fmt/format.h>

#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/same_value.hpp"

namespace gradscape {
namespace {

constexpr const char* kLikelyCause =
    "the run was likely made by another version or build of the program, or its files were changed; "
    "`gradscape info` on the checkpoint shows what wrote it. Train again with this program, or sweep with that one";

template <class S>
void require_same(const Vector<S>& replayed, const Vector<S>& stored, const std::string& name,
                  const std::string& where) {
  if (replayed.size() != stored.size())
    throw Error(where, fmt::format("{} has {} elements after replay and {} in the checkpoint", name, replayed.size(),
                                   stored.size()));
  for (Index i = 0; i < replayed.size(); ++i)
    if (!same_value(replayed[i], stored[i]))
      throw Error(where,
                  fmt::format("replay does not reproduce the checkpoint: {}[{}] is {} replayed and {} stored", name, i,
                              replayed[i], stored[i]),
                  kLikelyCause);
}

void require_same_count(std::int64_t replayed, std::int64_t stored, const char* name, const std::string& where) {
  if (replayed == stored) return;
  throw Error(where, fmt::format("{} is {} after replay and {} in the checkpoint", name, replayed, stored),
              kLikelyCause);
}

/// What a trace records of a step, its wall time left out.
constexpr std::pair<const char*, double TraceRecord::*> kRecorded[] = {{"loss", &TraceRecord::loss},
                                                                       {"accuracy", &TraceRecord::accuracy},
                                                                       {"lr", &TraceRecord::lr},
                                                                       {"grad_norm", &TraceRecord::grad_norm},
                                                                       {"theta_norm", &TraceRecord::theta_norm},
                                                                       {"update_norm", &TraceRecord::update_norm}};

void require_same_record(const TraceRecord& replayed, const TraceRecord& recorded) {
  for (const auto& [name, value] : kRecorded)
    if (!same_value(replayed.*value, recorded.*value))
      throw Error(fmt::format("step {}", replayed.step),
                  fmt::format("replay does not reproduce the run: the {} is {} replayed and {} recorded", name,
                              replayed.*value, recorded.*value),
                  kLikelyCause);
}

}  // namespace

template <class S>
bool replay(TrainingProcess<S>& process, TrainingState<S>& state, std::int64_t last,
            const std::map<std::int64_t, TraceRecord>& recorded, const StepObserver<S>& observe,
            const std::function<bool()>& keep_going) {
  while (state.step < last) {
    if (keep_going && !keep_going()) return false;
    const auto found = recorded.find(state.step);
    if (found == recorded.end())
      throw Error("trace", fmt::format("step {} was not recorded", state.step),
                  "a trace file is missing; `gradscape train --resume` makes it again from the checkpoint before it");
    process.advance(state, [&](const StepView<S>& step) {
      require_same_record(step.record, found->second);
      if (observe) observe(step);
    });
  }
  return true;
}

template <class S>
void require_same_state(const TrainingState<S>& replayed, const TrainingState<S>& stored, const std::string& where) {
  require_same_count(replayed.step, stored.step, "step", where);
  require_same_count(replayed.optimizer.updates, stored.optimizer.updates, "the number of optimiser updates", where);
  check(replayed.optimizer.names == stored.optimizer.names, "states of one optimiser");
  require_same(replayed.theta, stored.theta, "theta", where);
  require_same(replayed.buffers, stored.buffers, "buffers", where);
  for (std::size_t slot = 0; slot < stored.optimizer.slots.size(); ++slot)
    require_same(replayed.optimizer.slots[slot], stored.optimizer.slots[slot], stored.optimizer.names[slot], where);
}

#define GRADSCAPE_INSTANTIATE(S)                                                              \
  template bool replay<S>(TrainingProcess<S>&, TrainingState<S>&, std::int64_t,               \
                          const std::map<std::int64_t, TraceRecord>&, const StepObserver<S>&, \
                          const std::function<bool()>&);                                      \
  template void require_same_state<S>(const TrainingState<S>&, const TrainingState<S>&, const std::string&);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
