// The list of fields: to add an option, add a member with its default to a section's struct and a row here.
#include <limits>

#include "gradscape/config/experiment.hpp"
#include "gradscape/landscape/sweep.hpp"
#include "gradscape/train/optimizer.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMostInteger = 9007199254740992.0;  // 2^53: exact in a double

Range any() {
  return {-kMostInteger, kMostInteger};
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
Range below_one() {
  return {0, 1, false, true};
}

std::vector<std::string> engine_choices() {
  std::vector<std::string> names = engine_names();
  names.insert(names.begin(), "auto");
  return names;
}

#define GRADSCAPE_AT(member) [](Experiment& e) -> FieldTarget { return &e.member; }

std::vector<Field> make_fields() {
  using I = Identity;
  return {
      {"experiment", "name", GRADSCAPE_AT(experiment.name), "names the run directory: runs/NAME", {}, any(), I::no},
      {"experiment",
       "variant",
       GRADSCAPE_AT(experiment.variant),
       "set by the program: which variant a run is",
       {},
       any(),
       I::no},
      {"experiment",
       "seeds",
       GRADSCAPE_AT(experiment.seeds),
       "a run for each of these seeds, in a folder seed-S of its own, instead of train.seed",
       {},
       at_least(0),
       I::no},

      {"data", "source", GRADSCAPE_AT(data.source), "kind of data set", data_source_names(), any(), I::no},
      {"data",
       "path",
       GRADSCAPE_AT(data.path),
       "folder of its files; default for cifar10: $GRADSCAPE_CIFAR10",
       {},
       any(),
       I::no},
      {"data",
       "standardise",
       GRADSCAPE_AT(data.standardise),
       "pixels: half (x/255 - 0.5)/0.5, channel (mean and deviation of the training images), none x/255",
       {"half", "channel", "none"},
       any()},
      {"data",
       "train_limit",
       GRADSCAPE_AT(data.train_limit),
       "first so many training images; 0: all",
       {},
       at_least(0),
       I::no},
      {"data",
       "test_limit",
       GRADSCAPE_AT(data.test_limit),
       "first so many test images; 0: all",
       {},
       at_least(0),
       I::no},
      {"data", "augment_flip", GRADSCAPE_AT(data.augment_flip), "mirror training images at random", {}, any()},
      {"data",
       "augment_crop",
       GRADSCAPE_AT(data.augment_crop),
       "pad by so many pixels and crop at random; 0: off",
       {},
       {0, 16}},
      {"data",
       "synthetic_seed",
       GRADSCAPE_AT(data.synthetic_seed),
       "seed of the synthetic images",
       {},
       at_least(0),
       I::no},
      {"data", "synthetic_train", GRADSCAPE_AT(data.synthetic_train), "synthetic training images", {}, {1, 1e6}, I::no},
      {"data", "synthetic_test", GRADSCAPE_AT(data.synthetic_test), "synthetic test images", {}, {0, 1e6}, I::no},

      {"model", "arch", GRADSCAPE_AT(model.arch), "network", arch_names(), any()},
      {"model", "width", GRADSCAPE_AT(model.width), "vgg-a: factor on all channel counts", {}, {0, 16, true, false}},
      {"model", "hidden", GRADSCAPE_AT(model.hidden), "mlp: units of each hidden layer", {}, {1, 1e6}},
      {"model", "activation", GRADSCAPE_AT(model.activation), "non-linearity", {"relu", "linear"}, any()},
      {"model", "pool", GRADSCAPE_AT(model.pool), "vgg-a: pooling", {"max", "average"}, any()},
      {"model", "norm", GRADSCAPE_AT(model.norm), "normalisation before each activation", {"none", "batch"}, any()},
      {"model", "norm_dense", GRADSCAPE_AT(model.norm_dense), "vgg-a: norm on the hidden dense layers too", {}, any()},
      {"model", "norm_affine", GRADSCAPE_AT(model.norm_affine), "norm learns scale and shift", {}, any()},
      {"model",
       "norm_track",
       GRADSCAPE_AT(model.norm_track),
       "norm keeps running statistics for evaluation",
       {},
       any()},
      {"model", "norm_eps", GRADSCAPE_AT(model.norm_eps), "added to the variance", {}, positive()},
      {"model",
       "norm_momentum",
       GRADSCAPE_AT(model.norm_momentum),
       "weight of a batch in the running statistics",
       {},
       {0, 1}},
      {"model", "dropout", GRADSCAPE_AT(model.dropout), "dropout rate behind hidden dense layers", {}, below_one()},
      {"model", "bias", GRADSCAPE_AT(model.bias), "convolutions and dense layers have biases", {}, any()},
      {"model", "init", GRADSCAPE_AT(model.init), "initial weights", init_names(), any()},
      {"model", "loss", GRADSCAPE_AT(model.loss), "loss; mse and sse against one-hot targets", loss_names(), any()},

      {"train", "optimizer", GRADSCAPE_AT(train.optimizer), "optimiser", optimizer_names(), any()},
      {"train", "lr", GRADSCAPE_AT(train.lr), "learning rate", {}, positive()},
      {"train", "schedule", GRADSCAPE_AT(train.schedule), "learning rate over the steps", schedule_names(), any()},
      {"train",
       "schedule_step",
       GRADSCAPE_AT(train.schedule_step),
       "step schedule: steps between decays",
       {},
       at_least(0)},
      {"train",
       "schedule_gamma",
       GRADSCAPE_AT(train.schedule_gamma),
       "step schedule: factor of a decay",
       {},
       positive()},
      {"train", "lr_min", GRADSCAPE_AT(train.lr_min), "cosine schedule: rate at the end", {}, not_negative()},
      {"train", "momentum", GRADSCAPE_AT(train.momentum), "sgd: momentum", {}, below_one()},
      {"train", "nesterov", GRADSCAPE_AT(train.nesterov), "sgd: Nesterov momentum", {}, any()},
      {"train",
       "weight_decay",
       GRADSCAPE_AT(train.weight_decay),
       "L2 weight decay, not part of the probed gradient",
       {},
       not_negative()},
      {"train", "beta1", GRADSCAPE_AT(train.beta1), "adam: decay of the mean", {}, below_one()},
      {"train", "beta2", GRADSCAPE_AT(train.beta2), "adam: decay of the squares", {}, below_one()},
      {"train", "eps", GRADSCAPE_AT(train.eps), "adam: added to the root", {}, positive()},
      {"train", "batch_size", GRADSCAPE_AT(train.batch_size), "images per step", {}, {1, 1e6}},
      {"train",
       "steps",
       GRADSCAPE_AT(train.steps),
       "training steps; 0: counted in epochs",
       {},
       {0, 4e9},
       I::where_schedule_needs_it},
      {"train",
       "epochs",
       GRADSCAPE_AT(train.epochs),
       "epochs; 0: counted in steps",
       {},
       {0, 1e6},
       I::where_schedule_needs_it},
      {"train",
       "checkpoint_every",
       GRADSCAPE_AT(train.checkpoint_every),
       "steps between checkpoints; auto: from checkpoint_segments and checkpoint_gb",
       {},
       at_least(1),
       I::no,
       true},
      {"train",
       "checkpoint_segments",
       GRADSCAPE_AT(train.checkpoint_segments),
       "auto: pieces to cut a run into, as many as tasks shall share its sweep",
       {},
       at_least(1),
       I::no},
      {"train",
       "checkpoint_gb",
       GRADSCAPE_AT(train.checkpoint_gb),
       "auto: disk for a run's checkpoints, in 10^9 bytes; fewer pieces where they need more",
       {},
       positive(),
       I::no},
      {"train",
       "test_every",
       GRADSCAPE_AT(train.test_every),
       "steps between tests; 0: at the end only",
       {},
       at_least(0),
       I::no},
      {"train", "seed", GRADSCAPE_AT(train.seed), "seed of weights, order, augmentation, dropout", {}, at_least(0)},
      {"train", "precision", GRADSCAPE_AT(train.precision), "arithmetic of the run", {"float", "double"}, any()},
      {"train", "engine", GRADSCAPE_AT(train.engine),
       "how convolutions are computed; auto: winograd in float, direct in double", engine_choices(), any()},

      {"sweep", "every", GRADSCAPE_AT(sweep.every), "probe every so many steps", {}, at_least(1), I::no},
      {"sweep", "first", GRADSCAPE_AT(sweep.first), "first probed step", {}, at_least(0), I::no},
      {"sweep",
       "last",
       GRADSCAPE_AT(sweep.last),
       "last probed step, inclusive; -1: the end of the run",
       {},
       at_least(-1),
       I::no},
      {"sweep",
       "multipliers",
       GRADSCAPE_AT(sweep.multipliers),
       "multiples of the learning rate to probe at",
       {},
       positive(),
       I::no},
      {"sweep", "direction", GRADSCAPE_AT(sweep.direction), "gradient, or the optimiser's own update",
       direction_names(), any(), I::no},
      {"sweep",
       "precision",
       GRADSCAPE_AT(sweep.precision),
       "arithmetic of the probes",
       {"native", "double"},
       any(),
       I::no},
  };
}

}  // namespace

const std::vector<Field>& fields() {
  static const std::vector<Field> list = make_fields();
  return list;
}

}  // namespace gradscape
