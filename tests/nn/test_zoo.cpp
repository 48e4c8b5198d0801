// The networks that a configuration can name: their sizes against published ones, their names, and that bits do not
// depend on threads whatever the norm.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "gradscape/nn/layer_text.hpp"
#include "gradscape/nn/zoo.hpp"
#include "support/bits.hpp"
#include "support/errors.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};

std::unique_ptr<Network<float>> network_of(const std::string& arch, const std::string& norm, double width = 1) {
  ModelOptions options;
  options.arch = arch;
  options.norm = norm;
  options.width = width;
  return make_network<float>(options, kImage, 10);
}

// The widely used CIFAR versions with one 512→10 layer behind the convolutions have, with batch norm, 9,231,114,
// 9,416,010, 14,728,266 and 20,040,522 parameters (kuangliu/pytorch-cifar); two for each normalised channel less
// without. VGG-A: the course exercise's 9,750,922 and 9,756,426.
TEST(Vgg, HasThePublishedNumberOfParameters) {
  struct Size {
    const char* arch;
    Index with_norm;
    Index channels;
  };
  for (const Size& size : {Size{"vgg-11", 9231114, 2752}, Size{"vgg-13", 9416010, 2944}, Size{"vgg-16", 14728266, 4224},
                           Size{"vgg-19", 20040522, 5504}, Size{"vgg-a", 9756426, 2752}}) {
    EXPECT_EQ(network_of(size.arch, "batch")->parameters().size(), size.with_norm) << size.arch;
    EXPECT_EQ(network_of(size.arch, "none")->parameters().size(), size.with_norm - 2 * size.channels) << size.arch;
  }
}

TEST(Vgg, BlocksAreTheLayersOfThePaper) {
  for (const auto& [arch, count] :
       {std::pair{"vgg-11", 9}, {"vgg-13", 11}, {"vgg-16", 14}, {"vgg-19", 17}, {"vgg-a", 11}})
    for (const std::string norm : {"none", "batch", "l1", "group"}) {
      const auto network = network_of(arch, norm, 0.125);
      ASSERT_EQ(network->blocks().size(), static_cast<std::size_t>(count)) << arch;
      Index end = 0;
      for (const LayerBlock& block : network->blocks()) {
        EXPECT_EQ(block.begin, end) << "blocks follow each other, and are all of theta";
        end = block.end;
      }
      EXPECT_EQ(end, network->parameters().size());
    }
  EXPECT_EQ(network_of("vgg-16", "batch")->blocks()[12].name, "features.40");
  EXPECT_EQ(network_of("vgg-16", "none")->blocks()[12].name, "features.28");
  EXPECT_EQ(network_of("vgg-16", "none")->blocks()[13].name, "classifier.0");
}

Index size_of(const std::string& arch, const std::string& shortcut) {
  ModelOptions options;
  options.arch = arch;
  options.norm = "batch";
  options.shortcut = shortcut;
  return layouts(zoo_graph(options, kImage, 10)).parameters.size();
}

// He et al. 2015 round them to 0.27, 0.46, 0.66, 0.85 and 1.7 million; option B adds two 1×1 convolutions with norm,
// 16·32 + 2·32 and 32·64 + 2·64. Zagoruyko and Komodakis 2016: 36.5 and 8.9 million, WRN-16-4 2.7 million. DenseNet-40
// (Huang et al. 2017): 1.0 million. ResNet-18: 11,173,962 (kuangliu/pytorch-cifar), LeNet: 62,006 and its two norms.
TEST(Branching, HasThePublishedNumberOfParameters) {
  for (const auto& [arch, a, b] : {std::tuple{"resnet-20", 269722, 272474},
                                   {"resnet-32", 464154, 466906},
                                   {"resnet-44", 658586, 661338},
                                   {"resnet-56", 853018, 855770},
                                   {"resnet-110", 1727962, 1730714}}) {
    EXPECT_EQ(size_of(arch, "A"), a) << arch;
    EXPECT_EQ(size_of(arch, "none"), a) << arch;
    EXPECT_EQ(size_of(arch, "B"), b) << arch;
    EXPECT_EQ(size_of(arch, "auto"), a) << arch;
  }
  EXPECT_EQ(size_of("resnet-18", "auto"), 11173962);
  EXPECT_EQ(size_of("resnet-18", "B"), 11173962);
  EXPECT_EQ(size_of("wrn-28-10", "auto"), 36479194);
  EXPECT_EQ(size_of("wrn-40-4", "auto"), 8949210);
  EXPECT_EQ(size_of("wrn-16-4", "auto"), 2748890);
  EXPECT_EQ(size_of("lenet", "auto"), 62006 + 2 * (6 + 16));
  // By hand, with 16 + 12·i channels into layer i: 432 for the first convolution, blocks of (9·12 + 2)·984, ·2712 and
  // ·4440, transitions 320 + 160² and 608 + 304², at last 2·448 and 4490.
  EXPECT_EQ(size_of("densenet-40", "auto"),
            432 + 110 * (984 + 2712 + 4440) + 320 + 160 * 160 + 608 + 304 * 304 + 896 + 4490);
}

std::vector<std::string> tensors_of(const ModelGraph& graph) {
  std::vector<std::string> names;
  const Layouts all = layouts(graph);
  for (const Part& part : all.parameters.parts())
    names.push_back(fmt::format("{} [{}]", part.name, fmt::join(part.shape, ", ")));
  return names;
}

// As the state_dict of the usual CIFAR ResNet, whose blocks register conv1, bn1, conv2, bn2, shortcut.
TEST(Branching, NamesAreTheUsualOnes) {
  ModelOptions options;
  options.arch = "resnet-20";
  options.norm = "batch";
  options.shortcut = "B";
  const std::vector<std::string> names = tensors_of(zoo_graph(options, kImage, 10));
  ASSERT_EQ(names.size(), 3u + 9u * 6u + 2u * 3u + 2u);
  EXPECT_EQ(std::vector<std::string>(names.begin(), names.begin() + 6),
            (std::vector<std::string>{"conv1.weight [16, 3, 3, 3]", "bn1.weight [16]", "bn1.bias [16]",
                                      "layer1.0.conv1.weight [16, 16, 3, 3]", "layer1.0.bn1.weight [16]",
                                      "layer1.0.bn1.bias [16]"}));
  EXPECT_EQ(std::vector<std::string>(names.begin() + 21, names.begin() + 30),
            (std::vector<std::string>{"layer2.0.conv1.weight [32, 16, 3, 3]", "layer2.0.bn1.weight [32]",
                                      "layer2.0.bn1.bias [32]", "layer2.0.conv2.weight [32, 32, 3, 3]",
                                      "layer2.0.bn2.weight [32]", "layer2.0.bn2.bias [32]",
                                      "layer2.0.shortcut.0.weight [32, 16, 1, 1]", "layer2.0.shortcut.1.weight [32]",
                                      "layer2.0.shortcut.1.bias [32]"}));
  EXPECT_EQ(std::vector<std::string>(names.end() - 2, names.end()),
            (std::vector<std::string>{"linear.weight [10, 64]", "linear.bias [10]"}));
  options.arch = "lenet";
  options.norm = "none";
  EXPECT_EQ(
      tensors_of(zoo_graph(options, kImage, 10)),
      (std::vector<std::string>{"conv1.weight [6, 3, 5, 5]", "conv1.bias [6]", "conv2.weight [16, 6, 5, 5]",
                                "conv2.bias [16]", "fc1.weight [120, 400]", "fc1.bias [120]", "fc2.weight [84, 120]",
                                "fc2.bias [84]", "fc3.weight [10, 84]", "fc3.bias [10]"}));
}

// A block by hand: which values meet, and which shortcut.
TEST(Branching, ShortcutsAreOfTheKindThatIsAskedFor) {
  const auto text = [](const std::string& arch, const std::string& shortcut) {
    ModelOptions options;
    options.arch = arch;
    options.norm = "batch";
    options.shortcut = shortcut;
    options.width = 0.5;
    return graph_text(zoo_graph(options, kImage, 10));
  };
  const auto expect_part = [](const std::string& whole, const std::string& part) {
    EXPECT_NE(whole.find(part), std::string::npos) << part << "is missing in\n" << whole;
  };
  const std::string inner =
      "layer2.0.conv1: conv 16 3x3 stride 2 pad 1 no bias\nlayer2.0.bn1: norm batch\nrelu\n"
      "layer2.0.conv2: conv 16 3x3 pad 1 no bias\nlayer2.0.bn2: norm batch\n";
  expect_part(text("resnet-20", "A"), inner +
                                          "layer2.0.shortcut: shortcut 2 4 4 from layer1.2\n"
                                          "add from layer2.0.bn2, layer2.0.shortcut\nlayer2.0: relu\n");
  expect_part(text("resnet-20", "B"), inner +
                                          "layer2.0.shortcut.0: conv 16 1x1 stride 2 no bias from layer1.2\n"
                                          "layer2.0.shortcut.1: norm batch\n"
                                          "add from layer2.0.bn2, layer2.0.shortcut.1\nlayer2.0: relu\n");
  expect_part(text("resnet-20", "none"), inner + "layer2.0: relu\nlayer2.1.conv1: ");
  EXPECT_EQ(text("resnet-56", "none").find("add"), std::string::npos);
  expect_part(text("wrn-16-4", "auto"),
              "layer2.0.bn1: norm batch\nlayer2.0.relu1: relu\n"
              "layer2.0.conv1: conv 64 3x3 stride 2 pad 1 no bias\nlayer2.0.bn2: norm batch\nrelu\n"
              "layer2.0.conv2: conv 64 3x3 pad 1 no bias\n"
              "layer2.0.shortcut.0: conv 64 1x1 stride 2 no bias from layer2.0.relu1\n"
              "layer2.0: add from layer2.0.conv2, layer2.0.shortcut.0\n"
              "layer2.1.bn1: norm batch\nrelu\n");
  expect_part(text("wrn-16-4", "auto"), "layer2.1: add from layer2.1.conv2, layer2.0\n");
  expect_part(
      text("densenet-22", "auto"),
      "block1.layer.0.conv1: conv 6 3x3 pad 1 no bias\nblock1.layer.0: concat from conv1, block1.layer.0.conv1\n"
      "block1.layer.1.bn1: norm batch\n");
  expect_part(text("densenet-22", "auto"), "trans1.conv1: conv 44 1x1 no bias\ntrans1: avgpool 2\n");
}

TEST(Layers, TakeTheTextAndWantAnOutputForEachClass) {
  ModelOptions options;
  options.arch = "layers";
  options.layers = "flatten\nlast: dense 7\n";
  options.loss = "mse";
  const ModelGraph graph = zoo_graph(options, kImage, 7);
  EXPECT_EQ(graph.nodes, (std::vector<Node>{{FlattenOp{}, "", {kImages}}, {DenseOp{7}, "last", {0}}}));
  EXPECT_EQ(graph.loss, Loss::mean_squared);
  expect_error<UsageError>([&] { zoo_graph(options, kImage, 10); },
                           {"model.layers, line 2, last: the network has 7 outputs, and the data have 10 classes"});
}

TEST(DeepLinearNetwork, HasNoBiasAndNoNormBehindItsLastLayer) {
  ModelOptions options;
  options.arch = "deep-linear";
  options.loss = "sse";
  for (const auto& [norm, size] : {std::pair{"none", 2500}, {"batch", 2500 + 24 * 20}, {"l1", 2500 + 24 * 20}}) {
    options.norm = norm;
    EXPECT_EQ(make_network<double>(options, {1, 1, 10}, 10)->parameters().size(), size) << norm;
  }
}

/// Gradient and buffers must have the same bits on 1, 2 and 3 threads.
void expect_same_bits_on_any_threads(const ModelOptions& options) {
  SCOPED_TRACE(options.arch + " " + options.norm + (options.noise ? " noise" : ""));
  Vector<float> first_grad, first_buffers;
  for (const int threads : {1, 2, 3}) {
    const WithThreads guard(threads);
    const auto network = make_network<float>(options, kImage, 10, Engine::winograd);
    const Vector<float> theta = network->initial_parameters(Init::xavier_normal, 4);
    Batch<float> batch;
    batch.images = rows_from_nchw(hash_values<float>(13 * kImage.size(), 5), 13, kImage);
    batch.labels = hash_labels(13, 6, 10);
    Vector<float> grad, buffers;
    network->evaluate(theta, network->initial_buffers(), batch, {Mode::train, 3, 8},
                      {.grad = &grad, .new_buffers = &buffers});
    EXPECT_TRUE(grad.allFinite());
    if (threads == 1) first_grad = grad, first_buffers = buffers;
    EXPECT_TRUE(same_bits(grad, first_grad)) << threads;
    EXPECT_TRUE(same_bits(buffers, first_buffers)) << threads;
  }
}

TEST(Norms, BitsDoNotDependOnThreads) {
  for (const std::string arch : {"vgg-11", "mlp"})
    for (const std::string& norm : norm_names())
      for (const bool noise : {false, true}) {
        ModelOptions options;
        options.arch = arch;
        options.norm = norm;
        options.noise = noise;
        options.width = 0.125;
        options.hidden = {40, 24};
        expect_same_bits_on_any_threads(options);
      }
}

TEST(Branching, BitsDoNotDependOnThreads) {
  for (const std::string arch : {"resnet-20", "wrn-16-4", "densenet-22", "lenet"}) {
    ModelOptions options;
    options.arch = arch;
    options.norm = "batch";
    options.width = 0.25;
    expect_same_bits_on_any_threads(options);
  }
}

// By hand: channel 0 holds 1, 2, -3, 4 in its four rows, channel 1 twice as much.
TEST(LpNorms, RunningValuesServeEvaluation) {
  struct Case {
    const char* norm;
    double scale;  // of channel 0
  };
  for (const auto& [norm, scale] : {Case{"l1", 2.5}, Case{"l2", std::sqrt(30 / 4.0)}, Case{"linf", 4}}) {
    ModelOptions options;
    options.arch = "mlp";
    options.hidden = {2};
    options.norm = norm;
    options.bias = false;
    options.activation = "linear";
    const auto network = make_network<double>(options, {1, 1, 1}, 2);
    Vector<double> theta = network->initial_parameters(Init::xavier_normal, 1);
    theta.head(2) << 1, 2;        // the hidden layer's weight
    theta.tail(4) << 1, 0, 0, 1;  // the last layer hands on
    Batch<double> batch;
    batch.images = (Matrix<double>(4, 1) << 1, 2, -3, 4).finished();
    batch.labels = {0, 0, 0, 0};
    Vector<double> buffers, unchanged;
    network->evaluate(theta, network->initial_buffers(), batch, {Mode::train}, {.new_buffers = &buffers});
    const Vector<double> expected =
        (Vector<double>(5) << 0.1 * 1, 0.1 * 2, 0.9 + 0.1 * scale, 0.9 + 0.2 * scale, 1).finished();
    EXPECT_LT((buffers - expected).cwiseAbs().maxCoeff(), 1e-15) << norm << buffers.transpose();
    EXPECT_NEAR(network->logits()(3, 0), (4 - 1) / (scale + 1e-5), 1e-14);
    network->evaluate(theta, buffers, batch, {Mode::evaluation}, {.new_buffers = &unchanged});
    EXPECT_NEAR(network->logits()(3, 1), (8 - 0.2) / (0.9 + 0.2 * scale + 1e-5), 1e-14) << norm;
    EXPECT_TRUE(same_bits(buffers, unchanged));
  }
}

TEST(GroupNorm, GroupsMustDivideEveryLayersChannels) {
  ModelOptions options;
  options.norm = "group";
  options.norm_groups = 7;
  expect_error<UsageError>(
      [&] { make_network<float>(options, kImage, 10); },
      {"network, features.1: group norm in 7", "64 channels", "take 1, 2, 4, 8, 16, 32, 64 groups"});
  options.norm_groups = 64;
  EXPECT_NO_THROW(make_network<float>(options, kImage, 10));
}

}  // namespace
}  // namespace gradscape::testing
