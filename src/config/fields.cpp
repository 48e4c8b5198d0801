// The list of fields: to add an option, add a member with its default to a section's struct and a line here.
#include <limits>
#include <type_traits>
#include <utility>

#include "gradscape/config/experiment.hpp"
#include "gradscape/landscape/direction.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/landscape/sweep.hpp"
#include "gradscape/train/optimizer.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Range any() {
  return {-kMostInteger, kMostInteger};
}
Range not_zero() {
  return {-kInfinity, kInfinity, true, true, true};
}
Range positive() {
  return {0, kInfinity, true, true};
}
Range not_negative() {
  return {0, kInfinity, false, true};
}
Range at_least(double min) {
  return {min, kMostInteger};
}
Range between(double min, double max) {
  return {min, max};
}
Range below_one() {
  return {0, 1, false, true};
}

std::vector<std::string> engine_choices() {
  std::vector<std::string> names = engine_names();
  names.insert(names.begin(), "auto");
  return names;
}

/// The section of an experiment, constant or not, that has this type.
template <class Section, class AnyExperiment>
auto& section_of(AnyExperiment& experiment) {
  if constexpr (std::is_same_v<Section, ExperimentOptions>) return experiment.experiment;
  if constexpr (std::is_same_v<Section, DataOptions>) return experiment.data;
  if constexpr (std::is_same_v<Section, ModelOptions>) return experiment.model;
  if constexpr (std::is_same_v<Section, TrainOptions>) return experiment.train;
  if constexpr (std::is_same_v<Section, SweepOptions>) return experiment.sweep;
  if constexpr (std::is_same_v<Section, SurfaceOptions>) return experiment.surface;
}

/// `name`: "section.key".
template <class Section, class T>
Field field(const std::string& name, T Section::*member, const std::string& help, std::vector<std::string> choices,
            const Range& range, Identity identity) {
  const std::size_t dot = name.find('.');
  return {name.substr(0, dot),
          name.substr(dot + 1),
          [member](Experiment& e) -> FieldTarget { return &(section_of<Section>(e).*member); },
          [member](const Experiment& e) -> FieldValue { return &(section_of<Section>(e).*member); },
          help,
          std::move(choices),
          range,
          identity};
}

template <class Section>
Field text(const std::string& name, std::string Section::*member, const std::string& help,
           std::vector<std::string> choices = {}, Identity identity = Identity::yes) {
  return field(name, member, help, std::move(choices), any(), identity);
}

template <class Section>
Field flag(const std::string& name, bool Section::*member, const std::string& help, Identity identity = Identity::yes) {
  return field(name, member, help, {}, any(), identity);
}

/// A number, whole or not, or a list of them.
template <class Section, class T>
Field number(const std::string& name, T Section::*member, const Range& range, const std::string& help,
             Identity identity = Identity::yes) {
  return field(name, member, help, {}, range, identity);
}

/// A whole number that may be "auto" too.
Field or_auto(Field field) {
  field.automatic = true;
  return field;
}

/// A text that is a list, separated by commas: a list of the file is read too.
Field as_list(Field field) {
  field.separator = ',';
  return field;
}

/// A text of several lines, of which the file may make a list.
Field as_lines(Field field) {
  field.separator = '\n';
  return field;
}

std::vector<Field> make_fields() {
  using I = Identity;
  return {
      text("experiment.name", &ExperimentOptions::name, "names the run directory: runs/NAME", {}, I::no),
      text("experiment.variant", &ExperimentOptions::variant, "set by the program: which variant a run is", {}, I::no),
      number("experiment.seeds", &ExperimentOptions::seeds, at_least(0),
             "a run for each of these seeds, in a folder seed-S of its own, instead of train.seed", I::no),
      number("experiment.learning_rates", &ExperimentOptions::learning_rates, positive(),
             "sweep.kind = runs: a run for each of these, in a folder lr-X of its own, instead of train.lr", I::no),

      text("data.source", &DataOptions::source, "kind of data set", data_source_names(), I::no),
      text("data.path", &DataOptions::path,
           "folder of the set's files, hdf5: the file; default for cifar10, cifar100: $GRADSCAPE_CIFAR10, "
           "$GRADSCAPE_CIFAR100",
           {}, I::no),
      number("data.classes", &DataOptions::classes, between(0, 1e6),
             "idx, hdf5, npy: number of classes; 0: read off the training labels (idx: ten at least)", I::no),
      text("data.labels", &DataOptions::labels, "cifar100: 100 fine or 20 coarse classes", {"fine", "coarse"}, I::no),
      text(
          "data.standardise", &DataOptions::standardise,
          "pixels: half (x/255 - 0.5)/0.5, channel (mean and deviation of the training images), none x/255; of numbers "
          "that are no bytes: channel, none",
          {"half", "channel", "none"}),
      number("data.train_limit", &DataOptions::train_limit, at_least(0), "first so many training images; 0: all",
             I::no),
      number("data.test_limit", &DataOptions::test_limit, at_least(0), "first so many test images; 0: all", I::no),
      flag("data.augment_flip", &DataOptions::augment_flip, "mirror training images at random"),
      number("data.augment_crop", &DataOptions::augment_crop, between(0, 16),
             "pad by so many pixels and crop at random; 0: off"),
      number("data.synthetic_seed", &DataOptions::synthetic_seed, at_least(0), "seed of the synthetic images", I::no),
      number("data.synthetic_train", &DataOptions::synthetic_train, between(1, 1e6), "synthetic training images",
             I::no),
      number("data.synthetic_test", &DataOptions::synthetic_test, between(0, 1e6), "synthetic test images", I::no),
      number("data.linear_size", &DataOptions::linear_size, between(1, 1e4), "linear: entries of x and of Ax", I::no),
      number("data.linear_deviation", &DataOptions::linear_deviation, positive(),
             "linear: standard deviation of the entries of A", I::no),

      text("model.arch", &ModelOptions::arch, "network", arch_names()),
      as_lines(text("model.layers", &ModelOptions::layers, "the network as text, in place of arch (own-networks.md)")),
      text(
          "model.shortcut", &ModelOptions::shortcut,
          "resnet, wrn: where channels change, A (zeros) or B (1x1 convolution); none: no shortcuts at all; auto: A in "
          "resnet-20 to -110, else B",
          {"auto", "A", "B", "none"}),
      number("model.width", &ModelOptions::width, Range{0, 16, true, false},
             "factor on all channel counts (not mlp, deep-linear, layers)"),
      number("model.hidden", &ModelOptions::hidden, between(1, 1e6), "mlp: units of each hidden layer"),
      number("model.depth", &ModelOptions::depth, between(1, 1000), "deep-linear: number of layers"),
      text("model.activation", &ModelOptions::activation, "non-linearity", {"relu", "linear"}),
      text("model.pool", &ModelOptions::pool, "vgg, lenet: pooling", {"max", "average"}),
      text("model.norm", &ModelOptions::norm, "normalisation before each activation", norm_names()),
      flag("model.norm_dense", &ModelOptions::norm_dense, "vgg-a, lenet: norm on the hidden dense layers too"),
      flag("model.norm_affine", &ModelOptions::norm_affine, "norm learns scale and shift"),
      flag("model.norm_track", &ModelOptions::norm_track,
           "batch, l1, l2, linf: norm keeps running statistics for evaluation"),
      number("model.norm_eps", &ModelOptions::norm_eps, positive(),
             "added to the variance (l1, l2, linf: to the norm)"),
      number("model.norm_momentum", &ModelOptions::norm_momentum, between(0, 1),
             "batch, l1, l2, linf: weight of a batch in the running statistics"),
      number("model.norm_groups", &ModelOptions::norm_groups, between(1, 1e6),
             "group: groups of each layer's channels"),
      flag("model.noise", &ModelOptions::noise,
           "noise on activations behind the norm (Santurkar et al. 2018, algorithm 1), new in every step"),
      number("model.noise_mean", &ModelOptions::noise_mean, not_negative(),
             "noise: a unit's shift is uniform in ± this"),
      number("model.noise_scale", &ModelOptions::noise_scale, positive(),
             "noise: a unit's factor is uniform between 1 and this"),
      number("model.noise_mean_spread", &ModelOptions::noise_mean_spread, not_negative(),
             "noise: an element's shift is uniform in its unit's ± this"),
      number("model.noise_scale_spread", &ModelOptions::noise_scale_spread, not_negative(),
             "noise: standard deviation of an element's factor around its unit's"),
      number("model.dropout", &ModelOptions::dropout, below_one(),
             "dropout rate behind hidden dense layers; wrn, densenet: in each block"),
      flag("model.bias", &ModelOptions::bias, "convolutions and dense layers have biases"),
      text("model.init", &ModelOptions::init, "initial weights", init_names()),
      text("model.loss", &ModelOptions::loss, "loss; mse and sse against one-hot targets", loss_names()),
      number("model.label_smoothing", &ModelOptions::label_smoothing, below_one(),
             "cross-entropy: part of the target spread evenly over the classes"),
      number("model.loss_decay", &ModelOptions::loss_decay, not_negative(),
             "weight decay as a part of the loss and of the probed gradient: adds this/2 times the squares of all "
             "parameters"),

      text("train.optimizer", &TrainOptions::optimizer, "optimiser", optimizer_names()),
      number("train.lr", &TrainOptions::lr, positive(), "learning rate"),
      text("train.schedule", &TrainOptions::schedule, "learning rate over the steps", schedule_names()),
      number("train.schedule_step", &TrainOptions::schedule_step, at_least(0), "step schedule: steps between decays"),
      number("train.schedule_gamma", &TrainOptions::schedule_gamma, positive(), "step schedule: factor of a decay"),
      number("train.lr_min", &TrainOptions::lr_min, not_negative(), "cosine schedule: rate at the end"),
      number("train.warmup_steps", &TrainOptions::warmup_steps, at_least(0),
             "steps in which the rate rises to the schedule's first; 0: none"),
      number("train.warmup_factor", &TrainOptions::warmup_factor, between(0, 1),
             "warm-up: part of that rate to begin with"),
      number("train.cycle_rise", &TrainOptions::cycle_rise, Range{0, 1, true, true},
             "onecycle: part of the steps in which the rate rises to train.lr"),
      number("train.cycle_first", &TrainOptions::cycle_first, positive(), "onecycle: train.lr over the first rate"),
      number("train.cycle_last", &TrainOptions::cycle_last, positive(), "onecycle: the first rate over the last"),
      number("train.momentum", &TrainOptions::momentum, below_one(), "sgd, sam, rmsprop: momentum"),
      flag("train.nesterov", &TrainOptions::nesterov, "sgd, sam: Nesterov momentum"),
      number("train.weight_decay", &TrainOptions::weight_decay, not_negative(),
             "L2 weight decay (adamw: decoupled), not part of the loss or the probed gradient (see model.loss_decay)"),
      number("train.beta1", &TrainOptions::beta1, below_one(), "adam, adamw: decay of the mean"),
      number("train.beta2", &TrainOptions::beta2, below_one(), "adam, adamw: decay of the squares"),
      number("train.rms_decay", &TrainOptions::rms_decay, below_one(), "rmsprop: decay of the squares"),
      flag("train.rms_centered", &TrainOptions::rms_centered, "rmsprop: divide by the deviation"),
      number("train.sam_rho", &TrainOptions::sam_rho, positive(), "sam: distance of the second gradient's point"),
      number("train.eps", &TrainOptions::eps, positive(), "adam, adamw, rmsprop: added to the root"),
      number("train.batch_size", &TrainOptions::batch_size, between(1, 1e6), "images per step"),
      number("train.steps", &TrainOptions::steps, between(0, 4e9), "training steps; 0: counted in epochs",
             I::where_schedule_needs_it),
      number("train.epochs", &TrainOptions::epochs, between(0, 1e6), "epochs; 0: counted in steps",
             I::where_schedule_needs_it),
      or_auto(number("train.checkpoint_every", &TrainOptions::checkpoint_every, at_least(1),
                     "steps between checkpoints; auto: from checkpoint_segments and checkpoint_gb", I::no)),
      number("train.checkpoint_segments", &TrainOptions::checkpoint_segments, at_least(1),
             "auto: pieces to cut a run into, as many as tasks shall share its sweep", I::no),
      number("train.checkpoint_gb", &TrainOptions::checkpoint_gb, positive(),
             "auto: disk for a run's checkpoints, in 10^9 bytes; fewer pieces where they need more", I::no),
      number("train.test_every", &TrainOptions::test_every, at_least(0), "steps between tests; 0: at the end only",
             I::no),
      number("train.seed", &TrainOptions::seed, at_least(0), "seed of weights, order, augmentation, dropout"),
      text("train.precision", &TrainOptions::precision, "arithmetic of the run", {"float", "double"}),
      text("train.from_weights", &TrainOptions::from_weights,
           "set by train --from: the fingerprint of the weights that training begins with"),
      flag("train.imported", &TrainOptions::imported,
           "set by gradscape import: the checkpoints are snapshots, of which nothing is replayed"),
      text("train.engine", &TrainOptions::engine,
           "how convolutions are computed; auto: winograd in float, direct in double", engine_choices()),

      text("sweep.kind", &SweepOptions::kind,
           "direction: probes along a ray at each step; runs: no probes, the band across runs with "
           "experiment.learning_rates",
           {"direction", "runs"}, I::no),
      number("sweep.every", &SweepOptions::every, at_least(1), "probe every so many steps", I::no),
      number("sweep.first", &SweepOptions::first, at_least(0), "first probed step", I::no),
      number("sweep.last", &SweepOptions::last, at_least(-1), "last probed step, inclusive; -1: the end of the run",
             I::no),
      as_list(text("sweep.steps", &SweepOptions::steps,
                   "ranges first:last:every of steps in place of first, last and every, as in \"0:20:1,40:400:20\"", {},
                   I::no)),
      as_list(text("sweep.also", &SweepOptions::also,
                   "surveys that run makes of the same steps while training, as in \"shift,theorem\"", {}, I::no)),
      number("sweep.multipliers", &SweepOptions::multipliers, not_zero(),
             "multiples of the learning rate to probe at; below 0: behind theta, in no band", I::no),
      number("sweep.step_sizes", &SweepOptions::step_sizes, not_zero(),
             "step sizes to probe at in place of multiples of the learning rate; below 0: behind theta", I::no),
      text("sweep.direction", &SweepOptions::direction,
           "gradient, the optimiser's own update, or random: Gaussian with the gradient's norm", direction_names(),
           I::no),
      flag("sweep.layers", &SweepOptions::layers, "gradient difference and beta of each layer too", I::no),
      text("sweep.noise", &SweepOptions::noise,
           "with model.noise: the cells see the step's own draw, or each a fresh one", {"step", "fresh"}, I::no),
      text("sweep.precision", &SweepOptions::precision, "arithmetic of the probes", {"native", "double"}, I::no),
      text("sweep.on", &SweepOptions::on,
           "train, test: the loss of a fixed set of images too, at each point along the batch's direction",
           {"batch", "train", "test"}, I::no),
      text("sweep.mode", &SweepOptions::mode, "sweep.on: batch statistics and dropout, or running statistics",
           {"train", "evaluation"}, I::no),
      number("sweep.on_images", &SweepOptions::on_images, at_least(0),
             "sweep.on: images, evenly spaced in the data set; 0: all", I::no),
      flag("sweep.on_gradients", &SweepOptions::on_gradients, "sweep.on: the set's gradients too", I::no),

      text("surface.at", &SurfaceOptions::at, "step of the checkpoint in the centre, or last", {}, I::no),
      text("surface.x", &SurfaceOptions::x, "direction of the first axis: " + surface_direction_forms(), {}, I::no),
      text("surface.y", &SurfaceOptions::y, "direction of the second axis; empty: a line", {}, I::no),
      as_list(text("surface.through", &SurfaceOptions::through,
                   "three networks RUN@STEP, the first in the centre, whose plane it is, in place of x and y", {},
                   I::no)),
      text("surface.directions", &SurfaceOptions::directions, "a directions file in place of x and y", {}, I::no),
      text("surface.xlim", &SurfaceOptions::xlim,
           "first:last:points of the first axis, as in -1:1:51; empty: as suits the direction", {}, I::no),
      text("surface.ylim", &SurfaceOptions::ylim, "the same of the second axis", {}, I::no),
      text("surface.normalise", &SurfaceOptions::normalise,
           "random directions: lengths as those of the weights' filters or layers (Li et al. 2018), products with the "
           "weights, or unit lengths of filters (dfilter) or layers (dlayer)",
           normalisation_names(), I::no),
      text("surface.ignore", &SurfaceOptions::ignore, "random directions: biasbn, zeros in biases and norms, or none",
           {"biasbn", "none"}, I::no),
      number("surface.random_seed", &SurfaceOptions::random_seed, at_least(0), "seed of random directions", I::no),
      number("surface.repeats", &SurfaceOptions::repeats, between(1, 1000), "how often random directions are drawn",
             I::no),
      number("surface.images", &SurfaceOptions::images, at_least(0),
             "training images of the loss, evenly spaced in the data set; 0: all", I::no),
      number("surface.test_images", &SurfaceOptions::test_images, at_least(-1),
             "test images of the loss, likewise; -1: none", I::no),
      number("surface.images_at_once", &SurfaceOptions::images_at_once, at_least(0),
             "images in a batch; 0: train.batch_size", I::no),
      text("surface.batch_norm", &SurfaceOptions::batch_norm,
           "statistics: of each batch, the centre's running ones, reestimate (averaged anew in each cell), moved "
           "(running "
           "ones moved with the weights of to:); auto: reestimate with to: and through, else batch",
           {"auto", "batch", "running", "reestimate", "moved"}, I::no),
      flag("surface.grad_norm", &SurfaceOptions::grad_norm, "norm of the gradient in each cell too", I::no),
      as_list(text("surface.trajectory", &SurfaceOptions::trajectory,
                   "checkpoints drawn in the plane: all, none, or ranges first:last:every; empty: all with pca, else "
                   "none",
                   {}, I::no)),
  };
}

}  // namespace

const std::vector<Field>& fields() {
  static const std::vector<Field> list = make_fields();
  return list;
}

}  // namespace gradscape
