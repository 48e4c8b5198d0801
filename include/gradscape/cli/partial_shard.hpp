// The finished part of a segment that a sweep was stopped in.
#pragma once

#include "gradscape/cli/sweep_plan.hpp"
#include "gradscape/landscape/sweep.hpp"
#include "gradscape/store/publish.hpp"
#include "gradscape/store/trace_file.hpp"

namespace gradscape {

/// The records that a stopped sweep left of `segment`: those of its first probed steps. None where there is no such
/// file; none, saying why, where it is damaged, of another run, sweep or program, or does not agree with the recorded
/// training `trace`. `provenance` is what the sweep's shards get.
std::vector<SweepRecord> read_partial_shard(const std::string& path, const Segment& segment, const std::string& sweep,
                                            const Experiment& experiment, const Provenance& provenance,
                                            const WholeTrace& trace);

}  // namespace gradscape
