#include "gradscape/study/run_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "gradscape/core/error.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/checkpoint_file.hpp"
#include "gradscape/store/sources.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/shard_judge.hpp"
#include "gradscape/study/task_share.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::system_clock;

std::optional<Clock::time_point> written_at(const std::string& path) {
  std::error_code code;
  const auto time = fs::last_write_time(path, code);
  if (code) return {};  // it may be gone since
  return std::chrono::time_point_cast<Clock::duration>(std::chrono::file_clock::to_sys(time));
}

/// What all files of a survey of a run have in common.
class Inspector {
 public:
  Inspector(const RunReport& run, const SurveyId& survey, const Experiment& settings)
      : run_(run),
        survey_(survey),
        judge_(run.directory, survey, settings, run.data_fingerprint, Settings::of_shards) {}

  const SweepOptions& steps() const { return judge_.settings().sweep; }

  SegmentReport inspect(const Segment& segment) const {
    const std::int64_t last = std::min(segment.last, run_.total);  // the step after the last update needs no more
    if (of_steps() && last > run_.trained) return {segment, SegmentState::untrained, 0, ""};
    const ShardCheck shard = judge_.check(segment);
    if (shard.state == ShardState::whole)
      return {segment, SegmentState::done, static_cast<std::int64_t>(segment.probed.size()), ""};
    if (shard.state == ShardState::damaged || shard.state == ShardState::foreign)
      return {segment, SegmentState::damaged, 0, shard.problem};
    const std::int64_t probed = partly(segment, shard.state == ShardState::incomplete);
    return {segment, probed > 0 ? SegmentState::partial : SegmentState::missing, probed, ""};
  }

 private:
  bool of_steps() const { return survey_kind(survey_.kind).of_steps(); }

  /// Steps that the next call need not look at again.
  std::int64_t partly(const Segment& segment, bool incomplete) const {
    if (!incomplete && !fs::exists(run_.directory.partial_path(survey_, segment.first, segment.last))) return 0;
    try {
      const WholeTrace trace =
          of_steps() ? read_whole_trace(run_.directory, segment.first, segment.last) : WholeTrace{};
      const Table rows = judge_.begun(segment, trace).rows;
      return std::count_if(segment.probed.begin(), segment.probed.end(), [&](std::int64_t step) {
        return rows.size() > 0 && rows.find_row(static_cast<double>(step)) < rows.size();
      });
    } catch (const Error& error) {  // a damaged trace, which is reported elsewhere
      if (!is_damage(error)) throw;
      return 0;
    }
  }

  const RunReport& run_;
  const SurveyId& survey_;
  ShardJudge judge_;
};

/// Seconds a training step took lately; nothing where none was recorded.
std::optional<double> recent_step_seconds(const RunDirectory& directory) {
  const auto files = directory.trace_files();
  if (files.empty()) return {};
  try {
    const Trace trace = read_trace(files.back().path);
    double sum = 0;
    for (const TraceRecord& record : trace.steps) sum += record.seconds;
    if (!trace.steps.empty()) return sum / static_cast<double>(trace.steps.size());
  } catch (const Error&) {  // `sweep` and `verify` tell of it
  }
  return {};
}

/// The time that the missing probes will take at the pace at which shards came, the first excepted: when it was begun
/// is not known.
std::optional<double> time_left(const RunDirectory& directory, const SurveyReport& survey) {
  std::vector<std::pair<Clock::time_point, std::int64_t>> shards;
  std::int64_t left = 0;
  for (const SegmentReport& report : survey.segments) {
    left += static_cast<std::int64_t>(report.segment.probed.size()) - report.probed;
    if (report.state != SegmentState::done) continue;
    const auto time = written_at(directory.shard_path(survey.id, report.segment.first, report.segment.last));
    if (time) shards.emplace_back(*time, report.probed);
  }
  if (left == 0) return 0.0;
  if (shards.size() < 2) return {};
  std::sort(shards.begin(), shards.end());
  std::int64_t steps = 0;
  for (const auto& [time, probed] : shards) steps += probed;
  const double seconds = std::chrono::duration<double>(shards.back().first - shards.front().first).count();
  return seconds * static_cast<double>(left) / static_cast<double>(steps - shards.front().second);
}

void find_last_write(RunReport& run) {
  const auto look_at = [&](const std::string& path) {
    const auto time = written_at(path);
    if (time && (!run.last_write || *time > *run.last_write)) run.last_write = time;
  };
  for (const std::int64_t step : run.directory.checkpoint_steps()) look_at(run.directory.checkpoint_path(step));
  for (const SegmentFile& file : run.directory.trace_files()) look_at(file.path);
  for (const SurveyReport& survey : run.surveys)
    for (const auto& list : {run.directory.shard_files(survey.id), run.directory.partial_files(survey.id)})
      for (const SegmentFile& file : list) look_at(file.path);
}

}  // namespace

std::string segment_state_name(SegmentState state) {
  constexpr const char* kNames[kSegmentStates] = {"done", "partial", "missing", "damaged", "untrained"};
  return kNames[static_cast<int>(state)];
}

std::int64_t SurveyReport::count(SegmentState state) const {
  return std::count_if(segments.begin(), segments.end(), [&](const SegmentReport& r) { return r.state == state; });
}

bool SurveyReport::complete() const {
  return count(SegmentState::done) == static_cast<std::int64_t>(segments.size());
}

bool RunReport::complete() const {
  return total >= 0 && trained >= total && problems.empty() &&
         std::all_of(surveys.begin(), surveys.end(), [](const SurveyReport& survey) { return survey.complete(); });
}

std::optional<std::string> stale_because(const std::string& path) {
  try {
    return staleness(path);
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    return error.what();
  }
}

namespace {

/// Looks for the run's last whole checkpoint, and says what is wrong with damaged ones behind it.
std::optional<CheckpointInfo> find_last_checkpoint(RunReport& run, const std::vector<std::int64_t>& checkpoints) {
  for (auto step = checkpoints.rbegin(); step != checkpoints.rend(); ++step) try {
      const h5::File file = open_published(run.directory.checkpoint_path(*step), "checkpoint");
      run.data_fingerprint = read_provenance(file).data_fingerprint;
      return read_checkpoint_info(file);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      run.problems.emplace_back(error.what());
    }
  return {};
}

void find_stale_files(RunReport& run) {
  for (const std::string& path : run.directory.derived_files()) {
    if (path.ends_with(".partial.h5")) continue;
    if (const auto because = stale_because(path)) run.stale.push_back({path, *because, renewal(path)});
  }
}

}  // namespace

void require_fresh(const std::string& path) {
  if (path.ends_with(".partial.h5")) return;
  if (const auto because = staleness(path))
    throw Error(path, "is stale: it " + *because, "renew it with: " + renewal(path));
}

std::string renewal(const std::string& path) {
  const std::string name = fs::path(path).stem().string(), folder = fs::path(path).parent_path().string();
  if (name == "runs") return fmt::format("gradscape merge {}", folder);
  const std::size_t dash = name.find('-');
  const std::string merged = name.substr(0, dash);
  const bool merges = merged == "landscape" || merged == "surface";
  std::string command = fmt::format("gradscape {} {}", merges ? "merge" : merged, folder);
  if (merged == "surface") command += " --kind surface";
  if (dash != std::string::npos) command += " --name " + name.substr(dash + 1);
  return command;
}

namespace {

/// The segments of a survey of a run whose length is known.
void inspect_survey(const RunReport& run, const Experiment& stored, SurveyReport& report) {
  if (run.total >= 0 && has_steps(report.id, stored)) {
    const auto checkpoints = run.directory.checkpoint_steps();
    const Inspector inspector(run, report.id, stored);
    try {
      require_first_checkpoint(run.directory);
    } catch (const Error& error) {
      report.segments.push_back({{0, checkpoints.front(), {}}, SegmentState::damaged, 0, error.what()});
    }
    const auto pieces =
        survey_kind(report.id.kind).of_steps()
            ? plan_segments(planned_checkpoints(checkpoints, run.experiment.train.checkpoint_every, run.total),
                            inspector.steps(), run.total)
            : plan_begun_surface(run.directory, report.id);
    for (const Segment& segment : pieces) report.segments.push_back(inspector.inspect(segment));
  }
  report.left = time_left(run.directory, report);
  report.merged = fs::exists(run.directory.merged_path(report.id));
}

}  // namespace

RunReport inspect_run(const RunDirectory& directory, const Experiment& experiment, const SurveyId& survey) {
  RunReport run{.directory = directory, .experiment = experiment};
  TrainOptions& train = run.experiment.train;
  if (train.checkpoint_every == kAutomatic && directory.holds_run())
    train.checkpoint_every = read_stored_experiment(directory).train.checkpoint_every;
  const auto checkpoints = directory.checkpoint_steps();
  if (const auto info = find_last_checkpoint(run, checkpoints)) {
    run.trained = info->step;
    run.total = train.imported ? checkpoints.back() : total_steps(train, info->steps_per_epoch);
    if (!train.imported)
      for (const TraceHole& hole : find_trace_holes(directory, checkpoints)) run.problems.push_back(hole.problem);
  } else if (train.steps > 0 && train.checkpoint_every != kAutomatic) {
    run.total = train.steps;
  }
  run.surveys.push_back({survey});
  if (survey.kind == "sweep") {
    for (const SurveyId& other : directory.surveys())
      if (other.kind != "sweep") run.surveys.push_back({other});
    for (const std::string& kind : surveys_beside(experiment.sweep))
      if (const SurveyId asked{kind, "main"};
          std::none_of(run.surveys.begin(), run.surveys.end(), [&](const SurveyReport& r) { return r.id == asked; }))
        run.surveys.push_back({asked});
  }
  const Experiment stored = run.experiment;
  for (SurveyReport& report : run.surveys) inspect_survey(run, stored, report);
  find_last_write(run);
  if (run.trained == run.total) {
    run.training_left = 0;
  } else if (const auto seconds = recent_step_seconds(directory)) {
    run.training_left = *seconds * static_cast<double>(run.total - run.trained);
  }
  find_stale_files(run);
  return run;
}

std::vector<std::int64_t> unfinished_tasks(const std::vector<RunReport>& runs, int tasks) {
  std::vector<std::int64_t> costs;
  std::vector<bool> done;
  bool known = true;
  for (const RunReport& run : runs) {
    known = known && run.total >= 0;
    for (const SegmentReport& report : run.surveys.front().segments) {
      costs.push_back(static_cast<std::int64_t>(report.segment.probed.size()));
      done.push_back(report.state == SegmentState::done);
    }
  }
  const std::vector<int> assigned = assign_tasks(costs, tasks);
  std::vector<std::int64_t> list;
  for (int task = 0; task < tasks; ++task) {
    bool open = !known;
    for (std::size_t i = 0; i < costs.size(); ++i) open = open || (assigned[i] == task && !done[i]);
    if (open) list.push_back(task);
  }
  return list;
}

}  // namespace gradscape
