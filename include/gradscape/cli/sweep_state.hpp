// How far the runs of a study are: which steps are trained, and which segments of a sweep are there.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "gradscape/cli/sweep_plan.hpp"

namespace gradscape {

/// done: a whole shard. partial: the first records of one, which the next sweep continues. damaged: a shard that cannot
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

/// What is known of one run and one of its sweeps. Nothing but files is looked at; no data set is loaded.
struct RunReport {
  RunDirectory directory;
  Experiment experiment;
  std::int64_t trained = 0;  // updates done, by the last checkpoint
  std::int64_t total = -1;   // of the run; -1: not known before training begins (epochs, checkpoint_every = "auto")
  std::vector<SegmentReport> segments;                              // of the whole run, untrained ones as they will be
  std::optional<std::chrono::system_clock::time_point> last_write;  // of checkpoints, traces and shards
  std::optional<double> training_left;  // seconds, by the mean of the last trace segment; nothing where none is known
  std::optional<double> sweep_left;     // seconds, by the pace at which shards were written
  bool merged = false;                  // whether there is a landscape file

  std::int64_t count(SegmentState state) const;
  /// Trained to the end, and every segment done.
  bool complete() const;
};

/// The run's configuration with the [sweep] that the shards of sweep `name` were made with, the stored one where there
/// is no shard. `stored` is the run's own.
Experiment experiment_of_sweep(const RunDirectory& directory, const std::string& name, Experiment stored);

/// Nothing, where the shard at `path` can be read and holds the segment's steps; else what is wrong with it.
std::optional<std::string> shard_problem(const std::string& path, const Segment& segment);

/// Looks at a run that need not have begun. Error where its configuration or last checkpoint cannot be read.
RunReport inspect_run(const RunDirectory& directory, const Experiment& experiment, const std::string& name);

/// The tasks of `tasks` whose shares of all runs' segments (assign_tasks) are not all done, ascending. Runs in
/// find_runs() order. All tasks, where a run's length is not known yet.
std::vector<std::int64_t> unfinished_tasks(const std::vector<RunReport>& runs, int tasks);

}  // namespace gradscape
