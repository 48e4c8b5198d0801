// Progress of a study's runs: which steps are trained, and which segments of a survey are done.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "gradscape/study/survey_plan.hpp"

namespace gradscape {

/// done: a whole shard. partial: some rows of one, which the next call completes. damaged: a shard that cannot
/// be read, is another run's or holds other steps. untrained: training has not reached the segment's end.
enum class SegmentState { done, partial, missing, damaged, untrained };
inline constexpr int kSegmentStates = 5;

/// "done", "partial" …
std::string segment_state_name(SegmentState state);

struct SegmentReport {
  Segment segment;
  SegmentState state = SegmentState::missing;
  std::int64_t probed = 0;  // steps that are stored
  std::string problem;      // of a damaged one: where and what
};

/// A derived file that does not show what its run holds now.
struct StaleFile {
  std::string path;
  std::string because;
  std::string renewed_by;  // a command
};

/// Why a derived file is stale, in words, or damaged; nothing where it is neither.
std::optional<std::string> stale_because(const std::string& path);

/// Error where it is stale.
void require_fresh(const std::string& path);

/// The command that makes a derived file again.
std::string renewal(const std::string& path);

/// What is known of one survey of a run.
struct SurveyReport {
  SurveyId id;
  std::vector<SegmentReport> segments = {};  // of the whole run, untrained ones as they will be
  bool merged = false;                       // whether there is a merged file
  std::optional<double> left = {};           // seconds, by the pace at which shards were written

  std::int64_t count(SegmentState state) const;
  bool complete() const;  // every segment done
};

/// What is known of one run and of its surveys. Found from files alone; no data set is loaded.
struct RunReport {
  RunDirectory directory;
  Experiment experiment;
  std::int64_t trained = 0;  // updates done, by the last whole checkpoint
  std::int64_t total = -1;   // of the run; -1: not known before training begins (epochs, checkpoint_every = "auto")
  std::string data_fingerprint = {};  // of the training images; empty before training begins
  std::vector<std::string> problems =
      {};                             // checkpoints and traces that are damaged or missing: `train --resume` mends them
  std::vector<StaleFile> stale = {};  // derived files of the run, of any survey
  std::vector<SurveyReport> surveys = {};                                // the sweep that was asked for is the first
  std::optional<std::chrono::system_clock::time_point> last_write = {};  // of checkpoints, traces and shards
  std::optional<double> training_left =
      {};  // seconds, by the mean of the last trace segment; nothing where none is known

  /// Trained to the end, every segment of every survey done, nothing damaged or missing of the training.
  bool complete() const;
};

/// Looks at a run that need not have begun: at this survey, if it is a sweep also at the analyses that were begun.
/// Error where its configuration cannot be read.
RunReport inspect_run(const RunDirectory& directory, const Experiment& experiment, const SurveyId& survey);

/// The tasks of `tasks` whose shares of the segments of all runs' first survey (assign_tasks) are not all done,
/// ascending. Runs in find_runs() order. All tasks, where a run's length is not known yet.
std::vector<std::int64_t> unfinished_tasks(const std::vector<RunReport>& runs, int tasks);

}  // namespace gradscape
