#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/study/evaluate_job.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

/// Which checkpoint of which run.
struct Place {
  std::string run;
  std::string data_path;

  void add_to(Verb& verb) {
    verb.option("RUN@STEP", run, "a run's directory, and which checkpoint of it: a step, or last; without @: last")
        .required();
    verb.option("--data.path", data_path, "where the data lies now, if it was moved").type_name("DIR");
  }

  Experiment experiment(const RunAt& at) const {
    Experiment stored = read_stored_experiment(at.directory);
    if (!data_path.empty()) stored.data.path = data_path;
    return stored;
  }
};

struct EvaluateCommand {
  Place place;
  EvaluateRequest request;
};

struct ExportCommand {
  Place place;
  std::string to;
};

void print_result(const RunAt& at, const EvaluateRequest& request, const EvaluateResult& result) {
  print_out("{} at step {}: {} {}images, {} mode\n", at.directory.root(), at.step, result.images,
            request.images.empty() ? "test " : "", request.mode == Mode::train ? "train" : "evaluation");
  if (!std::isnan(result.loss)) print_out("  loss      {:.9g}\n", result.loss);
  if (!std::isnan(result.accuracy)) print_out("  accuracy  {:.2f} %\n", 100 * result.accuracy);
  for (const auto& [name, difference] : result.differences)
    print_out("  {} differ from the file's by {:.2g} of their norm\n", name, difference);
  if (!request.to.empty()) print_out("{}\n", request.to);
}

Mode mode_from(const std::string& text) {
  if (text == "train") return Mode::train;
  if (text == "evaluation") return Mode::evaluation;
  throw UsageError("--mode", fmt::format("\"{}\" is no mode", abridge(text)), "allowed: train | evaluation");
}

}  // namespace

void add_evaluate(VerbList& verbs) {
  Verb verb = verbs.add("evaluate", "Loss, accuracy and logits of a run's network at a checkpoint");
  auto command = std::make_shared<EvaluateCommand>();
  command->place.add_to(verb);
  verb.option("--images", command->request.images,
              "a safetensors file with `images` [N, C, H, W] as the network sees them and, if there, `labels` [N]; its "
              "`logits`, `loss` and gradient are compared (default: the run's test images)")
      .type_name("FILE");
  verb.text(
          "--mode", [command](const std::string& text) { command->request.mode = mode_from(text); },
          "train: batch statistics; evaluation: running statistics (default); dropout is off in both")
      .type_name("NAME")
      .choices({"train", "evaluation"});
  verb.text(
          "--precision",
          [command](const std::string& text) {
            if (text != "float" && text != "double")
              throw UsageError("--precision", fmt::format("\"{}\" is no precision", abridge(text)),
                               "allowed: float | double");
            command->request.precision = text;
          },
          "float | double (default: the run's)")
      .type_name("NAME")
      .choices({"float", "double"});
  verb.option("--to", command->request.to, "write the logits [N, K] to this safetensors file").type_name("FILE");
  verb.example("gradscape evaluate runs/NAME", "the last checkpoint on the test images");
  verb.example("gradscape evaluate runs/NAME@100 --images check.safetensors", "on images of your own");
  verb.runs([command] {
    const RunAt at = find_run_at(command->place.run);
    print_result(at, command->request, evaluate_run(at, command->place.experiment(at), command->request));
  });
}

void add_export(VerbList& verbs) {
  Verb verb = verbs.add("export", "A checkpoint's weights as a safetensors file, for PyTorch");
  auto command = std::make_shared<ExportCommand>();
  command->place.add_to(verb);
  verb.option("--to", command->to, "the file to write").required().type_name("FILE");
  verb.example("gradscape export runs/NAME@last --to w.safetensors", "the last checkpoint");
  verb.runs([command] {
    const RunAt at = find_run_at(command->place.run);
    export_run(at, command->place.experiment(at), command->to);
    print_path(command->to);
  });
}

}  // namespace gradscape
