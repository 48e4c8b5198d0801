// Which values of a configuration go together.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "gradscape/config/experiment.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/nn/layer_text.hpp"

namespace gradscape {
namespace {

/// Options that only some norms take. Without a norm none has a meaning, and all are admitted, so that variants with
/// and without one can share them.
void check_norm(const ModelOptions& model, const std::string& where) {
  const ModelOptions defaults;
  const auto refuse = [&](const char* option, const char* of) {
    throw UsageError(where, fmt::format("model.norm = \"{}\" does not take model.{}", model.norm, option),
                     fmt::format("it is an option of {}; leave it out, in a study with variants: give it in those that "
                                 "take it",
                                 of));
  };
  if (model.norm == "none") return;
  if (model.norm_groups != defaults.norm_groups && model.norm != "group") refuse("norm_groups", "group");
  if (model.norm != "layer" && model.norm != "group") return;
  if (model.norm_track != defaults.norm_track) refuse("norm_track", "batch, l1, l2 and linf");
  if (model.norm_momentum != defaults.norm_momentum) refuse("norm_momentum", "batch, l1, l2 and linf");
}

/// A network as text stands alone: it has what the other options of [model] say, but for weights and loss.
void check_layers(const Experiment& experiment, const std::string& where) {
  const ModelOptions& model = experiment.model;
  if (model.layers.empty()) {
    if (model.arch != kLayersArch) return;
    throw UsageError(where, "model.arch = \"layers\" needs model.layers",
                     "the network as text: docs/guide/own-networks.md");
  }
  if (model.arch != kLayersArch)
    throw UsageError(where, fmt::format("model.arch = \"{}\" and model.layers are both given", model.arch),
                     "leave one of them out");
  static const std::set<std::string> kept = {"arch", "layers", "init", "loss", "label_smoothing", "loss_decay"};
  const Experiment defaults;
  std::vector<std::string> others;
  for (const Field& field : fields())
    if (field.section == "model" && !kept.contains(field.key) &&
        field_text(field, experiment) != field_text(field, defaults))
      others.push_back(field.name());
  if (!others.empty())
    throw UsageError(
        where, fmt::format("model.layers does not take {}", fmt::join(others, ", ")),
        "the text says it all; leave them out, in a study with variants: give them in those that take them");
  check_layer_text(model.layers, fmt::format("{}: model.layers", where));
}

/// Regression needs a loss of differences, and only it has targets for the deep linear network.
void check_loss(const Experiment& experiment, const std::string& where) {
  const ModelOptions& model = experiment.model;
  if (experiment.data.source == "linear" && model.loss == "cross-entropy")
    throw UsageError(where, "data.source = \"linear\" has targets, which model.loss = \"cross-entropy\" does not take",
                     "set model.loss to sse (the paper's) or mse");
  if (model.label_smoothing > 0 && model.loss != "cross-entropy")
    throw UsageError(where, fmt::format("model.label_smoothing is of no use with model.loss = \"{}\"", model.loss),
                     "it belongs to cross-entropy");
  if (model.loss_decay > 0 && experiment.train.weight_decay > 0)
    throw UsageError(where,
                     fmt::format("model.loss_decay = {} and train.weight_decay = {} would count the decay twice",
                                 model.loss_decay, experiment.train.weight_decay),
                     "loss_decay is part of the loss and its landscape, weight_decay of the optimiser's step alone");
  if (model.loss_decay > 0 && model.loss == "sse")
    throw UsageError(where, "model.loss_decay does not go with model.loss = \"sse\"",
                     "a sum grows with the samples and the decay does not: set mse, or train.weight_decay");
}

/// Options that belong to some kinds of data only.
void check_data(const DataOptions& data, const std::string& where) {
  if (data.classes > 0 && data.source != "idx" && data.source != "hdf5" && data.source != "npy")
    throw UsageError(where,
                     fmt::format("data.classes = {} is of no use with data.source = \"{}\"", data.classes, data.source),
                     "it is of idx, hdf5 and npy");
  if (data.labels != DataOptions().labels && data.source != "cifar100")
    throw UsageError(
        where, fmt::format("data.labels = \"{}\" is of no use with data.source = \"{}\"", data.labels, data.source),
        "only cifar100 has two kinds of labels");
}

/// The columns of a sweep's grid, and what they are measured on.
void check_points(const SweepOptions& sweep, const std::string& where) {
  const char* name = sweep.step_sizes.empty() ? "multipliers" : "step_sizes";
  if (sweep.points().empty())
    throw UsageError(where, "sweep.multipliers is empty", "give at least one, as in [0.5, 1.0, 2.0, 4.0]");
  for (const double point : sweep.points())
    if (std::count(sweep.points().begin(), sweep.points().end(), point) > 1)
      throw UsageError(where, fmt::format("sweep.{} holds {} more than once", name, point));
  if (!sweep.step_sizes.empty() && sweep.direction == "update")
    throw UsageError(where, "sweep.step_sizes have no meaning along the optimiser's update",
                     "it has a length of its own: give sweep.multipliers of it");
  const SweepOptions defaults;
  if (!sweep.step_sizes.empty() && sweep.multipliers != defaults.multipliers)
    throw UsageError(where, "sweep.step_sizes and sweep.multipliers are both given", "leave one of them out");
  if (sweep.on == "batch" && (sweep.mode != defaults.mode || sweep.on_images != defaults.on_images ||
                              sweep.on_gradients != defaults.on_gradients))
    throw UsageError(where, "sweep.mode, on_images and on_gradients are of sweep.on = \"train\" or \"test\"",
                     "the step's batch is probed as it was trained on");
}

}  // namespace

void check_experiment(const Experiment& experiment, const std::string& where) {
  const TrainOptions& train = experiment.train;
  check_layers(experiment, where);
  check_norm(experiment.model, where);
  check_loss(experiment, where);
  check_data(experiment.data, where);
  if (train.steps == 0 && train.epochs == 0 && !train.imported)
    throw UsageError(where, "the length of training is not given", "set train.steps or train.epochs");
  if (train.steps > 0 && train.epochs > 0)
    throw UsageError(where,
                     fmt::format("train.steps = {} and train.epochs = {} are both given", train.steps, train.epochs),
                     "set one of them; 0 means the other counts");
  if (train.nesterov && train.momentum == 0)
    throw UsageError(where, "train.nesterov needs a momentum", "set train.momentum, as in 0.9");
  if (train.warmup_steps > 0 && train.schedule == "onecycle")
    throw UsageError(where, "train.schedule = \"onecycle\" rises by itself", "leave train.warmup_steps out");
  if (train.warmup_steps > 0 && train.steps > 0 && train.warmup_steps >= train.steps)
    throw UsageError(where, fmt::format("train.warmup_steps = {} leave nothing of train.steps = {}", train.warmup_steps,
                                        train.steps));
  if (train.schedule == "step" && train.schedule_step == 0)
    throw UsageError(where, "train.schedule = \"step\" needs train.schedule_step", "steps between two decays");
  check_points(experiment.sweep, where);
  check_surface(experiment.surface, where);
  if (const std::size_t size = to_toml(experiment).size(); size > kLongestStored)
    throw UsageError(where, fmt::format("the configuration takes {} bytes", size),
                     fmt::format("every file holds it, of at most {}; repeat shortens model.layers", kLongestStored));
  if (!experiment.sweep.steps.empty()) (void)parse_step_ranges(experiment.sweep.steps, where);
  for (const std::string& kind : surveys_beside(experiment.sweep))
    if (const auto known = step_survey_names(); std::count(known.begin(), known.end(), kind) == 0)
      throw UsageError(where, fmt::format("sweep.also: there is no survey \"{}\" of steps", abridge(kind)),
                       fmt::format("one of: {}", fmt::join(known, ", ")));
  if (experiment.sweep.last >= 0 && experiment.sweep.last < experiment.sweep.first)
    throw UsageError(where, fmt::format("sweep.last = {} lies before sweep.first = {}", experiment.sweep.last,
                                        experiment.sweep.first));
}

}  // namespace gradscape
