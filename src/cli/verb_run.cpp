#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/store/checkpoint_file.hpp"
#include "gradscape/store/run_lock.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/merge_job.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/run_at.hpp"
#include "gradscape/study/survey_job.hpp"
#include "gradscape/study/task_share.hpp"
#include "gradscape/study/train_job.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

/// The probes of the deep linear network take steps that float rounds away (docs/definitions.md).
void warn_of_rounding(const std::vector<PlacedRun>& runs) {
  for (const PlacedRun& run : runs)
    if (run.experiment.model.arch == "deep-linear" && run.experiment.train.precision == "float") {
      say(
          fmt::format("warning: {}: deep-linear in float: at its small steps, eta times the gradient is below the "
                      "weights' rounding\n  hint: train.precision = \"double\"",
                      run.directory.root()));
      return;
    }
}

/// Trains these runs of a study; finish(run) follows each.
template <class Finish>
void train_all(const StudyOptions& options, const std::vector<PlacedRun>& runs, bool probe, Finish&& finish) {
  catch_preemption();
  TrainRequest request{options.resume, options.force, probe};
  if (!options.from.empty()) request.from = find_run_at(options.from);
  for (const PlacedRun& run : runs) require_trainable(run.experiment, run.directory, request);
  warn_of_rounding(runs);
  if (options.force)
    for (const PlacedRun& run : runs)
      if (!run.united.empty())
        for (const std::string& file : united_files(run.united)) std::filesystem::remove(file);
  std::optional<RunLock> held;
  for (const PlacedRun& run : runs) {
    if (interrupted()) throw interruption("", "", "the same command with --resume continues");
    train(run.experiment, run.directory, request);
    // Held until the next run is trained, whose directory is not there before its data are read: who watches the folder
    // sees that the study goes on.
    held.emplace(run.directory.lock_path());
    finish(run);
  }
}

/// What `train` takes beyond the study.
struct TrainCommand : StudyOptions {
  std::optional<std::string> task;
  bool list = false;
};

/// Begins with another run's weights: without a configuration of its own it is that run's.
void take_weights(StudyOptions& options) {
  if (options.from.empty()) {
    if (options.config.empty()) throw UsageError("CONFIG", "is required", "gradscape train CONFIG, or --from RUN@STEP");
    return;
  }
  const RunAt at = find_run_at(options.from);
  const std::string path = at.directory.checkpoint_path(at.step);
  options.overrides.emplace_back("train.from_weights",
                                 read_checkpoint_info(open_published(path, "checkpoint")).theta_fingerprint);
  if (!options.config.empty()) return;
  if (options.out.empty())
    throw UsageError("--out", "is missing: without a configuration the run has the name of the one it begins from");
  options.config = at.directory.config_path();
  // In front: what is given counts, as it comes later.
  const auto put = [&](const char* key, const std::string& value) {
    options.overrides.insert(options.overrides.begin(), {key, value});
  };
  put("train.imported", "false");
  put("experiment.variant", "");
  if (const TrainOptions defaults; read_stored_experiment(at.directory).train.imported) {
    put("train.checkpoint_every", std::to_string(defaults.checkpoint_every));  // an import's stand for its snapshots
    put("train.test_every", std::to_string(defaults.test_every));
  }
}

/// The runs that a task takes of a study's runs in turn.
std::vector<PlacedRun> share_of_runs(const std::vector<PlacedRun>& runs, const TaskShare& task) {
  const std::vector<int> assigned = assign_tasks(std::vector<std::int64_t>(runs.size(), 1), task.count);
  std::vector<PlacedRun> share;
  for (std::size_t i = 0; i < runs.size(); ++i)
    if (assigned[i] == task.index) share.push_back(runs[i]);
  return share;
}

/// Whether training has reached the end that the configuration names, and nothing of it is damaged or missing that
/// --resume would make again. Data are not looked at.
bool is_trained(const PlacedRun& run) {
  const auto checkpoints = run.directory.checkpoint_steps();
  if (checkpoints.empty()) return false;
  try {
    const CheckpointInfo info = last_checkpoint(run.directory);
    return info.step >= total_steps(run.experiment.train, info.steps_per_epoch) &&
           find_trace_holes(run.directory, checkpoints).empty();
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
    return false;
  }
}

}  // namespace

void add_run(VerbList& verbs) {
  Verb verb = verbs.add("run", "Train every variant with the probes inline, then merge");
  const auto options = std::make_shared<StudyOptions>();
  add_training_options(verb, options);
  verb.example("gradscape run CONFIG", "the main job, in runs/NAME");
  verb.example("gradscape run CONFIG --resume", "go on where it was stopped");
  verb.example("gradscape run CONFIG --lr 0.01 --out runs/slow", "another learning rate, elsewhere");
  verb.runs([options] {
    const std::vector<PlacedRun> runs = place_runs(*options);
    const bool across_runs = runs.front().experiment.sweep.kind == "runs";
    train_all(*options, runs, true, [across_runs](const PlacedRun& run) {
      if (across_runs) return;
      // Steps that an earlier `train` took without probes are probed now; else there is nothing to do.
      const Experiment experiment = read_stored_experiment(run.directory);
      std::vector<std::string> kinds = surveys_beside(experiment.sweep);
      kinds.insert(kinds.begin(), "sweep");
      for (const std::string& kind : kinds) {
        const SurveyId id{kind, "main"};
        survey_run({id}, experiment, run.directory, plan_survey(run.directory, experiment, id));
        merge_runs({run.directory}, id, Holes::refuse, print_path);
      }
    });
    if (across_runs) {
      std::vector<RunDirectory> all;
      for (const PlacedRun& run : runs) all.push_back(run.directory);
      merge_runs(all, {}, Holes::refuse, print_path);
      return;
    }
    std::set<std::string> folders;
    for (const PlacedRun& run : runs)
      if (!run.united.empty()) folders.insert(run.united);
    for (const std::string& folder : folders) unite_runs(folder, {}, Holes::refuse, print_path);
  });
}

void add_train(VerbList& verbs) {
  Verb verb = verbs.add("train", "Train every variant without probes; sweep can probe it later");
  const auto command = std::make_shared<TrainCommand>();
  add_training_options(verb, command, false);
  verb.option("--from", command->from, "begin with the weights of a checkpoint, trained or imported, of any run")
      .type_name("RUN@STEP");
  verb.option("--task", command->task,
              "i/n: only the i-th of n shares of the runs (0/n to n-1/n); auto: as `sweep --task auto`")
      .type_name("i/n|auto");
  verb.flag("--list", command->list, "train nothing; print each run's state (trained or open) and directory");
  verb.example("gradscape train CONFIG --train.steps 500 --resume", "the same run, longer");
  verb.example("gradscape train --from runs/mine@last --train.steps 500 --out runs/on", "on from those weights");
  verb.example("gradscape train CONFIG --task 0/8", "the first of eight shares of the runs, for batch jobs");
  verb.runs([command] {
    take_weights(*command);
    std::vector<PlacedRun> runs = place_runs(*command);
    if (command->task) runs = share_of_runs(runs, parse_task(*command->task));
    if (command->list) {
      for (const PlacedRun& run : runs)
        print_out("{}\t{}\n", is_trained(run) ? "trained" : "open", run.directory.root());
      return;
    }
    train_all(*command, runs, false, [](const PlacedRun& run) { print_out("{}\n", run.directory.root()); });
  });
}

}  // namespace gradscape
