#include <fmt/format.h>

#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/sweep_job.hpp"
#include "gradscape/cli/train_job.hpp"
#include "gradscape/cli/verbs.hpp"

namespace gradscape {

void add_run(CLI::App& app, Action& selected) {
  CLI::App* verb = app.add_subcommand("run", "Train every variant with the probes inline, then merge: the main job");
  const auto options = add_study_options(*verb);
  verb->callback([options, &selected] {
    selected = [options] {
      for (const PlacedRun& run : place_runs(*options)) {
        train(run.experiment, run.directory, {options->resume, options->force, true});
        // Steps that an earlier `train` took without probes are probed now; else there is nothing to do.
        sweep(run.experiment, run.directory, "main");
        fmt::print("{}\n", merge(run.directory, "main"));
      }
    };
  });
}

void add_train(CLI::App& app, Action& selected) {
  CLI::App* verb = app.add_subcommand("train", "Train every variant without probes; `sweep` can probe it later");
  const auto options = add_study_options(*verb);
  verb->callback([options, &selected] {
    selected = [options] {
      for (const PlacedRun& run : place_runs(*options)) {
        train(run.experiment, run.directory, {options->resume, options->force, false});
        fmt::print("{}\n", run.directory.root());
      }
    };
  });
}

}  // namespace gradscape
