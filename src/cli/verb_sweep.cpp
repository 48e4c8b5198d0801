#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "gradscape/cli/step_selection.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/study/merge_job.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/sweep_job.hpp"
#include "gradscape/study/task_share.hpp"

namespace gradscape {
namespace {

struct SweepCommand {
  std::string directory;
  std::string name = "main";
  std::string steps;
  std::optional<std::string> task;
  std::vector<FieldOverride> overrides;
};

/// What is to be swept of one run.
struct Work {
  RunDirectory directory;
  Experiment experiment;
  std::vector<Segment> segments;
};

std::vector<Work> plan_work(const SweepCommand& command) {
  std::vector<FieldOverride> overrides = command.overrides;
  if (!command.steps.empty())
    for (const FieldOverride& step : parse_steps(command.steps)) overrides.push_back(step);
  std::vector<Work> work;
  for (const RunDirectory& directory : find_runs(command.directory)) {
    Experiment experiment = read_stored_experiment(directory);
    for (const auto& [flag, field, text] : overrides) set_field(*find_field(field), experiment, text, flag);
    check_experiment(experiment, command.steps.empty() ? directory.config_path() : "--steps");
    work.push_back({directory, experiment, plan_sweep(directory, experiment)});
  }
  return work;
}

/// Leaves each run the segments that the task takes of all runs' segments in turn, and drops runs without any.
void keep_share(std::vector<Work>& work, const TaskShare& task) {
  std::vector<std::int64_t> costs;
  for (const Work& run : work)
    for (const Segment& segment : run.segments) costs.push_back(static_cast<std::int64_t>(segment.probed.size()));
  const std::vector<int> assigned = assign_tasks(costs, task.count);
  auto owner = assigned.begin();
  for (Work& run : work) std::erase_if(run.segments, [&](const Segment&) { return *owner++ != task.index; });
  std::erase_if(work, [](const Work& run) { return run.segments.empty(); });
  say(fmt::format("task {}/{}: {} of {} segments", task.index, task.count,
                  std::count(assigned.begin(), assigned.end(), task.index), assigned.size()));
}

void run_sweep(const SweepCommand& command) {
  catch_preemption();
  require_folder_name("--name", "sweep", command.name);
  std::optional<TaskShare> task;
  if (command.task) task = parse_task(*command.task);
  std::vector<Work> work = plan_work(command);
  if (task) keep_share(work, *task);
  for (const auto& [directory, experiment, segments] : work) {
    const std::size_t made = sweep(experiment, directory, command.name, segments);
    say(fmt::format("{}: {} new shard{} in sweep \"{}\"; `gradscape merge` makes the file to plot from",
                    directory.root(), made, made == 1 ? "" : "s", command.name));
  }
}

struct MergeCommand {
  std::string directory;
  std::string name = "main";
  bool partial = false;
};

}  // namespace

void add_sweep(VerbList& verbs) {
  Verb verb = verbs.add(
      "sweep", "Probe a finished or running training by exact replay from its checkpoints; one shard per segment");
  auto command = std::make_shared<SweepCommand>();
  const auto override_flag = [&](const char* flag, const char* field, const char* help) {
    verb.text(
            flag,
            [command, flag, field](const std::string& text) {
              command->overrides.push_back({flag, field, text});
            },
            help)
        .type_name("");
  };
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.option("--name", command->name, "name of the sweep; another name keeps other settings apart").shows_default();
  verb.option("--steps", command->steps, kStepsHelp);
  verb.option("--task", command->task,
              "i/n: only the i-th of n shares (0/n to n-1/n), balanced by probed steps; auto: from Open MPI's, "
              "PMI's or Slurm's variables")
      .type_name("i/n|auto");
  override_flag("--multipliers", "sweep.multipliers",
                "multiples of the learning rate, as in 0.5,1,2,4 (default: the run's)");
  override_flag("--direction", "sweep.direction", "gradient | update | random (default: the run's)");
  override_flag("--layers", "sweep.layers",
                "true: gradient difference and beta of each layer too (default: the run's)");
  override_flag("--noise", "sweep.noise",
                "of a run with model.noise: step | fresh, a draw for each cell (default: the run's)");
  override_flag("--probe-precision", "sweep.precision", "native | double: arithmetic of gradient and cells");
  override_flag("--data.path", "data.path", "where the data lies now, if it was moved");
  verb.runs([command] { run_sweep(*command); });
}

void add_merge(VerbList& verbs) {
  Verb verb = verbs.add("merge", "Unite the shards of a sweep into the file to plot from");
  auto command = std::make_shared<MergeCommand>();
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.option("--name", command->name, "name of the sweep").shows_default();
  verb.flag("--partial", command->partial, "steps that are missing become cells marked as not done, not an error");
  verb.runs([command] {
    require_folder_name("--name", "sweep", command->name);
    merge_runs(find_runs(command->directory), command->name, command->partial ? Holes::mark : Holes::refuse);
  });
}

}  // namespace gradscape
