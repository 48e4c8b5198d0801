// What follows from a graph alone: shapes, names, parameters with their roles, costs, and what makes a graph a bad one.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "gradscape/nn/zoo.hpp"
#include "support/errors.hpp"
#include "support/graphs.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};

ModelGraph vgg(const std::string& arch, const std::string& norm) {
  ModelOptions options;
  options.arch = arch;
  options.norm = norm;
  return zoo_graph(options, kImage, 10);
}

template <class Kind>
std::vector<std::string> names_of(const ModelGraph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes)
    if (std::holds_alternative<Kind>(node.op)) names.push_back(node.name);
  return names;
}

// The keys of torchvision's vgg16 and vgg16_bn.
TEST(ZooGraph, NamesAreTorchvisions) {
  const auto numbered = [](const std::vector<int>& numbers) {
    std::vector<std::string> names;
    for (const int number : numbers) names.push_back(fmt::format("features.{}", number));
    return names;
  };
  const ModelGraph plain = vgg("vgg-16", "none"), normed = vgg("vgg-16", "batch");
  EXPECT_EQ(names_of<ConvOp>(plain), numbered({0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28}));
  EXPECT_EQ(names_of<PoolOp>(plain), numbered({4, 9, 16, 23, 30}));
  EXPECT_EQ(names_of<ConvOp>(normed), numbered({0, 3, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37, 40}));
  EXPECT_EQ(names_of<NormOp>(normed), numbered({1, 4, 8, 11, 15, 18, 21, 25, 28, 31, 35, 38, 41}));
  EXPECT_EQ(names_of<PoolOp>(normed), numbered({6, 13, 23, 33, 43}));
  EXPECT_EQ(names_of<DenseOp>(normed), std::vector<std::string>{"classifier.0"});
  EXPECT_EQ(names_of<FlattenOp>(normed), std::vector<std::string>{""}) << "PyTorch's network has no such module";
}

TEST(ZooGraph, ShapesHalveAtEachPooling) {
  const ModelGraph graph = vgg("vgg-19", "batch");
  const auto shapes = output_shapes(graph);
  ASSERT_EQ(shapes.size(), graph.nodes.size());
  FeatureShape expected = kImage;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Op& op = graph.nodes[i].op;
    // 64 channels on 32 pixels, twice as many on half as many, up to 512.
    if (std::holds_alternative<ConvOp>(op)) expected.channels = std::min<Index>(512, 64 * 32 / expected.height);
    if (std::holds_alternative<PoolOp>(op)) expected.height /= 2, expected.width /= 2;
    if (std::holds_alternative<FlattenOp>(op)) expected = {1, 1, 512};
    if (std::holds_alternative<DenseOp>(op)) expected = {1, 1, 10};
    EXPECT_EQ(shapes[i], expected) << graph.nodes[i].name;
  }
}

// Parameters: kuangliu/pytorch-cifar's VGG. Multiply-adds: 9 · channels in · channels out · pixels of every
// convolution, and 512 · 10.
TEST(ZooGraph, CountsAreThePublishedOnes) {
  struct Size {
    const char* arch;
    Index parameters, multiply_adds;
  };
  for (const Size& size : {Size{"vgg-11", 9231114, 152769536}, Size{"vgg-13", 9416010, 228267008},
                           Size{"vgg-16", 14728266, 313201664}, Size{"vgg-19", 20040522, 398136320}}) {
    const ModelGraph graph = vgg(size.arch, "batch");
    EXPECT_EQ(layouts(graph).parameters.size(), size.parameters) << size.arch;
    Index sum = 0;
    for (const Index count : multiply_adds(graph)) sum += count;
    EXPECT_EQ(sum, size.multiply_adds) << size.arch;
  }
}

TEST(ZooGraph, EqualOptionsGiveEqualGraphs) {
  EXPECT_EQ(vgg("vgg-a", "l1"), vgg("vgg-a", "l1"));
  EXPECT_NE(vgg("vgg-a", "l1"), vgg("vgg-a", "l2"));
  EXPECT_NE(vgg("vgg-a", "none"), vgg("vgg-11", "none"));
}

// Written out from PyTorch's modules.
TEST(Layouts, EveryTensorHasItsRoleAndLayer) {
  const ModelGraph graph = chain(
      {6, 6, 2}, {ConvOp{4, 3, 2, 1, 0, true}, NormOp{NormKind::batch}, ActivationOp{}, ConvOp{8, 3, 3, 1, 0, false},
                  NormOp{NormKind::group, 1e-5, true, 0.1, true, 2}, PoolOp{}, FlattenOp{}, DenseOp{5},
                  NormOp{NormKind::l1}, NormOp{NormKind::linf, 1e-5, false}, DenseOp{3, false}});
  const Layouts all = layouts(graph);
  const auto lines = [](const Layout& layout) {
    const char* const roles[] = {"weight", "bias", "scale", "shift", "statistic"};
    std::vector<std::string> text;
    for (const Part& part : layout.parts())
      text.push_back(fmt::format("{} {} {} of {}{}", part.name, part.shape, roles[static_cast<int>(part.role)],
                                 part.layer, part.integer ? ", integer" : ""));
    return text;
  };
  EXPECT_EQ(lines(all.parameters),
            (std::vector<std::string>{
                "n0.weight [4, 2, 3, 2] weight of n0", "n0.bias [4] bias of n0", "n1.weight [4] scale of n1",
                "n1.bias [4] shift of n1", "n3.weight [8, 4, 3, 3] weight of n3", "n4.weight [8] scale of n4",
                "n4.bias [8] shift of n4", "n7.weight [5, 8] weight of n7", "n7.bias [5] bias of n7",
                "n8.weight [5] scale of n8", "n8.bias [5] shift of n8", "n10.weight [3, 5] weight of n10"}));
  EXPECT_EQ(lines(all.buffers),
            (std::vector<std::string>{"n1.running_mean [4] statistic of n1", "n1.running_var [4] statistic of n1",
                                      "n1.num_batches_tracked [] statistic of n1, integer",
                                      "n8.running_mean [5] statistic of n8", "n8.running_scale [5] statistic of n8",
                                      "n8.num_batches_tracked [] statistic of n8, integer",
                                      "n9.running_mean [5] statistic of n9", "n9.running_scale [5] statistic of n9",
                                      "n9.num_batches_tracked [] statistic of n9, integer"}));
}

// H' = (H + 2·padding − kernel) / stride + 1, rounded down.
TEST(OutputShapes, AreThoseOfTheDefinitions) {
  const ModelGraph graph =
      chain({9, 12, 3}, {ConvOp{5, 3, 4, 2, 1, true}, PoolOp{PoolKind::average, 3, 1}, PoolOp{PoolKind::max, 2, 3},
                         FlattenOp{}, DropoutOp{0.5}, NoiseOp{}, DenseOp{7}});
  EXPECT_EQ(output_shapes(graph),
            (std::vector<FeatureShape>{{5, 6, 5}, {3, 4, 5}, {1, 1, 5}, {1, 1, 5}, {1, 1, 5}, {1, 1, 5}, {1, 1, 7}}));
  EXPECT_EQ(multiply_adds(graph), (std::vector<Index>{3 * 4 * 3 * 5 * 30, 0, 0, 0, 0, 0, 35}));
}

TEST(OutputShapes, RefuseWhatDoesNotFit) {
  const auto refuse = [](const ModelGraph& graph, const std::vector<std::string>& words) {
    const std::string text = expect_error<UsageError>([&] { output_shapes(graph); }, words);
    EXPECT_EQ(expect_error<UsageError>([&] { layouts(graph); }, {}), text);
    EXPECT_EQ(expect_error<UsageError>([&] { compile<float>(graph); }, {}), text);
  };
  const PoolOp pool;
  // 7 → 3 → 1 → nothing; 8 → 4 → 2 → 1.
  refuse(chain({7, 9, 4}, {pool, pool, pool, FlattenOp{}, DenseOp{3}}),
         {"network, n2: max pool 2×2 with an input of 1×2×4", "does not fit into 1×2 pixels", "these have 7×9",
          "images of 8×8 pixels or more"});
  // 3 − 2 + 1 = 2 pixels are left of 3.
  refuse(chain({3, 3, 1}, {ConvOp{2, 2, 2}, ConvOp{2, 5, 3, 1, 1}, FlattenOp{}, DenseOp{3}}),
         {"network, n1: conv 5×3 with an input of 2×2×2", "kernel of 5×3 does not fit into 4×4 pixels",
          "images of 4×4 pixels or more"});
  refuse(chain(kImage, {ConvOp{12}, NormOp{NormKind::group, 1e-5, true, 0.1, true, 5}, FlattenOp{}, DenseOp{3}}),
         {"network, n1: group norm in 5 with an input of 30×30×12", "5 groups do not divide 12 channels",
          "take 1, 2, 3, 4, 6, 12 groups"});
  refuse(chain(kImage, {ConvOp{12}, DenseOp{3}}),
         {"network, n1: dense with an input of 30×30×12", "vectors", "flatten"});
  refuse(chain(kImage, {ConvOp{12}}), {"network, n0: ", "output is 30×30×12", "one number for each class"});
  refuse(chain(kImage, {FlattenOp{}, DropoutOp{1}, DenseOp{3}}), {"network, n1: dropout 1", "rate = 1 is not allowed"});
  refuse(chain(kImage, {FlattenOp{}, DenseOp{0}}), {"network, n1: ", "0 units"});
  refuse(chain(kImage, {ConvOp{4, 3, 3, 0}, FlattenOp{}, DenseOp{3}}), {"network, n0: ", "stride 0", "1 or more"});
  refuse(chain(kImage, {ConvOp{4, 3, 3, 1, -1}, FlattenOp{}, DenseOp{3}}), {"network, n0: ", "padding -1"});
  refuse(chain(kImage, {PoolOp{PoolKind::max, 16, 1}, FlattenOp{}, DenseOp{3}}), {"network, n0: ", "16×16", "1 to 15"});
  refuse(chain(kImage, {FlattenOp{}, NormOp{NormKind::batch, 0}, DenseOp{3}}), {"network, n1: ", "eps = 0"});
  refuse(chain(kImage, {FlattenOp{}, NormOp{NormKind::batch, 1e-5, true, 1.5}, DenseOp{3}}),
         {"network, n1: ", "momentum = 1.5"});
  refuse(chain({1, 1, Index{1} << 29}, {DenseOp{Index{1} << 29}, DenseOp{2}}),
         {"network, n0: ", "more than can be counted"});
  refuse(chain({0, 3, 1}, {FlattenOp{}, DenseOp{3}}), {"network: ", "0×3×1"});
  refuse({kImage, {}}, {"network: ", "no nodes"});
  std::vector<Op> noisy(4097, NoiseOp{});
  noisy.push_back(DenseOp{2});
  refuse(chain({1, 1, 2}, noisy), {"noise in 4097 places", "4096"});
}

TEST(OutputShapes, RefuseNodesThatDoNotHangTogether) {
  const auto refuse = [](const std::function<void(ModelGraph&)>& spoil, const std::vector<std::string>& words) {
    ModelGraph graph = chain(kImage, {FlattenOp{}, DenseOp{4}, ActivationOp{}, DenseOp{3}});
    EXPECT_NO_THROW(compile<float>(graph));
    spoil(graph);
    expect_error<UsageError>([&] { output_shapes(graph); }, words);
  };
  refuse([](ModelGraph& graph) { graph.nodes[3].name = ""; }, {"network, node 3: dense has no name"});
  refuse([](ModelGraph& graph) { graph.nodes[3].name = "n1"; }, {"network, n1: is the name of two nodes"});
  refuse([](ModelGraph& graph) { graph.nodes[2].inputs = {2}; }, {"network, n2: its input 2 is no node before it"});
  refuse([](ModelGraph& graph) { graph.nodes[2].inputs = {-2}; }, {"network, n2: its input -2 is no node before it"});
  refuse([](ModelGraph& graph) { graph.nodes[2].inputs = {}; }, {"network, n2: relu takes one input, not 0"});
  refuse([](ModelGraph& graph) { graph.nodes[2].inputs = {0, 1}; }, {"network, n2: relu takes one input, not 2"});
}

TEST(Consumers, AreNamedWhereThereIsOne) {
  ModelGraph graph = chain({1, 1, 3}, {DenseOp{3}, ActivationOp{}, DenseOp{3}, DenseOp{3}});
  EXPECT_EQ(only_consumers(graph), (std::vector<int>{1, 2, 3, -1}));
  graph.nodes[3].inputs = {1};
  EXPECT_EQ(only_consumers(graph), (std::vector<int>{1, -1, -1, -1}));
}

}  // namespace
}  // namespace gradscape::testing
