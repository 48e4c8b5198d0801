#pragma once

#include <map>
#include <vector>

#include "gradscape/store/publish.hpp"
#include "gradscape/store/run_directory.hpp"
#include "gradscape/train/trace.hpp"

namespace gradscape {

/// Writes one segment of a trace (docs/format.md).
void write_trace(const std::string& path, const Provenance& provenance, const Trace& trace);

Trace read_trace(const std::string& path);

/// What a run directory's segments hold together, by step. Segments may overlap after an interrupted run; they then
/// agree.
struct WholeTrace {
  std::map<std::int64_t, TraceRecord> steps;
  std::map<std::int64_t, TestRecord> tests;
};

/// Reads the segments that hold steps of [first, last); records outside of it are left out.
WholeTrace read_whole_trace(const RunDirectory& directory, std::int64_t first, std::int64_t last);

/// A piece of training between two neighbouring checkpoints of which not every step can be read.
struct TraceHole {
  std::int64_t first = 0;
  std::int64_t last = 0;             // exclusive
  std::vector<std::string> damaged;  // trace files there
  std::string problem;               // in words
};

/// The holes in a run's trace up to its last checkpoint; `checkpoints` ascending. A file that cannot be read now is an
/// Error, one that is damaged makes a hole.
std::vector<TraceHole> find_trace_holes(const RunDirectory& directory, const std::vector<std::int64_t>& checkpoints);

}  // namespace gradscape
