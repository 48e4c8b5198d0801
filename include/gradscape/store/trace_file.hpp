#pragma once

#include <map>

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

}  // namespace gradscape
