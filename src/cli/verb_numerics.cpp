#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/landscape/noise_floor.hpp"
#include "gradscape/study/merge.hpp"
#include "gradscape/study/open_run.hpp"

namespace gradscape {
namespace {

using Json = nlohmann::ordered_json;

struct NumericsCommand {
  std::shared_ptr<StudyOptions> study = std::make_shared<StudyOptions>();  // .config is the CONFIG or the RUN_DIR
  std::optional<std::int64_t> step;
  bool json = false;
};

/// A row of the report.
struct Tensor {
  std::string name;
  Index size = 0;
  double error = 0;
};

/// What is said of one run.
struct Report {
  Experiment experiment;
  std::int64_t step = 0;
  std::size_t samples = 0;
  std::vector<Tensor> whole;    // loss, logits, gradient
  std::vector<Tensor> tensors;  // of the gradient
};

/// Judges the step that training would take from `state`.
template <class S>
Report judge(const Experiment& experiment, TrainingProcess<S>& process, const TrainingState<S>& state) {
  Report report;
  report.experiment = experiment;
  report.step = state.step;
  process.preview(state, [&](const StepView<S>& view) {
    report.samples = view.batch.labels.size();
    const Index logits = process.network().logits().size();
    const RelativeErrors errors = compare_with_double(process, view);
    report.whole = {
        {"loss", 1, errors.loss}, {"logits", logits, errors.logits}, {"gradient", view.grad.size(), errors.gradient}};
    const auto& parts = process.network().parameters().parts();
    for (std::size_t i = 0; i < parts.size(); ++i)
      report.tensors.push_back({parts[i].name, parts[i].size, errors.tensors[i]});
  });
  return report;
}

/// Step 0 of what a configuration describes.
Report judge_configuration(const Experiment& experiment) {
  return with_precision(experiment, [&]<class S>() {
    OpenRun<S> run(experiment, RunDirectory(""));
    return judge<S>(experiment, run.process(), run.process().initial_state());
  });
}

Report judge_run(const Experiment& experiment, const RunDirectory& directory, std::optional<std::int64_t> wanted) {
  const auto checkpoints = directory.checkpoint_steps();
  const std::int64_t step = wanted.value_or(last_checkpoint(directory).step);
  if (std::find(checkpoints.begin(), checkpoints.end(), step) == checkpoints.end())
    throw UsageError("--step", fmt::format("{} has no checkpoint of step {}", directory.root(), step),
                     "it has: " + describe_steps(checkpoints));
  return with_precision(experiment, [&]<class S>() {
    OpenRun<S> run(experiment, directory);
    return judge<S>(experiment, run.process(), run.checkpoint(step));
  });
}

/// Of a stored run only the place of its data may be overridden.
void override_stored(const Overrides& overrides, Experiment& experiment) {
  for (const auto& [name, text] : overrides) {
    if (name != "data.path")
      throw UsageError("--" + name, "does not go with a run directory: the run has its configuration",
                       "with a configuration file it does; --data.path says where the data lies now");
    set_field(*find_field(name), experiment, text, "--" + name);
  }
}

std::vector<Report> make_reports(const NumericsCommand& command) {
  const StudyOptions& options = *command.study;
  std::vector<Report> reports;
  std::error_code no_directory;
  if (!std::filesystem::is_directory(options.config, no_directory)) {
    if (command.step)
      throw UsageError("--step", "goes with a run directory only", "a configuration has step 0, before any training");
    for (const PlacedRun& run : place_runs(options)) reports.push_back(judge_configuration(run.experiment));
    return reports;
  }
  if (!options.variant.empty())
    throw UsageError("--variant", "goes with a configuration file only", "name the directory of the variant's run");
  for (const RunDirectory& directory : find_runs(options.config)) {
    Experiment experiment = read_stored_experiment(directory);
    override_stored(options.overrides, experiment);
    reports.push_back(judge_run(experiment, directory, command.step));
  }
  return reports;
}

void print_text(const Report& report) {
  const Experiment& experiment = report.experiment;
  print_out("experiment \"{}\"{}: step {}, batch of {}; {} with the {} engine against double with the direct one\n",
            experiment.experiment.name,
            experiment.experiment.variant.empty() ? "" : ", variant \"" + experiment.experiment.variant + "\"",
            report.step, report.samples, experiment.train.precision, experiment.train.engine);
  std::size_t width = 0;
  for (const auto* list : {&report.whole, &report.tensors})
    for (const Tensor& tensor : *list) width = std::max(width, tensor.name.size());
  const auto row = [&](const std::string& name, const std::string& size, const std::string& error) {
    print_out("  {:<{}}  {:>10}  {:>14}\n", name, width + 2, size, error);
  };
  row("", "size", "relative error");
  for (const Tensor& tensor : report.whole)
    row(tensor.name, std::to_string(tensor.size), fmt::format("{:.3e}", tensor.error));
  for (const Tensor& tensor : report.tensors)
    row("  " + tensor.name, std::to_string(tensor.size), fmt::format("{:.3e}", tensor.error));
}

/// NaN becomes null, which JSON has.
Json to_json(const Report& report) {
  Json json = {{"name", report.experiment.experiment.name},
               {"variant", report.experiment.experiment.variant},
               {"precision", report.experiment.train.precision},
               {"engine", report.experiment.train.engine},
               {"step", report.step},
               {"batch_size", report.samples}};
  const auto object = [](const Tensor& tensor) {
    return Json{{"size", tensor.size}, {"relative_error", tensor.error}};
  };
  for (const Tensor& tensor : report.whole) json[tensor.name] = object(tensor);
  for (const Tensor& tensor : report.tensors) json["tensors"][tensor.name] = object(tensor);
  return json;
}

}  // namespace

void add_numerics(VerbList& verbs) {
  Verb verb = verbs.add(
      "numerics",
      "Compare one evaluation with the same one in double: relative errors of loss, logits, gradient and its tensors");
  verb.footer(R"(
An error is |x - x_double|/|x_double|: x as the run computes it, x_double in double with the direct engine, at the same
weights, batch and dropout masks. The gradient's is what a sweep stores as its noise floor. A tensor whose gradient is
zero but for rounding (a bias before batch norm) has an error of any size; nan (JSON: null): the error is not finite.
Examples:
  gradscape numerics configs/quickstart.toml --train.engine direct
  gradscape numerics runs/NAME --step 500 --json)");
  auto command = std::make_shared<NumericsCommand>();
  StudyOptions& study = *command->study;
  verb.option("PATH", study.config,
              "CONFIG: initial weights, batch of step 0, every variant. RUN_DIR (a run, or a folder of runs): the "
              "last checkpoint, and the batch that training would take next")
      .required();
  verb.option("--step", command->step, "RUN_DIR: the checkpoint of this step").type_name("N");
  verb.option("--variant", study.variant, "CONFIG: only this [[variant]] of the file");
  verb.flag("--json", command->json, "print JSON: a list with one object per run");
  add_field_flags(verb, {command->study, &study.overrides},
                  [](const Field& field) { return field.name() != "experiment.variant"; });
  verb.runs([command] {
    const std::vector<Report> reports = make_reports(*command);
    if (command->json) {
      Json list = Json::array();
      for (const Report& report : reports) list.push_back(to_json(report));
      write_output(json_text(list));
    } else {
      for (std::size_t i = 0; i < reports.size(); ++i) {
        if (i > 0) print_out("\n");
        print_text(reports[i]);
      }
    }
  });
}

}  // namespace gradscape
