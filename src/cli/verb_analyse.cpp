#include <fmt/format.h>

#include <memory>

#include "gradscape/cli/step_selection.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/study/analysis_job.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

struct AnalyseCommand : AnalysisRequest {
  std::string directory;
  std::string steps;
  std::string data_path;
};

void run_analysis(const AnalyseCommand& command) {
  catch_preemption();
  const std::vector<RunDirectory> runs = find_runs(command.directory);
  bool any = false;  // was looked at
  for (const RunDirectory& directory : runs) {
    Experiment experiment = read_stored_experiment(directory);
    // In a folder of variants those without batch norm are none of the theorem's business.
    if (command.kind == AnalysisKind::theorem && experiment.model.norm != "batch" &&
        (any || &directory != &runs.back())) {
      say(fmt::format("{}: left out, as its norm is not batch norm", directory.root()));
      continue;
    }
    any = true;
    if (!command.steps.empty()) select_steps(command.steps, experiment);
    if (!command.data_path.empty()) experiment.data.path = command.data_path;
    print_out("{}\n", analyse(command, experiment, directory));
  }
}

std::shared_ptr<AnalyseCommand> add_analysis(Verb verb, AnalysisKind kind) {
  auto command = std::make_shared<AnalyseCommand>();
  command->kind = kind;
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.option("--steps", command->steps, kStepsHelp);
  verb.option(
          "--layers", command->layers,
          "layers by number or name, as in 1,11,24 or features.0,classifier.4 (default: all; a wrong name is answered "
          "with the run's names)")
      .delimiter(',')
      .type_name("NAME,…");
  verb.option("--data.path", command->data_path, "where the data lies now, if it was moved").type_name("");
  verb.runs([command] { run_analysis(*command); });
  return command;
}

}  // namespace

void add_shift(VerbList& verbs) {
  add_analysis(verbs.add("shift",
                         "Internal covariate shift of each layer (Santurkar et al. 2018, definition 2.1), by replay: "
                         "RUN_DIR/shift.h5"),
               AnalysisKind::shift);
}

void add_distributions(VerbList& verbs) {
  Verb verb = verbs.add(
      "distributions", "Histograms, moments and drift of activations and weights, by replay: RUN_DIR/distributions.h5");
  const auto command = add_analysis(verb, AnalysisKind::distributions);
  verb.number(
          "--bins",
          [command](int bins) {
            if (bins < 1) throw UsageError("--bins", fmt::format("{} bins hold nothing", bins), "1 or more");
            command->bins = static_cast<std::size_t>(bins);
          },
          "bins of a histogram (default: 64)")
      .type_name("N");
}

void add_theorem(VerbList& verbs) {
  add_analysis(verbs.add("theorem",
                         "Both sides of theorem 4.1 of Santurkar et al. 2018 per unit of each batch norm, by replay in "
                         "double: RUN_DIR/theorem.h5"),
               AnalysisKind::theorem);
}

}  // namespace gradscape
