// Weights that come from elsewhere: names with prefixes, other names, other layouts, other networks.
#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/exchange/weights.hpp"
#include "gradscape/nn/compile.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

/// conv1 [3, 2, 3, 3], bn1, fc [4, 12]: a network's tensors.
Layouts network() {
  ModelGraph graph;
  graph.input = {4, 4, 2};
  graph.nodes = {{ConvOp{.channels = 3, .bias = false}, "conv1", {kImages}},
                 {NormOp{}, "bn1", {0}},
                 {FlattenOp{}, "", {1}},
                 {DenseOp{4}, "fc", {2}}};
  return layouts(graph);
}

struct Tensor {
  std::string name;
  std::vector<Index> shape;
  std::vector<double> values;
};

std::vector<double> counted(Index size, double first) {
  std::vector<double> values;
  for (Index i = 0; i < size; ++i) values.push_back(first + static_cast<double>(i));
  return values;
}

/// As a state_dict has them.
std::vector<Tensor> state_dict() {
  return {{"conv1.weight", {3, 2, 3, 3}, counted(54, 100)},
          {"bn1.weight", {3}, counted(3, 200)},
          {"bn1.bias", {3}, counted(3, 300)},
          {"bn1.running_mean", {3}, counted(3, 400)},
          {"bn1.running_var", {3}, counted(3, 500)},
          {"fc.weight", {4, 12}, counted(48, 600)},
          {"fc.bias", {4}, counted(4, 700)}};
}

class Weights_ : public ::testing::Test {
 protected:
  std::string write(const std::vector<Tensor>& tensors, std::int64_t batches = -1) {
    const std::string path = folder_.path() + "/w.safetensors";
    std::vector<TensorValues> list;
    for (const Tensor& tensor : tensors)
      list.push_back({tensor.name, tensor.shape, std::span<const double>(tensor.values)});
    if (batches >= 0) list.push_back({"bn1.num_batches_tracked", {}, std::span<const std::int64_t>(&batches, 1)});
    write_safetensors(path, list);
    return path;
  }

  gradscape::Weights match(const std::vector<Tensor>& tensors, const WeightMap& map = {}, std::int64_t batches = -1) {
    const Layouts all = network();
    return match_weights(SafetensorsFile(write(tensors, batches)), all.parameters, all.buffers, map);
  }

  static void expect_values(const gradscape::Weights& weights) {
    const Layouts all = network();
    const auto expect = [&](const Vector<double>& values, const Layout& layout, const std::string& name, double first) {
      for (const Part& part : layout.parts()) {
        if (part.name != name) continue;
        for (Index i = 0; i < part.size; ++i)
          ASSERT_EQ(values[part.offset + i], first + static_cast<double>(i)) << name << " " << i;
      }
    };
    expect(weights.theta, all.parameters, "conv1.weight", 100);
    expect(weights.theta, all.parameters, "bn1.bias", 300);
    expect(weights.theta, all.parameters, "fc.weight", 600);
    expect(weights.buffers, all.buffers, "bn1.running_var", 500);
  }

  void refuse(const std::vector<Tensor>& tensors, const std::vector<std::string>& words, const WeightMap& map = {}) {
    expect_error<Error>([&] { match(tensors, map); }, words);
  }

  TemporaryDirectory folder_;
};

TEST_F(Weights_, ByName) {
  const auto weights = match(state_dict(), {}, 17);
  expect_values(weights);
  EXPECT_EQ(weights.report.how, "by name");
  EXPECT_EQ(weights.report.matches.size(), 7U);
  EXPECT_EQ(weights.buffers[6], 17) << "batches counted";
  EXPECT_EQ(match(state_dict()).buffers[6], 0) << "they may miss";
}

TEST_F(Weights_, PrefixesInFrontAndInside) {
  for (const char* prefix : {"module.", "_orig_mod.module.", "model.", "module._orig_mod.net."}) {
    std::vector<Tensor> tensors = state_dict();
    for (Tensor& tensor : tensors) tensor.name = prefix + tensor.name;
    const auto weights = match(tensors);
    expect_values(weights);
    EXPECT_EQ(weights.report.how, std::string("by name without ") + prefix);
  }
  std::vector<Tensor> tensors = state_dict();
  for (Tensor& tensor : tensors) tensor.name.insert(tensor.name.find('.') + 1, "module.");
  expect_values(match(tensors));
}

TEST_F(Weights_, OtherNamesInTheSameOrder) {
  std::vector<Tensor> tensors = state_dict();
  const char* names[] = {"stem/kernel",          "norm/gamma",  "norm/beta", "norm/moving_mean",
                         "norm/moving_variance", "head/kernel", "head/bias"};
  for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].name = names[i];
  const auto weights = match(tensors);
  expect_values(weights);
  EXPECT_EQ(weights.report.how, "by order and shape");
  EXPECT_EQ(weights.report.matches[1].from, "norm/gamma");
}

TEST_F(Weights_, TurnedConvolutionsAndDenseLayers) {
  std::vector<Tensor> tensors = state_dict();
  Tensor& conv = tensors[0];
  Tensor turned{conv.name, {3, 3, 2, 3}, std::vector<double>(54)};
  for (Index o = 0; o < 3; ++o)
    for (Index i = 0; i < 2; ++i)
      for (Index y = 0; y < 3; ++y)
        for (Index x = 0; x < 3; ++x)
          turned.values[static_cast<std::size_t>(((y * 3 + x) * 2 + i) * 3 + o)] =
              conv.values[static_cast<std::size_t>(((o * 2 + i) * 3 + y) * 3 + x)];
  conv = turned;
  Tensor& dense = tensors[5];
  Tensor transposed{dense.name, {12, 4}, std::vector<double>(48)};
  for (Index o = 0; o < 4; ++o)
    for (Index i = 0; i < 12; ++i)
      transposed.values[static_cast<std::size_t>(i * 4 + o)] = dense.values[static_cast<std::size_t>(o * 12 + i)];
  dense = transposed;
  const auto weights = match(tensors);
  expect_values(weights);
  EXPECT_EQ(weights.report.matches[0].note, "turned from [height, width, in, out]");
}

TEST_F(Weights_, ByMap) {
  std::vector<Tensor> tensors = state_dict();
  tensors[1].name = "b";
  tensors[2].name = "a";
  std::rotate(tensors.begin(), tensors.begin() + 5, tensors.end());  // the order does not tell either
  refuse(tensors, {"bn1.weight [3]", "bn1.bias [3]", "a [3]", "--map"});
  const auto map = parse_weight_map("# other names\na = bn1.bias\n b = bn1.weight # γ\n", "m.txt");
  const auto weights = match(tensors, map);
  expect_values(weights);
  EXPECT_EQ(weights.report.how, "by map");
  refuse(tensors, {"--map", "no tensor c"}, {{"c", "bn1.bias"}});
  refuse(tensors, {"--map", "no tensor bn9.bias"}, {{"a", "bn9.bias"}});
  expect_error<UsageError>([] { parse_weight_map("a = b\nc\n", "m.txt"); }, {"m.txt:2", "\"c\"", "NAME_IN_FILE"});
  expect_error<UsageError>([] { parse_weight_map("a = b\na = c\n", "m.txt"); }, {"m.txt:2", "twice"});
}

TEST_F(Weights_, AnotherNetworkIsToldByItsFirstMismatch) {
  std::vector<Tensor> tensors = state_dict();
  tensors[0] = {"conv1.weight", {3, 2, 7, 7}, counted(294, 0)};
  refuse(tensors, {"conv1.weight is [3, 2, 7, 7]", "conv1.weight is [3, 2, 3, 3]", "an ImageNet stem"});
  tensors = state_dict();
  tensors[0] = {"conv1.weight", {3, 1, 3, 3}, counted(27, 0)};
  refuse(tensors, {"images of 1 channels"});
  tensors = state_dict();
  tensors[5] = {"fc.weight", {1000, 12}, counted(12000, 0)};
  refuse(tensors, {"fc.weight is [1000, 12]", "1000 classes"});
  tensors = state_dict();
  tensors.pop_back();
  tensors.push_back({"fc.bias_", {4}, counted(4, 0)});
  tensors.push_back({"layer4.weight", {4}, counted(4, 0)});
  refuse(tensors, {"network has, the file has not (1)", "fc.bias [4]", "near: fc.bias_ [4]",
                   "the file has, the network has not (2)", "layer4"});
}

TEST_F(Weights_, RunningStatistics) {
  std::vector<Tensor> tensors = state_dict();
  tensors.erase(tensors.begin() + 3, tensors.begin() + 5);
  const auto weights = match(tensors);
  EXPECT_EQ(weights.report.no_statistics, std::vector<std::string>{"bn1"});
  EXPECT_EQ(weights.buffers[0], 0);
  EXPECT_EQ(weights.buffers[3], 1);
  for (const double bad : {std::nan(""), -1.0, HUGE_VAL}) {
    tensors = state_dict();
    tensors[4].values[1] = bad;
    refuse(tensors, {"bn1.running_var", "no variances", "diverged"});
  }
  tensors = state_dict();
  tensors[4].values = {1, 1, 1};
  EXPECT_NE(match(tensors).report.remarks.front().find("never trained"), std::string::npos);
}

TEST_F(Weights_, WhatIsExportedIsReadAgain) {
  const Layouts all = network();
  Vector<float> theta(all.parameters.size()), buffers(all.buffers.size());
  for (Index i = 0; i < theta.size(); ++i) theta[i] = 0.1f * static_cast<float>(i);
  for (Index i = 0; i < buffers.size(); ++i) buffers[i] = static_cast<float>(i);
  const std::string path = folder_.path() + "/out.safetensors";
  export_weights(path, all.parameters, all.buffers, theta, buffers, {{"step", "7"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("step"), "7");
  EXPECT_EQ(file.find("conv1.weight")->type, "F32");
  EXPECT_EQ(file.find("bn1.num_batches_tracked")->type, "I64");
  const auto back = match_weights(file, all.parameters, all.buffers);
  EXPECT_TRUE(back.theta == theta.cast<double>() && back.buffers == buffers.cast<double>());
}

}  // namespace
}  // namespace gradscape::testing
