#include <fmt/format.h>

#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/sweep_job.hpp"
#include "gradscape/cli/train_job.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/interrupt.hpp"

namespace gradscape {
namespace {

/// Trains every run of a study; finish(run) follows each.
template <class Finish>
void train_all(const StudyOptions& options, bool probe, Finish&& finish) {
  catch_preemption();
  const TrainRequest request{options.resume, options.force, probe};
  const auto runs = place_runs(options);
  for (const PlacedRun& run : runs) require_trainable(run.experiment, run.directory, request);
  for (const PlacedRun& run : runs) {
    if (interrupted()) throw interruption("", "", "the same command with --resume continues");
    train(run.experiment, run.directory, request);
    finish(run);
  }
}

}  // namespace

void add_run(CLI::App& app, Action& selected) {
  CLI::App* verb = app.add_subcommand("run", "Train every variant with the probes inline, then merge: the main job");
  const auto options = add_study_options(*verb);
  verb->callback([options, &selected] {
    selected = [options] {
      train_all(*options, true, [](const PlacedRun& run) {
        // Steps that an earlier `train` took without probes are probed now; else there is nothing to do.
        sweep(run.experiment, run.directory, "main", plan_sweep(run.directory, run.experiment));
        fmt::print("{}\n", merge(run.directory, "main"));
      });
    };
  });
}

void add_train(CLI::App& app, Action& selected) {
  CLI::App* verb = app.add_subcommand("train", "Train every variant without probes; `sweep` can probe it later");
  const auto options = add_study_options(*verb);
  verb->callback([options, &selected] {
    selected = [options] {
      train_all(*options, false, [](const PlacedRun& run) { fmt::print("{}\n", run.directory.root()); });
    };
  });
}

}  // namespace gradscape
