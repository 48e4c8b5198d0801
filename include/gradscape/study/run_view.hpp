// What one looks at while a run goes on. Found from files alone, which others may be writing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "gradscape/study/run_state.hpp"
#include "gradscape/train/trace.hpp"

namespace gradscape {

/// The loss along the direction at the last step that was probed.
struct LossBand {
  std::int64_t step = 0;
  double min = 0;
  double max = 0;
};

struct RunView {
  RunReport report;
  std::optional<TraceRecord> last_step = {};  // that was recorded
  std::optional<TestRecord> last_test = {};
  std::optional<LossBand> band = {};        // of the sweep that was asked for
  std::optional<std::string> trainer = {};  // the process that trains here now
  // Steps per second from one checkpoint to the next, probes and all: the middle of the last five. Nothing where there
  // are fewer than two checkpoints, or files were copied.
  std::optional<double> rate = {};
  std::optional<double> left = {};  // seconds of training; nothing where nobody trains, or there is no rate
};

/// Looks at a run as inspect_run() does. Error as there.
RunView view_run(const RunDirectory& directory, const SurveyId& survey);

}  // namespace gradscape
