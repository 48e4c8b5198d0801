#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "gradscape/core/fingerprint.hpp"
#include "gradscape/store/checkpoint_file.hpp"
#include "support/errors.hpp"
#include "support/h5_inspect.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

/// A run after a few steps: every part of its state has moved.
template <class S>
TrainingState<S> trained_state(const SmallRun& run) {
  const auto process = run.process<S>();
  return train_from(*process, process->initial_state()).state;
}

template <class S>
void write_state(const std::string& path, const SmallRun& run, const TrainingState<S>& state) {
  const auto process = run.process<S>();
  write_checkpoint<S>(path, {}, state, *process);
}

template <class S>
TrainingState<S> read_state(const std::string& path, const SmallRun& run) {
  const auto process = run.process<S>();
  return read_checkpoint<S>(path, *process);
}

template <class S>
class CheckpointOf : public ::testing::Test {
 protected:
  std::string path() const { return directory_ / "step.h5"; }
  TemporaryDirectory directory_;
};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(CheckpointOf, Scalars);

TYPED_TEST(CheckpointOf, ComesBackBitForBit) {
  using S = TypeParam;
  SmallRun sgd = mlp_run(4);
  sgd.train.optimizer = "sgd";  // no momentum: nothing to remember
  for (const SmallRun& run : {mlp_run(4), vgg_run(2), sgd}) {
    auto state = trained_state<S>(run);
    state.theta[0] = std::numeric_limits<S>::quiet_NaN();  // a diverged run's checkpoint is one too
    state.theta[1] = -std::numeric_limits<S>::infinity();
    state.theta[2] = S{-0.0f};
    state.theta[3] = std::numeric_limits<S>::denorm_min();
    write_state<S>(this->path(), run, state);
    EXPECT_TRUE(same_state(read_state<S>(this->path(), run), state)) << run.model.arch << ' ' << run.train.optimizer;
  }
}

TYPED_TEST(CheckpointOf, TrainingGoesOnFromTheFile) {
  using S = TypeParam;
  const SmallRun run = mlp_run(7);
  const auto process = run.process<S>();
  const auto whole = train_from(*process, process->initial_state());
  write_state<S>(this->path(), run, whole.before[4]);
  EXPECT_TRUE(same_state(train_from(*process, read_state<S>(this->path(), run)).state, whole.state));
}

TYPED_TEST(CheckpointOf, OfAnotherPrecisionIsRefused) {
  using S = TypeParam;
  using Other = std::conditional_t<std::is_same_v<S, float>, double, float>;
  const SmallRun run = mlp_run(1);
  write_state<S>(this->path(), run, trained_state<S>(run));
  expect_error([&] { read_state<Other>(this->path(), run); },
               {this->path(), "/parameters/layers.0.weight", "float32", "float64", "train.precision"});
}

/// Shapes of all datasets below a group.
std::map<std::string, h5::Shape> shapes(const std::string& path, const std::string& group) {
  std::vector<std::string> names;
  { names = h5::File::open(path).members(group); }
  std::map<std::string, h5::Shape> found;
  for (const auto& name : names) found[name] = RawDataset(path, group + "/" + name).shape();
  return found;
}

// What torch's state_dict has for
//   layers = Sequential(Linear(32, 12), BatchNorm1d(12), ReLU(), Dropout(),
//                       Linear(12, 10), BatchNorm1d(10), ReLU(), Dropout(), Linear(10, 3))
TEST(Checkpoint, HasPyTorchsNamesAndShapes) {
  const TemporaryDirectory directory;
  const std::string path = directory / "step.h5";
  const SmallRun run = mlp_run(2);
  write_state<float>(path, run, trained_state<float>(run));
  const std::map<std::string, h5::Shape> parameters = {
      {"layers.0.weight", {12, 32}}, {"layers.0.bias", {12}}, {"layers.1.weight", {12}}, {"layers.1.bias", {12}},
      {"layers.4.weight", {10, 12}}, {"layers.4.bias", {10}}, {"layers.5.weight", {10}}, {"layers.5.bias", {10}},
      {"layers.8.weight", {3, 10}},  {"layers.8.bias", {3}}};
  EXPECT_EQ(shapes(path, "/parameters"), parameters);
  EXPECT_EQ(shapes(path, "/optimizer/exp_avg"), parameters);
  EXPECT_EQ(shapes(path, "/optimizer/exp_avg_sq"), parameters);
  EXPECT_EQ(shapes(path, "/buffers"), (std::map<std::string, h5::Shape>{{"layers.1.running_mean", {12}},
                                                                        {"layers.1.running_var", {12}},
                                                                        {"layers.1.num_batches_tracked", {}},
                                                                        {"layers.5.running_mean", {10}},
                                                                        {"layers.5.running_var", {10}},
                                                                        {"layers.5.num_batches_tracked", {}}}));
  const h5::File file = open_published(path, "checkpoint");
  EXPECT_EQ(file.members("/"), (std::vector<std::string>{"buffers", "optimizer", "parameters", "standardisation"}));
  EXPECT_EQ(file.type_name("/parameters/layers.0.weight"), "float32");
  EXPECT_EQ(file.type_name("/buffers/layers.1.running_mean"), "float32");
  EXPECT_EQ(file.type_name("/buffers/layers.1.num_batches_tracked"), "int64");
  EXPECT_EQ(file.read<std::int64_t>("/buffers/layers.1.num_batches_tracked"), std::vector<std::int64_t>{2});
}

TEST(Checkpoint, OfVggHasConvolutionsInPyTorchsOrder) {
  const TemporaryDirectory directory;
  const std::string path = directory / "step.h5";
  SmallRun run = vgg_run(1);
  run.model.norm_dense = false;
  const auto state = trained_state<double>(run);
  write_state<double>(path, run, state);
  const auto parameters = shapes(path, "/parameters");
  EXPECT_EQ(parameters.size(), 38u);  // 8 convolutions, 8 norms and 3 dense layers, a weight and a bias each
  EXPECT_EQ(parameters.at("features.0.weight"), (h5::Shape{4, 3, 3, 3}));
  EXPECT_EQ(parameters.at("features.1.weight"), h5::Shape{4});
  EXPECT_EQ(parameters.at("features.4.weight"), (h5::Shape{8, 4, 3, 3}));  // behind conv, norm, ReLU, pool
  EXPECT_EQ(parameters.at("classifier.0.weight"), (h5::Shape{32, 32}));
  EXPECT_EQ(shapes(path, "/optimizer/momentum_buffer"), parameters);
  // Row-major, as torch.Tensor is: the last of the first convolution's weights is the vector's element 107.
  const auto weight = h5::File::open(path).read<double>("/parameters/features.0.weight");
  ASSERT_EQ(run.process<double>()->network().parameters().parts()[0].name, "features.0.weight");
  EXPECT_EQ(weight.back(), state.theta[107]);
}

TEST(Checkpoint, SaysWhatItHolds) {
  const TemporaryDirectory directory;
  const std::string path = directory / "step.h5";
  SmallRun run = mlp_run(9);
  run.data.standardise = "channel";
  const auto process = run.process<float>();
  auto state = process->initial_state();
  for (int i = 0; i < 2; ++i) process->advance(state, {});
  write_checkpoint<float>(path, {"", "name", "variant", "config", "data", "print"}, state, *process);
  const h5::File file = open_published(path, "checkpoint");
  const CheckpointInfo info = read_checkpoint_info(file);
  EXPECT_EQ(info.step, 2);
  EXPECT_EQ(info.total_steps, 9);
  EXPECT_EQ(info.steps_per_epoch, 3);
  EXPECT_EQ(info.parameters, 32 * 12 + 12 + 24 + 12 * 10 + 10 + 20 + 10 * 3 + 3);
  EXPECT_EQ(info.theta_fingerprint, fingerprint(state.theta));
  // The channels' own mean and deviation, in a plain loop over the bytes.
  const ImageSet& images = run.dataset.train;
  ASSERT_EQ(info.standardisation.mean.size(), 2u);
  for (std::size_t c = 0; c < 2; ++c) {
    double sum = 0, squares = 0;
    for (std::size_t n = 0; n < 20; ++n)
      for (std::size_t i = 0; i < 16; ++i) {
        const double x = images.bytes()[(n * 2 + c) * 16 + i] / 255.0;
        sum += x;
        squares += x * x;
      }
    const double mean = sum / 320;
    EXPECT_NEAR(info.standardisation.mean[c], mean, 1e-12);
    EXPECT_NEAR(info.standardisation.deviation[c], std::sqrt(squares / 320 - mean * mean), 1e-12);
  }
  EXPECT_EQ(read_provenance(file).variant, "variant");
}

TEST(Checkpoint, OfAnotherModelIsRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory / "step.h5";
  const SmallRun run = mlp_run(1);
  write_state<float>(path, run, trained_state<float>(run));
  const auto refused = [&](auto&& change, const std::vector<std::string>& words) {
    SmallRun other = run;
    change(other);
    const std::string text = expect_error([&] { read_state<float>(path, other); }, words);
    EXPECT_TRUE(text.starts_with(path)) << text;
  };
  refused([](auto& r) { r.model.hidden = {12, 9}; }, {"/parameters/layers.4.weight", "[10, 12]", "[9, 12]"});
  refused([](auto& r) { r.model.hidden = {13, 10}; }, {"/parameters/layers.0.weight", "[12, 32]", "[13, 32]"});
  refused([](auto& r) { r.model.norm = "none"; }, {"/parameters/layers.", "another model"});
  refused([](auto& r) { r.model.dropout = 0; }, {"/parameters/layers.3.weight", "another model"});
  refused([](auto& r) { r.model.hidden = {12, 10, 10}; }, {"/parameters/layers.8.weight", "[3, 10]", "[10, 10]"});
  refused([](auto& r) { r.train.optimizer = "sgd", r.train.momentum = 0.9; },
          {"/optimizer/momentum_buffer/layers.0.weight"});
}

TEST(Checkpoint, WithMoreTensorsThanTheModelIsRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory / "step.h5";
  // Three classes: the second hidden layer of three units has the names and shapes of the smaller network's output.
  SmallRun run = mlp_run(1);
  run.model.norm = "none";
  run.model.dropout = 0;
  run.model.activation = "linear";
  run.model.hidden = {12, 3};
  write_state<float>(path, run, trained_state<float>(run));
  run.model.hidden = {12};
  expect_error([&] { read_state<float>(path, run); }, {path, "6 tensors", "another model"});
}

TEST(Checkpoint, DamageIsCaught) {
  const TemporaryDirectory directory;
  const std::string path = directory / "step.h5";
  const SmallRun run = mlp_run(1);
  write_state<float>(path, run, trained_state<float>(run));
  const std::string whole = read_bytes(path);
  for (const std::string name :
       {"/parameters/layers.8.bias", "/buffers/layers.5.running_var", "/optimizer/exp_avg_sq/layers.1.weight"}) {
    write_bytes(path, whole);
    damage_dataset(path, name);
    expect_error([&] { read_state<float>(path, run); }, {path, name});
  }
}

}  // namespace
}  // namespace gradscape::testing
