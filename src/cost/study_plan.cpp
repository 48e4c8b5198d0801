#include "gradscape/cost/study_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "gradscape/core/error.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/landscape/sweep.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/task_share.hpp"

namespace gradscape {
namespace {

PlannedTask plan_training(const CostedRun& run, double launch) {
  const UnitCosts& costs = run.costs;
  const TrainOptions& train = run.experiment.train;
  const auto checkpoints = planned_checkpoints({}, train.checkpoint_every, costs.total_steps);
  const auto written = static_cast<std::int64_t>(checkpoints.size());
  const auto steps = static_cast<double>(costs.total_steps);
  const auto segments = static_cast<double>(written - 1);
  std::int64_t tests = 1;
  if (train.test_every > 0) tests = (costs.total_steps + train.test_every - 1) / train.test_every;
  PlannedTask task{"train", run.directory, {}, written - 1, costs.total_steps};
  // The run is set up twice: to see that it is in order before any run starts, and to train it.
  task.cpu_seconds = launch + costs.load + 2 * costs.setup + costs.init + steps * costs.step +
                     static_cast<double>(tests) * costs.test + static_cast<double>(written) * costs.checkpoint_write +
                     segments * costs.trace_write.base + steps * costs.trace_write.each;
  task.memory_bytes = costs.train_memory_bytes;
  task.disk_bytes = written * costs.checkpoint_bytes +
                    static_cast<std::int64_t>(segments * costs.trace_bytes.base + steps * costs.trace_bytes.each);
  return task;
}

/// The survey of this kind; nullptr where the run has none.
const SurveyCosts* survey_of(const CostedRun& run, const std::string& kind) {
  if (!has_steps({kind}, run.experiment)) return nullptr;
  const auto& list = run.costs.surveys;
  const auto found = std::find_if(list.begin(), list.end(), [&](const SurveyCosts& s) { return s.kind == kind; });
  return found == list.end() ? nullptr : &*found;
}

/// Adds a segment to the survey's share; `before` (may be null): the run's segment that the task has done just before.
void add_segment(const CostedRun& run, const SurveyCosts& survey, const Segment& segment, const Segment* before,
                 PlannedTask& task) {
  const UnitCosts& costs = run.costs;
  const auto probed = static_cast<double>(segment.probed.size());
  std::int64_t steps = segment.probed.back() + 1 - segment.first;
  const std::int64_t every = run.experiment.train.checkpoint_every;
  const bool end = segment.first == costs.total_steps;
  // The end of a segment that was trained again to it is kept, and compared with its checkpoint.
  const auto reaches_end = [](const Segment& of) { return of.probed.back() + 1 == of.last; };
  const bool kept = before != nullptr && before->last == segment.first && reaches_end(*before);
  int reads = (kept ? 0 : 1) + (!end && reaches_end(segment) ? 1 : 0);
  const std::int64_t floor_at = floor_step(every, segment.probed.front());
  const bool measures_floor =
      survey.floors && (before == nullptr || floor_step(every, before->probed.back()) != floor_at);
  if (measures_floor && floor_at < segment.first) {
    steps += floor_at + 1 - floor_at / every * every;
    ++reads;
  }
  ++task.segments;
  task.steps += steps;
  task.probed += static_cast<std::int64_t>(segment.probed.size());
  task.cpu_seconds += static_cast<double>(steps) * costs.step + probed * survey.row +
                      (measures_floor ? survey.floor : 0) + reads * costs.checkpoint_read +
                      costs.trace_read.of(static_cast<double>(steps)) + survey.write.of(probed);
  task.memory_bytes = std::max(task.memory_bytes, survey.memory_bytes);
  task.disk_bytes += static_cast<std::int64_t>(survey.bytes.of(probed));
}

PlannedTask plan_merge(const CostedRun& run, const SurveyCosts& survey, const std::vector<Segment>& segments,
                       double launch, std::int64_t program_bytes) {
  PlannedTask merge{"merge", run.directory, {}, static_cast<std::int64_t>(segments.size())};
  if (survey.kind != "sweep") merge.what += " --kind " + survey.kind;
  double largest = 0;
  for (const Segment& segment : segments) {
    const auto probed = static_cast<double>(segment.probed.size());
    merge.probed += static_cast<std::int64_t>(segment.probed.size());
    // Read to see that it belongs to the run, and to merge it.
    merge.cpu_seconds += 2 * survey.read.of(probed);
    largest = std::max(largest, survey.bytes.of(probed));
  }
  merge.cpu_seconds += launch + survey.write.of(static_cast<double>(merge.probed));
  merge.disk_bytes = static_cast<std::int64_t>(survey.bytes.of(static_cast<double>(merge.probed)));
  merge.memory_bytes = program_bytes + static_cast<std::int64_t>(largest);
  return merge;
}

/// The merge of the runs of a variant.
PlannedTask& union_of(const CostedRun& run, double launch, std::vector<PlannedTask>& unions) {
  if (unions.empty() || unions.back().what != run.united) {
    unions.push_back({"merge", run.united, {}});
    unions.back().cpu_seconds = launch;
  }
  return unions.back();
}

/// Adds a run with one of several learning rates, whose trace is all that is merged.
void add_rate(const CostedRun& run, double launch, std::int64_t program_bytes, std::vector<PlannedTask>& unions) {
  PlannedTask& task = union_of(run, launch, unions);
  const auto steps = static_cast<double>(run.costs.total_steps);
  task.after.push_back("train " + run.directory);
  task.cpu_seconds += run.costs.trace_read.of(steps);
  task.memory_bytes = program_bytes;
  task.disk_bytes += static_cast<std::int64_t>(2 * sizeof(double) * steps);  // loss and accuracy
}

/// Adds a seed's merged run to the merge of its variant's seeds, which reads shards again.
void add_seed(const CostedRun& run, const PlannedTask& merge, double launch, std::vector<PlannedTask>& unions) {
  PlannedTask& task = union_of(run, launch, unions);
  task.after.push_back(merge.name());
  task.segments += merge.segments;
  task.probed += merge.probed;
  task.cpu_seconds += merge.cpu_seconds - launch;
  task.memory_bytes = std::max(task.memory_bytes, merge.memory_bytes);
  task.disk_bytes += merge.disk_bytes;
}

/// Appends the shares of one kind of survey to `shares`, and the merge of each run to `merges`.
void plan_survey_tasks(const std::string& kind, const std::vector<CostedRun>& runs, int tasks, PlannedTask empty,
                       std::vector<PlannedTask>& shares, std::vector<PlannedTask>& merges) {
  std::vector<std::vector<Segment>> segments(runs.size());
  std::vector<std::int64_t> probed;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::int64_t total = runs[i].costs.total_steps;
    require_within_run(runs[i].experiment.sweep, total);
    if (survey_of(runs[i], kind) == nullptr) continue;
    const auto checkpoints = planned_checkpoints({}, runs[i].experiment.train.checkpoint_every, total);
    segments[i] = plan_segments(checkpoints, runs[i].experiment.sweep, total);
    for (const Segment& segment : segments[i]) probed.push_back(static_cast<std::int64_t>(segment.probed.size()));
  }
  if (probed.empty()) return;
  const std::vector<int> owners = assign_tasks(probed, tasks);
  empty.kind = kind;
  const std::size_t first = shares.size();
  for (int i = 0; i < tasks; ++i) {
    empty.what = fmt::format("{}/{}", i, tasks);
    shares.push_back(empty);
  }
  auto owner = owners.begin();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (segments[i].empty()) continue;
    const SurveyCosts& survey = *survey_of(runs[i], kind);
    PlannedTask merge = plan_merge(runs[i], survey, segments[i], empty.cpu_seconds, empty.memory_bytes);
    const Segment* before = nullptr;
    for (const Segment& segment : segments[i]) {
      PlannedTask& task = shares[first + static_cast<std::size_t>(*owner++)];
      if (merge.after.empty() || merge.after.back() != task.name()) {
        task.cpu_seconds += runs[i].costs.load + runs[i].costs.setup;
        merge.after.push_back(task.name());
        before = nullptr;
      }
      add_segment(runs[i], survey, segment, before, task);
      before = &segment;
    }
    merges.push_back(merge);
  }
}

}  // namespace

std::vector<PlannedTask> plan_study(std::vector<CostedRun> runs, int tasks, double launch, std::int64_t program_bytes) {
  std::vector<PlannedTask> plan;
  for (const CostedRun& run : runs) plan.push_back(plan_training(run, launch));
  std::vector<std::string> trained;
  for (const PlannedTask& task : plan) trained.push_back(task.name());

  // The order in which find_runs() finds them.
  std::sort(runs.begin(), runs.end(), [](const CostedRun& a, const CostedRun& b) {
    return std::filesystem::path(a.directory) < std::filesystem::path(b.directory);
  });
  // Shares are of all runs' segments, which are known when all are trained.
  const PlannedTask share{
      .kind = {}, .what = {}, .after = trained, .cpu_seconds = launch, .memory_bytes = program_bytes};
  std::vector<PlannedTask> shares, merges, unions;
  for (const std::string& kind : survey_names()) plan_survey_tasks(kind, runs, tasks, share, shares, merges);
  for (const CostedRun& run : runs) {
    if (run.united.empty()) continue;
    if (run.experiment.sweep.kind == "runs") {
      add_rate(run, launch, program_bytes, unions);
      continue;
    }
    const auto merge =
        std::find_if(merges.begin(), merges.end(), [&](const PlannedTask& task) { return task.what == run.directory; });
    check(merge != merges.end(), "a merge of each run's sweep");
    add_seed(run, *merge, launch, unions);
  }
  for (const auto* list : {&shares, &merges, &unions}) plan.insert(plan.end(), list->begin(), list->end());
  return plan;
}

}  // namespace gradscape
