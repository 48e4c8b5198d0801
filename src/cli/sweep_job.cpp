#include "gradscape/cli/sweep_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "gradscape/cli/run_access.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/interrupt.hpp"
#include "gradscape/core/progress.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/merge.hpp"
#include "gradscape/store/trace_file.hpp"

namespace gradscape {
namespace {

struct Segment {
  std::int64_t first = 0;
  std::int64_t last = 0;  // exclusive
  std::vector<std::int64_t> probed;
};

/// The pieces between successive checkpoints that hold probed steps; at the end of a finished run the step after its
/// last update is a piece of its own.
std::vector<Segment> plan_segments(const std::vector<std::int64_t>& checkpoints, const SweepOptions& options,
                                   std::int64_t total) {
  std::vector<Segment> segments;
  const auto add = [&](std::int64_t first, std::int64_t last) {
    Segment segment{first, last, {}};
    for (std::int64_t step = first; step < last; ++step)
      if (is_probed(options, step, total)) segment.probed.push_back(step);
    if (!segment.probed.empty()) segments.push_back(segment);
  };
  for (std::size_t i = 0; i + 1 < checkpoints.size(); ++i) add(checkpoints[i], checkpoints[i + 1]);
  if (checkpoints.back() == total) add(total, total + 1);
  return segments;
}

/// Whether a shard is there, readable, and holds the segment's steps. A damaged one is made again.
bool is_done(const std::string& path, const Segment& segment) {
  if (!std::filesystem::exists(path)) return false;
  try {
    const Grid grid = read_grid(path);
    return std::equal(grid.records.begin(), grid.records.end(), segment.probed.begin(), segment.probed.end(),
                      [](const SweepRecord& record, std::int64_t step) { return record.step == step; });
  } catch (const Error& error) {
    say(fmt::format("{}\n  it is computed again", error.what()));
    return false;
  }
}

template <class S>
class SweepJob {
 public:
  SweepJob(const Experiment& experiment, const RunDirectory& directory, const std::string& name)
      : experiment_(experiment),
        directory_(directory),
        name_(name),
        dataset_(load_data(experiment.data)),
        provenance_(make_provenance(experiment, dataset_)),
        process_(experiment.data, experiment.model, experiment.train, dataset_),
        prober_(experiment.sweep, process_, floor_segment(directory)) {}

  /// Returns how many shards were made.
  std::size_t run() {
    const std::int64_t total = process_.total_steps();
    require_within_run(experiment_.sweep, total);
    std::vector<Segment> todo;
    std::int64_t steps = 0;
    const auto checkpoints = directory_.checkpoint_steps();
    for (Segment& segment : plan_segments(checkpoints, experiment_.sweep, total)) {
      if (is_done(shard_path(segment), segment)) continue;
      steps += segment.last - segment.first;
      todo.push_back(std::move(segment));
    }
    require_same_sweep(todo);
    Progress progress("sweep " + name_, steps);
    for (const Segment& segment : todo) sweep_segment(segment, progress);
    if (checkpoints.back() < total)
      say(fmt::format("{}: training stands at step {} of {}; call sweep again when it is done", directory_.root(),
                      checkpoints.back(), total));
    return todo.size();
  }

 private:
  std::string shard_path(const Segment& segment) const {
    return directory_.shard_path(name_, segment.first, segment.last);
  }

  TrainingState<S> read_state(std::int64_t step) {
    return read_own_checkpoint<S>(directory_, step, experiment_, provenance_.data_fingerprint, process_);
  }

  /// Shards that stay must have this sweep's settings; damaged ones are about to be replaced and are not asked.
  void require_same_sweep(const std::vector<Segment>& todo) const {
    for (const Segment& segment : todo) {
      std::error_code ignored;
      try {
        if (std::filesystem::exists(shard_path(segment))) open_published(shard_path(segment), "grid");
      } catch (const Error&) {
        std::filesystem::remove(shard_path(segment), ignored);
      }
    }
    gradscape::require_same_sweep(directory_, name_, experiment_, provenance_.data_fingerprint);
  }

  void sweep_segment(const Segment& segment, Progress& progress) {
    provide_floor(prober_, segment.probed.front(), directory_, experiment_, provenance_.data_fingerprint, process_);
    TrainingState<S> state = read_state(segment.first);
    std::vector<SweepRecord> records;
    const auto observe = [&](const StepView<S>& view) {
      if (prober_.wants(view.record.step)) records.push_back(prober_.probe_step(view));
      progress.update(++done_, fmt::format("at step {}, loss {:.4f}", view.record.step, view.record.loss));
    };
    if (segment.first == process_.total_steps()) {
      process_.preview(state, observe);
    } else {
      const WholeTrace trace = read_whole_trace(directory_, segment.first, segment.last);
      if (!replay<S>(process_, state, segment.last, trace.steps, observe, [] { return !interrupted(); }))
        throw Error(directory_.root(), "interrupted; complete segments are saved", "the same command continues",
                    ExitCode::interrupted);
      require_same_state(state, read_state(segment.last), directory_.checkpoint_path(segment.last));
    }
    const SweepOptions& options = experiment_.sweep;
    write_grid(shard_path(segment), provenance_, {options.multipliers, options.direction, options.precision, records});
  }

  const Experiment& experiment_;
  const RunDirectory& directory_;
  std::string name_;
  const Dataset& dataset_;
  Provenance provenance_;
  TrainingProcess<S> process_;
  StepProber<S> prober_;
  std::int64_t done_ = 0;
};

}  // namespace

std::size_t sweep(const Experiment& experiment, const RunDirectory& directory, const std::string& name) {
  last_checkpoint(directory);  // says so where there is none
  return with_precision(experiment, [&]<class S>() { return SweepJob<S>(experiment, directory, name).run(); });
}

std::string merge(const RunDirectory& directory, const std::string& name) {
  const Experiment stored = read_stored_experiment(directory);
  const std::int64_t total = last_checkpoint(directory).total_steps;
  const std::string data = read_provenance(open_published(directory.checkpoint_path(0), "checkpoint")).data_fingerprint;
  // The sweep's settings are the shards' own, and one for all.
  Experiment settings = stored;
  const auto shards = directory.shard_files(name);
  if (!shards.empty())
    settings.sweep =
        parse_experiment(read_provenance(open_published(shards.front().path, "grid")).config, shards.front().path)
            .sweep;
  require_same_sweep(directory, name, settings, data);
  return merge_shards(directory, name, last_step(settings.sweep, total),
                      [&](std::int64_t step) { return is_probed(settings.sweep, step, total); });
}

}  // namespace gradscape
