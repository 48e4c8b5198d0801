#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/cost/run_rate.hpp"
#include "gradscape/cost/study_plan.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/process_usage.hpp"
#include "gradscape/host/progress.hpp"

namespace gradscape {
namespace {

using Json = nlohmann::ordered_json;

/// Where rates come from if not from a run.
constexpr const char* kBench = "bench";

struct PlanCommand : StudyOptions {
  int tasks = 16;
  std::string rate_from = kBench;
  bool json = false;
};

/// What determines a run's costs: all but its names, its seed and its learning rate.
std::string cost_key(Experiment experiment) {
  experiment.experiment = {};
  experiment.train.seed = 1;
  experiment.train.lr = 1;
  return to_toml(experiment);
}

std::string data_key(const Experiment& experiment) {
  Experiment key;
  key.data = experiment.data;
  return to_toml(key);
}

std::vector<CostedRun> cost_runs(const std::vector<PlacedRun>& placed, const std::string& rate_from) {
  std::vector<CostedRun> runs;
  // No one knows how many repetitions the timing takes: progress counts runs.
  Progress progress("plan", static_cast<std::int64_t>(placed.size()));
  for (const PlacedRun& run : placed) {
    std::optional<UnitCosts> costs;
    for (const CostedRun& earlier : runs)
      if (!costs && cost_key(earlier.experiment) == cost_key(run.experiment)) costs = earlier.costs;
    if (!costs) {
      std::optional<double> recorded;  // first: it may be refused
      if (rate_from != kBench) recorded = recorded_step_cpu(rate_from, run.experiment);
      costs = measure_unit_costs(run.experiment, [&] {
        progress.update(static_cast<std::int64_t>(runs.size()), "timing " + run.directory.root());
      });
      if (recorded) costs = costs->with_arithmetic(*recorded / costs->step);
      // Data that an earlier run has loaded cost nothing here, but they do in a task of this run.
      for (const CostedRun& earlier : runs)
        if (data_key(earlier.experiment) == data_key(run.experiment))
          costs->load = std::max(costs->load, earlier.costs.load);
    }
    runs.push_back({run.experiment, run.directory.root(), run.united, *costs});
  }
  for (CostedRun& run : runs) run.experiment.train.checkpoint_every = run.costs.checkpoint_every;
  return runs;
}

struct Totals {
  double cpu_seconds = 0;
  std::int64_t memory_bytes = 0;  // of the largest task
  std::int64_t disk_bytes = 0;
};

Totals add_up(const std::vector<PlannedTask>& tasks) {
  Totals totals;
  for (const PlannedTask& task : tasks) {
    totals.cpu_seconds += task.cpu_seconds;
    totals.memory_bytes = std::max(totals.memory_bytes, task.memory_bytes);
    totals.disk_bytes += task.disk_bytes;
  }
  return totals;
}

void print_json(const std::vector<PlannedTask>& tasks) {
  Json json;
  json["threads"] = parallel::threads();
  json["tasks"] = Json::array();
  for (const PlannedTask& task : tasks)
    json["tasks"].push_back({{"name", task.name()},
                             {"kind", task.kind},
                             {"after", task.after},
                             {"segments", task.segments},
                             {"steps", task.steps},
                             {"probed_steps", task.probed},
                             {"cpu_hours", task.cpu_seconds / 3600},
                             {"memory_bytes", task.memory_bytes},
                             {"disk_bytes", task.disk_bytes}});
  const Totals totals = add_up(tasks);
  json["total"] = {{"cpu_hours", totals.cpu_seconds / 3600},
                   {"memory_bytes", totals.memory_bytes},
                   {"disk_bytes", totals.disk_bytes}};
  write_output(json_text(json));
}

/// What the task waits for, shortened.
std::string waits_for(const PlannedTask& task) {
  const auto& after = task.after;
  if (after.empty()) return "-";
  if (after.size() == 1) return after.front();
  return fmt::format("{} … {} ({})", after.front(), after.back(), after.size());
}

void print_table(const std::vector<PlannedTask>& tasks) {
  std::size_t width = 32;
  for (const PlannedTask& task : tasks) width = std::max(width, task.name().size() + 1);
  const auto row = [width](const std::string& name, const std::string& segments, const std::string& steps,
                           const std::string& probed, double seconds, std::int64_t memory, std::int64_t disk) {
    print_out("{:{}}{:>9}{:>9}{:>9}{:>12}{:12.1f}{:12.1f}", name, width, segments, steps, probed, format_time(seconds),
              static_cast<double>(memory) / 1e6, static_cast<double>(disk) / 1e6);
  };
  print_out("{:{}}{:>9}{:>9}{:>9}{:>12}{:>12}{:>12}  after\n", "task", width, "segments", "steps", "probed", "CPU time",
            "memory MB", "disk MB");
  for (const PlannedTask& task : tasks) {
    row(task.name(), std::to_string(task.segments), std::to_string(task.steps), std::to_string(task.probed),
        task.cpu_seconds, task.memory_bytes, task.disk_bytes);
    print_out("  {}\n", waits_for(task));
  }
  const Totals totals = add_up(tasks);
  row("total (memory: largest task's)", "", "", "", totals.cpu_seconds, totals.memory_bytes, totals.disk_bytes);
  print_out("\n");
}

}  // namespace

void add_plan(VerbList& verbs) {
  Verb verb = verbs.add("plan", "A study's tasks: what each waits for, time, memory, disk");
  auto command = std::make_shared<PlanCommand>();
  add_study_options(verb, command);
  verb.number(
          "--tasks",
          [command](int tasks) {
            if (tasks < 1)
              throw UsageError("--tasks", fmt::format("{} tasks cannot share a sweep", tasks), "1 or more");
            command->tasks = tasks;
          },
          "tasks that share the sweep, and each analysis of sweep.also (default: 16)")
      .type_name("N");
  verb.option(
          "--rate-from", command->rate_from,
          "what speed to reckon with: bench, a timing here; RUN_DIR, that timing made as fast or slow as the recorded "
          "steps of this run (of the same model, trained where the study shall run)")
      .type_name("RUN_DIR|bench")
      .shows_default();
  verb.flag("--json", command->json, "print one JSON object with every number");
  verb.example("gradscape plan CONFIG --tasks 100", "from a short timing of each kind of run here");
  verb.example("gradscape plan CONFIG --rate-from runs/NAME/bn", "from the steps that a run has recorded");
  verb.runs([command] {
    const double launch = cpu_seconds();
    const std::int64_t program_bytes = peak_memory();
    const auto tasks =
        plan_study(cost_runs(place_runs(*command), command->rate_from), command->tasks, launch, program_bytes);
    if (command->json)
      print_json(tasks);
    else
      print_table(tasks);
  });
}

}  // namespace gradscape
