#pragma once

#include <string>

#include "gradscape/study/sweep_plan.hpp"

namespace gradscape {

/// Probes the steps of `segments`, some or all that plan_sweep() finds, by replaying each from its checkpoint; writes
/// one shard per segment, skips those that are there. `experiment` is the run's stored configuration
/// with [sweep] and data.path as wanted. Error where a replayed step differs from the recorded one. On a signal
/// (core/interrupt.hpp) finishes the step, saves what is probed of the segment as a partial shard, which the next call
/// continues, and throws interruption().
/// Returns how many shards were made.
std::size_t sweep(const Experiment& experiment, const RunDirectory& directory, const std::string& name,
                  const std::vector<Segment>& segments);

}  // namespace gradscape
