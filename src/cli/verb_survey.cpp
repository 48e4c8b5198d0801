// The verbs that look at a run's steps, and the one that unites what they find.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/step_selection.hpp"
#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/study/merge_job.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/survey_job.hpp"
#include "gradscape/study/task_share.hpp"

namespace gradscape {
namespace {

/// What a flag takes the place of is as if the run's configuration did not have it.
void make_room(const std::string& field, const std::string& text, SweepOptions& sweep) {
  const SweepOptions defaults;
  if (field == "sweep.multipliers") sweep.step_sizes.clear();
  if (field == "sweep.step_sizes") sweep.multipliers = defaults.multipliers;
  if (field != "sweep.on" || text != "batch") return;
  sweep.mode = defaults.mode;
  sweep.on_images = defaults.on_images;
  sweep.on_gradients = defaults.on_gradients;
}

struct SurveyCommand {
  std::string directory;
  SurveyRequest request;
  std::string steps;
  std::optional<std::string> task;
  std::vector<FieldOverride> overrides;
};

/// What is to be looked at of one run.
struct Work {
  RunDirectory directory;
  Experiment experiment;
  std::vector<Segment> segments;
};

/// Sets what the flags say, and checks the whole; an error is blamed on the first flag with which it appears.
void apply(const std::vector<FieldOverride>& overrides, const std::string& where, Experiment& experiment) {
  for (const auto& [flag, field, text] : overrides) make_room(field, text, experiment.sweep);
  Experiment all = experiment;
  for (const auto& [flag, field, text] : overrides) set_field(*find_field(field), all, text, flag);
  try {
    check_experiment(all, where);
  } catch (const UsageError&) {
    for (std::size_t i = 0; i < overrides.size(); ++i) {
      const auto& [flag, field, text] = overrides[i];
      set_field(*find_field(field), experiment, text, flag);
      if (i + 1 == overrides.size() || overrides[i + 1].flag != flag) check_experiment(experiment, flag);
    }
    throw;
  }
  experiment = all;
}

std::vector<Work> plan_work(const SurveyCommand& command) {
  const SurveyId& id = command.request.id;
  std::vector<FieldOverride> overrides = command.overrides;
  if (!command.steps.empty())
    for (const FieldOverride& step : parse_steps(command.steps)) overrides.push_back(step);
  std::vector<Work> work;
  const std::vector<RunDirectory> runs = find_runs(command.directory);
  for (const RunDirectory& directory : runs) {
    Experiment experiment = read_stored_experiment(directory);
    // In a folder of variants those without batch norm are none of the theorem's business.
    if (id.kind == "theorem" && !has_batch_norm(experiment.model) && (!work.empty() || &directory != &runs.back())) {
      say(fmt::format("{}: left out, as it has no batch norm", directory.root()));
      continue;
    }
    apply(overrides, directory.config_path(), experiment);
    work.push_back({directory, experiment, plan_survey(directory, experiment, id)});
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

std::string merge_command(const SurveyId& id, const std::string& directory) {
  return fmt::format("gradscape merge {}{}{}", directory, id.kind == "sweep" ? "" : " --kind " + id.kind,
                     id.name == "main" ? "" : " --name " + id.name);
}

/// Makes the shards; an analysis that is not one of several tasks is merged too.
void run_survey(const SurveyCommand& command) {
  catch_preemption();
  const SurveyId& id = command.request.id;
  require_folder_name("--name", id.kind, id.name);
  std::optional<TaskShare> task;
  if (command.task) task = parse_task(*command.task);
  std::vector<Work> work = plan_work(command);
  if (task) keep_share(work, *task);
  const bool merges = id.kind != "sweep" && !task;
  for (const auto& [directory, experiment, segments] : work) {
    const std::size_t made = survey_run(command.request, experiment, directory, segments);
    if (merges) {
      merge_runs({directory}, id, Holes::refuse, print_path);
      continue;
    }
    say(fmt::format("{}: {} new shard{} in {}; `{}` makes the file to plot from", directory.root(), made,
                    made == 1 ? "" : "s", describe(id), merge_command(id, command.directory)));
  }
}

/// What all these verbs take.
void add_survey_options(Verb& verb, const std::shared_ptr<SurveyCommand>& command) {
  const std::string& kind = command->request.id.kind;
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.option("--name", command->request.id.name,
              std::string("name of the ") + (kind == "sweep" ? kind : "analysis") +
                  "; another name keeps other settings apart")
      .type_name("NAME")
      .shows_default();
  verb.option("--steps", command->steps, kStepsHelp).type_name("STEPS");
  verb.option("--task", command->task, "only the i-th of n shares, i from 0; auto: as Open MPI, PMI or Slurm say")
      .type_name("i/n|auto");
  verb.note("What is not given is as the run's [sweep] says.");
  verb.runs([command] { run_survey(*command); });
}

void override_flag(Verb& verb, const std::shared_ptr<SurveyCommand>& command, const char* flag, const char* field,
                   const char* type, const char* help) {
  verb.text(
          flag,
          [command, flag, field](const std::string& text) {
            command->overrides.push_back({flag, field, text});
          },
          help)
      .type_name(type)
      .choices(choices_of(*find_field(field)));
}

constexpr const char* kDataHelp = "where the data lies now, if it was moved";

std::shared_ptr<SurveyCommand> add_analysis(Verb& verb, const std::string& kind) {
  auto command = std::make_shared<SurveyCommand>();
  command->request.id.kind = kind;
  add_survey_options(verb, command);
  verb.text(
          "--layers", [command](const std::string& text) { command->request.settings.layers = split_list(text); },
          "layers by number or name, as in 1,11,24 or features.0,classifier.4 (default: all)")
      .type_name("NAME,…");
  override_flag(verb, command, "--data.path", "data.path", "DIR", kDataHelp);
  return command;
}

struct MergeCommand {
  std::string directory;
  SurveyId id;
  bool partial = false;
  bool json = false;
};

}  // namespace

void print_path(const std::string& path) {
  print_out("{}\n", path);
}

void require_survey_kind(const std::string& kind) {
  if (const auto& known = survey_names(); std::count(known.begin(), known.end(), kind) == 0)
    throw UsageError("--kind", fmt::format("there is no survey \"{}\"", abridge(kind)),
                     fmt::format("one of: {}", fmt::join(known, ", ")));
}

void add_sweep(VerbList& verbs) {
  Verb verb = verbs.add("sweep", "Probe a finished or running training by exact replay");
  auto command = std::make_shared<SurveyCommand>();
  add_survey_options(verb, command);
  override_flag(verb, command, "--multipliers", "sweep.multipliers", "LIST",
                "multiples of the learning rate, as in 0.5,1,2,4");
  override_flag(verb, command, "--step-sizes", "sweep.step_sizes", "LIST",
                "step sizes in place of multiples, as in 0.05,0.1");
  override_flag(verb, command, "--direction", "sweep.direction", "NAME",
                "where to probe along: gradient | update | random");
  override_flag(verb, command, "--per-layer", "sweep.layers", "true|false",
                "gradient difference and beta of each layer too");
  override_flag(verb, command, "--noise", "sweep.noise", "NAME",
                "of a run with model.noise: step | fresh, a draw for each cell");
  override_flag(verb, command, "--on", "sweep.on", "NAME", "batch | train | test: the loss of a fixed set too");
  override_flag(verb, command, "--mode", "sweep.mode", "NAME", "of --on: train | evaluation");
  override_flag(verb, command, "--on-images", "sweep.on_images", "N", "of --on: how many images; 0: all");
  override_flag(verb, command, "--on-gradients", "sweep.on_gradients", "true|false",
                "of --on: the set's gradients too");
  override_flag(verb, command, "--probe-precision", "sweep.precision", "NAME",
                "native | double: arithmetic of gradient and cells");
  override_flag(verb, command, "--data.path", "data.path", "DIR", kDataHelp);
  verb.example("gradscape sweep runs/NAME --steps 0:end:10", "every tenth step of each run");
  verb.example("gradscape sweep DIR --name a --multipliers 1,8", "other settings, kept apart");
  verb.example("gradscape sweep runs/NAME --task 0/8", "the first of eight shares");
}

void add_shift(VerbList& verbs) {
  Verb verb = verbs.add("shift", "Internal covariate shift of each layer, by replay");
  add_analysis(verb, "shift");
  verb.note("Definition 2.1 of Santurkar et al. 2018. Makes RUN_DIR/shift.h5.");
  verb.example("gradscape shift runs/NAME --layers 5,10", "of two layers, by number");
  verb.example("gradscape shift runs/NAME --steps 0:99 --name early", "of the first steps, in shift-early.h5");
}

void add_distributions(VerbList& verbs) {
  Verb verb = verbs.add("distributions", "Histograms, moments and drift of activations and weights");
  const auto command = add_analysis(verb, "distributions");
  verb.number(
          "--bins",
          [command](int bins) {
            if (bins < 1) throw UsageError("--bins", fmt::format("{} bins hold nothing", bins), "1 or more");
            command->request.settings.bins = static_cast<std::size_t>(bins);
          },
          "bins of a histogram (default: 64)")
      .type_name("N");
  verb.note("By replay. Makes RUN_DIR/distributions.h5.");
  verb.example("gradscape distributions runs/NAME --layers 1,11,24", "of three layers, by number");
}

void add_theorem(VerbList& verbs) {
  Verb verb = verbs.add("theorem", "Both sides of theorem 4.1 for each unit of each batch norm");
  add_analysis(verb, "theorem");
  verb.note("Santurkar et al. 2018; by replay in double, of runs with batch norm. Makes RUN_DIR/theorem.h5.");
  verb.example("gradscape theorem runs/NAME/bn --steps 0:end:50", "every fiftieth step");
}

void add_merge(VerbList& verbs) {
  Verb verb = verbs.add("merge", "Unite the shards of a sweep or an analysis into a file");
  auto command = std::make_shared<MergeCommand>();
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.ignores({"--threads", "--isa"});
  verb.option("--kind", command->id.kind, fmt::format("{}", fmt::join(survey_names(), " | ")))
      .type_name("KIND")
      .choices(survey_names())
      .shows_default();
  verb.option("--name", command->id.name, "name of the sweep or analysis").type_name("NAME").shows_default();
  verb.flag("--partial", command->partial, "steps that are missing become cells marked as not done, not an error");
  verb.flag("--json", command->json, "print the files that were made as JSON (docs/format.md)");
  verb.example("gradscape merge runs/NAME", "RUN_DIR/landscape.h5 of every run there, to plot from");
  verb.example("gradscape merge runs/NAME --kind shift --name early", "of an analysis made in tasks");
  verb.runs([command] {
    require_survey_kind(command->id.kind);
    require_folder_name("--name", command->id.kind, command->id.name);
    const std::vector<RunDirectory> runs = find_runs(command->directory);
    const Holes holes = command->partial ? Holes::mark : Holes::refuse;
    if (!command->json) return merge_runs(runs, command->id, holes, print_path);
    nlohmann::ordered_json document = {{"kind", command->id.kind}, {"name", command->id.name}};
    document["files"] = nlohmann::ordered_json::array();
    const auto print = [&] { write_output(json_text(document)); };
    try {
      merge_runs(runs, command->id, holes, [&](const std::string& path) { document["files"].push_back(path); });
    } catch (const Error&) {  // what could be merged was
      print();
      throw;
    }
    print();
  });
}

}  // namespace gradscape
