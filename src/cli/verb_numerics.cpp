#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/landscape/noise_floor.hpp"
#include "gradscape/nn/zoo.hpp"
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

/// Whether a field has a part in one evaluation, or a configuration needs it to be one.
bool matters(const Field& field) {
  static const std::set<std::string> of_training = {"batch_size", "steps", "epochs", "seed", "precision", "engine"};
  static const std::set<std::string> of_tests = {"data.test_limit", "data.synthetic_test"};
  return field.section == "model" || (field.section == "data" && !of_tests.contains(field.name())) ||
         (field.section == "train" && of_training.contains(field.key));
}

/// A row of the report.
struct Tensor {
  std::string name;
  Index size = 0;
  double error = 0;
  bool zero = false;  // by definition: what is compared is rounding
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
    const auto idle =
        idle_biases(zoo_graph(experiment.model, process.network().input(), process.network().output().channels));
    for (std::size_t i = 0; i < parts.size(); ++i)
      report.tensors.push_back(
          {parts[i].name, parts[i].size, errors.tensors[i], std::count(idle.begin(), idle.end(), parts[i].name) > 0});
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
    row("  " + tensor.name, std::to_string(tensor.size), tensor.zero ? "- *" : fmt::format("{:.3e}", tensor.error));
  if (std::any_of(report.tensors.begin(), report.tensors.end(), [](const Tensor& tensor) { return tensor.zero; }))
    print_out("  * its gradient is 0 by definition: the norm behind it takes a bias out with the mean\n");
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
    Json row = {{"size", tensor.size}, {"relative_error", tensor.error}};
    if (tensor.zero) row["zero_by_definition"] = true;
    return row;
  };
  for (const Tensor& tensor : report.whole) json[tensor.name] = object(tensor);
  for (const Tensor& tensor : report.tensors) json["tensors"][tensor.name] = object(tensor);
  return json;
}

}  // namespace

void add_numerics(VerbList& verbs) {
  Verb verb = verbs.add("numerics", "How far from double precision one evaluation is");
  verb.note(
      "Relative errors |x - x_double|/|x_double| of loss, logits, gradient and its tensors: x as the run computes it, "
      "x_double in double with the direct engine, at the same weights, batch and dropout masks. The gradient's is what "
      "a sweep stores as its noise floor. A bias before a norm that takes its mean out has a gradient of 0 by "
      "definition, and only rounding to compare. nan (JSON: null): not finite.");
  verb.example("gradscape numerics CONFIG --engine direct", "at the initial weights");
  verb.example("gradscape numerics runs/NAME --step 500", "at a checkpoint");
  auto command = std::make_shared<NumericsCommand>();
  StudyOptions& study = *command->study;
  verb.option("PATH", study.config,
              "CONFIG: initial weights, batch of step 0, every variant. RUN_DIR (a run, or a folder of runs): the "
              "last checkpoint, and the batch that training would take next")
      .required();
  verb.option("--step", command->step, "RUN_DIR: the checkpoint of this step").type_name("N");
  verb.option("--variant", study.variant, "CONFIG: only this [[variant]] of the file").type_name("NAME");
  verb.flag("--json", command->json, "print everything as JSON (docs/format.md)");
  add_field_flags(verb, {command->study, &study.overrides}, matters);
  verb.runs([command] {
    const std::vector<Report> reports = make_reports(*command);
    if (command->json) {
      Json runs = Json::array();
      for (const Report& report : reports) runs.push_back(to_json(report));
      write_output(json_text(Json{{"runs", runs}}));
    } else {
      for (std::size_t i = 0; i < reports.size(); ++i) {
        if (i > 0) print_out("\n");
        print_text(reports[i]);
      }
    }
  });
}

}  // namespace gradscape
