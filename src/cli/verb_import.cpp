#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "gradscape/cli/network_table.hpp"
#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/study/import_job.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

struct ImportCommand {
  ImportRequest request;
  std::string config;
  std::string out;
  std::string map;
  Overrides overrides;
};

/// The fields that an import takes: what is measured, and on which data.
bool of_import(const Field& field) {
  return field.section == "data" || field.section == "sweep" || field.name() == "experiment.name" ||
         field.name() == "train.lr" || field.name() == "train.batch_size" || field.name() == "train.seed" ||
         field.name() == "train.precision" || field.name() == "train.engine";
}

Experiment experiment_of(const ImportCommand& command) {
  Overrides overrides = command.overrides;
  overrides.emplace_back("train.imported", "true");
  if (!command.config.empty()) {
    const Study study = load_study(command.config, overrides, "");
    if (study.runs.size() != 1)
      throw UsageError(command.config, fmt::format("describes {} runs, and one is imported", study.runs.size()));
    return study.runs.front();
  }
  Experiment experiment = make_experiment(overrides);
  const bool named =
      std::any_of(overrides.begin(), overrides.end(), [](const auto& o) { return o.first == "experiment.name"; });
  // "." for a folder that is called by a path without a name.
  if (!named)
    experiment.experiment.name = std::filesystem::weakly_canonical(command.request.folder).filename().string();
  return experiment;
}

/// Images that are prepared in another way than those of the training are met with guesses.
void print_accuracy(const EvaluateResult& on_data, Index classes) {
  if (on_data.images == 0 || std::isnan(on_data.accuracy)) return;
  print_out("accuracy: {:.2f} % of {} test images\n", 100 * on_data.accuracy, on_data.images);
  const double chance = 1.0 / static_cast<double>(classes);
  const double deviation = std::sqrt(chance * (1 - chance) / static_cast<double>(on_data.images));
  if (on_data.accuracy <= chance + 2 * deviation)
    say("warning: the accuracy is near chance\n"
        "  hint: are these the data that it was trained on, prepared alike (data.standardise), with labels in this "
        "order?");
}

void print_report(const ImportResult& result) {
  for (const ImportedWeights& weights : result.weights) {
    const WeightReport& report = weights.report;
    print_out("snapshot {}: {}, {} tensors {}\n", weights.step, weights.path, report.matches.size(), report.how);
    for (const WeightMatch& match : report.matches)
      if (match.tensor != match.from || !match.note.empty())
        print_out("  {} <- {}{}\n", match.tensor, match.from, match.note.empty() ? "" : ", " + match.note);
    if (!report.ignored.empty()) print_out("  ignored: {}\n", fmt::join(report.ignored, ", "));
    for (const std::string& remark : report.remarks) print_out("  {}\n", remark);
  }
  double farthest = 0;
  for (const EvaluateResult& check : result.checks)
    for (const auto& [name, difference] : check.differences) {
      print_out("check: {} differ from the framework's by {:.2g} of their norm\n", name, difference);
      if (!(difference <= farthest)) farthest = difference;
    }
  constexpr double kRounding = 1e-2;  // of float, and much more
  if (!(farthest <= kRounding))
    say("warning: this is not what the framework computes: the check differs by more than rounding\n"
        "  hint: other weights than the check's, another layout of a square weight, another eps or activation?");
}

}  // namespace

void add_import(VerbList& verbs) {
  Verb verb = verbs.add("import", "A network and weights from elsewhere, as a run to sweep");
  auto command = std::make_shared<ImportCommand>();
  verb.option("NET", command->request.folder,
              "folder with network.toml and weights, as tools/from_pytorch.py and from_onnx.py write it")
      .required();
  verb.option("--config", command->config,
              "what is measured, on which data: [data], [sweep], train.lr, train.batch_size")
      .type_name("FILE");
  verb.option("--out", command->out, "the run's directory (default: runs/NET)").type_name("DIR");
  verb.option("--map", command->map,
              "which tensor is which, where nothing else tells: lines NAME_IN_FILE = NAME_IN_NETWORK")
      .type_name("FILE");
  verb.flag("--recompute-norm", command->request.recompute_statistics,
            "average batch norm's running statistics over the training images, whatever the files hold");
  verb.flag("--without-statistics", command->request.without_statistics,
            "the files may lack batch norm's running statistics");
  verb.flag("--force", command->request.force, "replace the run that is there");
  add_field_flags(verb, {command, &command->overrides}, of_import);
  verb.example("gradscape import net/ --data.source cifar10 --out runs/mine", "each file of weights is a snapshot");
  verb.example("gradscape sweep runs/mine", "probe at every snapshot");
  verb.runs([command] {
    const Experiment experiment = experiment_of(*command);
    if (!command->map.empty()) {
      constexpr std::size_t kLongestMap = 16 << 20;
      command->request.map = parse_weight_map(read_text(command->map, kLongestMap), command->map);
    }
    const RunDirectory directory(command->out.empty() ? "runs/" + experiment.experiment.name : command->out);
    const ImportResult result = import_run(command->request, experiment, directory);
    print_networks({read_stored_experiment(directory)});
    print_report(result);
    print_accuracy(result.on_data, result.classes);
    print_path(directory.root());
  });
}

}  // namespace gradscape
