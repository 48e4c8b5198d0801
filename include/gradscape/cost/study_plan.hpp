// The tasks that a study consists of, what they wait for and what they cost, before anything starts.
#pragma once

#include <string>
#include <vector>

#include "gradscape/cost/unit_costs.hpp"
#include "gradscape/study/placed_runs.hpp"
#include "gradscape/study/survey_plan.hpp"

namespace gradscape {

/// Training of one run, one share of a survey, or the merge of a survey of one run or of a variant's seeds.
struct PlannedTask {
  std::string kind;  // "train", "merge", or a survey's: "sweep", "shift"
  std::string what;  // the directory, with --kind where it is not the sweep that is merged; or the share i/n
  std::vector<std::string> after;  // "train DIR", "sweep i/n": what must be done before
  std::int64_t segments = 0;       // made: checkpoint intervals, shards; or merged
  std::int64_t steps = 0;          // trained
  std::int64_t probed = 0;
  double cpu_seconds = 0;  // of all threads, user and system
  std::int64_t memory_bytes = 0;
  std::int64_t disk_bytes = 0;  // written and kept

  std::string name() const { return kind + " " + what; }
};

/// A run of a study with what its parts cost.
struct CostedRun {
  Experiment experiment;
  std::string directory;
  std::string united;  // the folder of the variant's seeds; empty without seeds
  UnitCosts costs;
};

/// The tasks in the order of their dependencies, each survey cut into `tasks` shares as `sweep --task i/n` does.
/// `launch`: CPU seconds of starting the program; `program_bytes`: its memory without a run. UsageError where [sweep]
/// selects steps that a run does not have.
std::vector<PlannedTask> plan_study(std::vector<CostedRun> runs, int tasks, double launch, std::int64_t program_bytes);

}  // namespace gradscape
