#include "gradscape/cost/study_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

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

/// Adds a segment to the sweep's share; `before` (may be null): the run's segment that the task has swept just before.
void add_segment(const CostedRun& run, const Segment& segment, const Segment* before, PlannedTask& task) {
  const UnitCosts& costs = run.costs;
  const auto probed = static_cast<double>(segment.probed.size());
  std::int64_t steps = segment.probed.back() + 1 - segment.first;
  const std::int64_t every = run.experiment.train.checkpoint_every;
  const std::int64_t floor_at = floor_step(every, segment.probed.front());
  const bool end = segment.first == costs.total_steps;
  const bool floor_known = before != nullptr && floor_step(every, before->probed.back()) == floor_at;
  // The end of a segment that was trained again to it is kept, and compared with its checkpoint.
  const auto reaches_end = [](const Segment& of) { return of.probed.back() + 1 == of.last; };
  const bool kept = before != nullptr && before->last == segment.first && reaches_end(*before);
  int reads = (kept ? 0 : 1) + (!end && reaches_end(segment) ? 1 : 0);
  if (floor_at < segment.first && !floor_known) {
    steps += floor_at + 1 - floor_at / every * every;
    ++reads;
  }
  ++task.segments;
  task.steps += steps;
  task.probed += static_cast<std::int64_t>(segment.probed.size());
  task.cpu_seconds += static_cast<double>(steps) * costs.step + probed * costs.probe + (floor_known ? 0 : costs.floor) +
                      reads * costs.checkpoint_read + costs.trace_read.of(static_cast<double>(steps)) +
                      costs.grid_write.of(probed);
  task.memory_bytes = std::max(task.memory_bytes, costs.sweep_memory_bytes);
  task.disk_bytes += static_cast<std::int64_t>(costs.grid_bytes.of(probed));
}

PlannedTask plan_merge(const CostedRun& run, const std::vector<Segment>& segments, double launch,
                       std::int64_t program_bytes) {
  const UnitCosts& costs = run.costs;
  PlannedTask merge{"merge", run.directory, {}, static_cast<std::int64_t>(segments.size())};
  double largest = 0;
  for (const Segment& segment : segments) {
    const auto probed = static_cast<double>(segment.probed.size());
    merge.probed += static_cast<std::int64_t>(segment.probed.size());
    // Read to see that it belongs to the run, and to merge it.
    merge.cpu_seconds += 2 * costs.grid_read.of(probed);
    largest = std::max(largest, costs.grid_bytes.of(probed));
  }
  merge.cpu_seconds += launch + costs.grid_write.of(static_cast<double>(merge.probed));
  merge.disk_bytes = static_cast<std::int64_t>(costs.grid_bytes.of(static_cast<double>(merge.probed)));
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
  std::vector<std::vector<Segment>> segments;
  std::vector<std::int64_t> probed;
  for (const CostedRun& run : runs) {
    require_within_run(run.experiment.sweep, run.costs.total_steps);
    const auto checkpoints = planned_checkpoints({}, run.experiment.train.checkpoint_every, run.costs.total_steps);
    segments.push_back(has_steps({}, run.experiment)
                           ? plan_segments(checkpoints, run.experiment.sweep, run.costs.total_steps)
                           : std::vector<Segment>{});
    for (const Segment& segment : segments.back()) probed.push_back(static_cast<std::int64_t>(segment.probed.size()));
  }
  const std::vector<int> owners = assign_tasks(probed, tasks);
  std::vector<PlannedTask> sweeps;
  for (int i = 0; i < tasks && !probed.empty(); ++i) {
    // Shares are of all runs' segments, which are known when all are trained.
    PlannedTask task{"sweep", fmt::format("{}/{}", i, tasks), trained};
    task.cpu_seconds = launch;
    task.memory_bytes = program_bytes;
    sweeps.push_back(task);
  }
  std::vector<PlannedTask> merges, unions;
  auto owner = owners.begin();
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].experiment.sweep.kind == "runs") {
      add_rate(runs[i], launch, program_bytes, unions);
      continue;
    }
    PlannedTask merge = plan_merge(runs[i], segments[i], launch, program_bytes);
    const Segment* before = nullptr;
    for (const Segment& segment : segments[i]) {
      PlannedTask& task = sweeps[static_cast<std::size_t>(*owner)];
      if (merge.after.empty() || merge.after.back() != task.name()) {
        task.cpu_seconds += runs[i].costs.load + runs[i].costs.setup;
        merge.after.push_back(task.name());
        before = nullptr;
      }
      add_segment(runs[i], segment, before, task);
      before = &segment;
      ++owner;
    }
    merges.push_back(merge);
    if (!runs[i].united.empty()) add_seed(runs[i], merge, launch, unions);
  }
  plan.insert(plan.end(), sweeps.begin(), sweeps.end());
  plan.insert(plan.end(), merges.begin(), merges.end());
  plan.insert(plan.end(), unions.begin(), unions.end());
  return plan;
}

}  // namespace gradscape
