// The verb that looks at the loss on a line or a plane.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/study/merge_job.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/surface_job.hpp"
#include "gradscape/study/surface_setup.hpp"

namespace gradscape {
namespace {

struct SurfaceCommand {
  std::string directory;
  SurveyId id{"surface", "main"};
  std::optional<std::string> task;
  std::vector<std::pair<std::string, std::string>> overrides;  // field, text
  std::vector<std::string> flags;                              // of each override
};

/// The run's configuration with [surface] as its shards have it, else as the run's own says, and flags over both.
Experiment settings_for(const SurfaceCommand& command, const RunDirectory& directory) {
  Experiment experiment = read_stored_experiment(directory);
  const std::optional<SurfaceOptions> made = stored_surface(directory, command.id);
  if (made) experiment.surface = *made;
  const SurfaceOptions defaults;
  for (const auto& [field, text] : command.overrides)  // what a flag takes the place of is as if it were not there
    if (!made && !text.empty() && (field == "surface.through" || field == "surface.directions")) {
      experiment.surface.x = defaults.x;
      experiment.surface.y = defaults.y;
      experiment.surface.through = defaults.through;
      experiment.surface.directions = defaults.directions;
    }
  for (std::size_t i = 0; i < command.overrides.size(); ++i)
    set_field(*find_field(command.overrides[i].first), experiment, command.overrides[i].second, command.flags[i]);
  check_experiment(experiment, directory.config_path());
  return experiment;
}

void run_surface(const SurfaceCommand& command) {
  catch_preemption();
  require_folder_name("--name", command.id.kind, command.id.name);
  std::optional<TaskShare> task;
  if (command.task) task = parse_task(*command.task);
  for (const RunDirectory& directory : find_runs(command.directory)) {
    const std::size_t made = surface_run(command.id, settings_for(command, directory), directory, task);
    if (!task) {
      merge_runs({directory}, command.id, Holes::refuse, print_path);
      continue;
    }
    say(fmt::format(
        "{}: {} new shard{} in {}; `gradscape merge {} --kind surface --name {}` makes the file to plot from",
        directory.root(), made, made == 1 ? "" : "s", describe(command.id), command.directory, command.id.name));
  }
}

}  // namespace

void add_surface(VerbList& verbs) {
  Verb verb = verbs.add("surface", "The loss on a line or a plane through a checkpoint");
  auto command = std::make_shared<SurfaceCommand>();
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.option("--name", command->id.name, "name of the surface; another one keeps other settings apart")
      .type_name("NAME")
      .shows_default();
  const auto flag = [&](const char* name, const char* field, const char* type, const char* help) {
    return verb
        .text(
            name,
            [command, name, field](const std::string& text) {
              command->overrides.emplace_back(field, text);
              command->flags.emplace_back(name);
            },
            help)
        .type_name(type)
        .choices(choices_of(*find_field(field)));
  };
  flag("--at", "surface.at", "STEP", "the step in the centre, or last (default: last)");
  flag("--x", "surface.x", "DIRECTION", "first axis (default: random)");
  flag("--y", "surface.y", "DIRECTION", "second axis; without it a line");
  flag("--through", "surface.through", "A,B,C", "a plane through three (or A B C), each STEP or RUN@STEP");
  flag("--directions", "surface.directions", "FILE",
       "directions of another surface, or loss-landscape's file of them, in place of x and y")
      .group(kMoreOptions);
  flag("--xlim", "surface.xlim", "FROM:TO:N", "N points of the first axis, as in -1:1:51");
  flag("--ylim", "surface.ylim", "FROM:TO:N", "the same of the second axis");
  flag("--normalise", "surface.normalise", "NAME",
       "random directions: filter | layer | weight | dfilter | dlayer | none");
  flag("--ignore", "surface.ignore", "NAME", "random directions: biasbn, not along biases and norms, or none")
      .group(kMoreOptions);
  flag("--random-seed", "surface.random_seed", "N", "seed of random directions").group(kMoreOptions);
  flag("--repeats", "surface.repeats", "N", "how often random directions are drawn").group(kMoreOptions);
  flag("--images", "surface.images", "N", "training images of the loss; 0: all (default: 1000)");
  flag("--test-images", "surface.test_images", "N", "test images too; 0: all").group(kMoreOptions);
  flag("--images-at-once", "surface.images_at_once", "N", "images in a batch (default: train.batch_size)")
      .group(kMoreOptions);
  flag("--bn", "surface.batch_norm", "NAME", "statistics: batch | running | reestimate | moved | auto");
  flag("--grad-norm", "surface.grad_norm", "true|false", "the gradient's norm in each cell too").group(kMoreOptions);
  flag("--trajectory", "surface.trajectory", "STEPS", "checkpoints drawn in the plane: all, none, or ranges")
      .group(kMoreOptions);
  flag("--data.path", "data.path", "DIR", "where the data lies now, if it was moved").group(kMoreOptions);
  verb.option("--task", command->task, "only the i-th of n shares, i from 0; auto: as Open MPI, PMI or Slurm say")
      .type_name("i/n|auto");
  verb.note("A DIRECTION is one of " + surface_direction_forms() + ".");
  verb.note(
      "Li et al. 2018. Makes RUN_DIR/surface-NAME.h5 (docs/guide/surfaces.md). What is not given is as the surface's "
      "shards have it, or the run's [surface].");
  verb.example("gradscape surface runs/A --y random", "a plane, as Li et al. 2018");
  verb.example("gradscape surface runs/A --x to:0", "the line to the initial weights");
  verb.runs([command] { run_surface(*command); });
}

}  // namespace gradscape
