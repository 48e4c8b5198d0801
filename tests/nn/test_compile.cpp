// From graphs to networks: what is computed together, the blocks that papers call layers, and that fusing changes the
// rounding alone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "gradscape/nn/zoo.hpp"
#include "support/errors.hpp"
#include "support/graphs.hpp"
#include "support/hash_values.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};

/// The groups in words: "conv 3×3 + relu | flatten | dense".
std::string fused(const ModelGraph& graph, Fusion fusion = Fusion::on) {
  std::string text;
  for (const auto& group : fuse(graph, fusion)) {
    text += text.empty() ? "" : " | ";
    for (const int node : group)
      text += (node == group.front() ? "" : " + ") + describe(graph.nodes[static_cast<std::size_t>(node)].op);
  }
  return text;
}

/// The groups up to the second convolution.
std::string first_groups(const ModelOptions& options) {
  const std::string text = fused(zoo_graph(options, kImage, 10));
  return text.substr(0, text.find(" | conv"));
}

TEST(Fusing, ConvolutionsTakeAlongWhatFollowsThem) {
  ModelOptions options;
  options.arch = "vgg-11";
  EXPECT_EQ(first_groups(options), "conv 3×3 + relu + max pool 2×2");
  options.norm = "batch";
  EXPECT_EQ(first_groups(options), "conv 3×3 + batch norm + relu + max pool 2×2");
  options.pool = "average";
  EXPECT_EQ(first_groups(options), "conv 3×3 + batch norm + relu | average pool 2×2");
  options.activation = "linear";
  EXPECT_EQ(first_groups(options), "conv 3×3 + batch norm | average pool 2×2");
  options.pool = "max";
  EXPECT_EQ(first_groups(options), "conv 3×3 + batch norm + max pool 2×2");
  options.norm = "none";
  EXPECT_EQ(first_groups(options), "conv 3×3 + max pool 2×2");
}

TEST(Fusing, OtherNormsAndNoiseStayLayersOfTheirOwn) {
  ModelOptions options;
  for (const std::string& norm : norm_names()) {
    if (norm == "none" || norm == "batch") continue;
    options.norm = norm;
    const std::string word = norm + " norm" + (norm == "group" ? " in 8" : "");
    EXPECT_EQ(first_groups(options), "conv 3×3 | " + word + " | relu | max pool 2×2");
  }
  options.noise = true;
  options.norm = "batch";
  EXPECT_EQ(first_groups(options), "conv 3×3 | batch norm | noise | relu | max pool 2×2");
  options.norm = "none";
  EXPECT_EQ(first_groups(options), "conv 3×3 | noise | relu | max pool 2×2");
}

TEST(Fusing, TheOrderAndTheWindowMatter) {
  const std::vector<Op> rest = {FlattenOp{}, DenseOp{3}};
  const auto text = [&](std::vector<Op> ops, Fusion fusion = Fusion::on) {
    ops.insert(ops.end(), rest.begin(), rest.end());
    return fused(chain(kImage, ops), fusion);
  };
  const ConvOp conv{8};
  EXPECT_EQ(text({conv, ActivationOp{}, NormOp{}}), "conv 3×3 + relu | batch norm | flatten | dense");
  EXPECT_EQ(text({conv, PoolOp{}, ActivationOp{}}), "conv 3×3 + max pool 2×2 | relu | flatten | dense");
  EXPECT_EQ(text({conv, PoolOp{PoolKind::max, 3, 2}}), "conv 3×3 | max pool 3×3 | flatten | dense");
  EXPECT_EQ(text({conv, PoolOp{PoolKind::max, 2, 1}}), "conv 3×3 | max pool 2×2 | flatten | dense");
  EXPECT_EQ(text({conv, DropoutOp{0.5}, ActivationOp{}}), "conv 3×3 | dropout 0.5 | relu | flatten | dense");
  EXPECT_EQ(text({conv, NormOp{}, ActivationOp{}, PoolOp{}}, Fusion::off),
            "conv 3×3 | batch norm | relu | max pool 2×2 | flatten | dense");
}

// n0 conv, n1 norm, n2 relu, n3 pool; another node takes a value between them too.
TEST(Fusing, EndsWhereAnotherNodeTakesTheValue) {
  const auto text = [](int shared) {
    ModelGraph graph = chain(kImage, {ConvOp{8}, NormOp{}, ActivationOp{}, PoolOp{}, FlattenOp{}, DenseOp{3}});
    graph.nodes.insert(graph.nodes.begin() + 4, Node{DropoutOp{0.5}, "other", {shared}});
    graph.nodes[5].inputs = {3};
    graph.nodes[6].inputs = {5};
    return fused(graph);
  };
  EXPECT_EQ(text(0), "conv 3×3 | batch norm | relu | max pool 2×2 | dropout 0.5 | flatten | dense");
  EXPECT_EQ(text(1), "conv 3×3 + batch norm | relu | max pool 2×2 | dropout 0.5 | flatten | dense");
  EXPECT_EQ(text(2), "conv 3×3 + batch norm + relu | max pool 2×2 | dropout 0.5 | flatten | dense");
  EXPECT_EQ(text(3), "conv 3×3 + batch norm + relu + max pool 2×2 | dropout 0.5 | flatten | dense");
}

TEST(Compile, RefusesValuesThatNobodyTakes) {
  ModelGraph graph = chain({1, 1, 4}, {DenseOp{4}, DenseOp{4}, DenseOp{4}});
  EXPECT_NO_THROW(compile<float>(graph));
  graph.nodes[2].inputs = {0};
  expect_error<UsageError>([&] { compile<float>(graph); }, {"network, n1: nobody takes its value", "leave it out"});
}

TEST(Compile, TheNetworkIsWhatItsGraphSays) {
  for (const std::string& arch : arch_names())
    for (const std::string& norm : norm_names())
      for (const bool noise : {false, true})
        for (const Fusion fusion : {Fusion::on, Fusion::off}) {
          SCOPED_TRACE(fmt::format("{} {} {}", arch, norm, noise));
          ModelOptions options;
          options.arch = arch;
          options.norm = norm;
          options.noise = noise;
          options.width = 0.125;
          options.depth = 3;
          options.hidden = {16, 8};
          options.dropout = 0.5;
          options.norm_groups = arch == "lenet" ? 1 : 2;
          options.layers = "conv 4 1x1\nconv 8 3x3 depthwise\nadd from 1, 1\nflatten\ndense 8\n";
          const FeatureShape input = arch == "deep-linear" ? FeatureShape{1, 1, 8} : kImage;
          const ModelGraph graph = zoo_graph(options, input, 8);
          const auto network = compile<float>(graph, Engine::winograd, fusion);
          EXPECT_EQ(network->parameters(), layouts(graph).parameters);
          EXPECT_EQ(network->buffers(), layouts(graph).buffers);
          const auto groups = fuse(graph, fusion);
          const auto shapes = output_shapes(graph);
          const auto products = multiply_adds(graph);
          ASSERT_EQ(network->layers().size(), groups.size());
          for (std::size_t i = 0; i < groups.size(); ++i) {
            const Layer<float>& layer = *network->layers()[i];
            EXPECT_EQ(layer.out(), shapes[static_cast<std::size_t>(groups[i].back())]) << layer.describe();
            EXPECT_EQ(layer.flops(), 2.0 * static_cast<double>(products[static_cast<std::size_t>(groups[i].front())]));
          }
        }
}

TEST(Compile, BlocksAreLayersWithTheirNormAndNoise) {
  ModelOptions options;
  options.norm = "batch";
  options.noise = true;
  options.width = 0.0625;
  const ModelGraph graph = zoo_graph(options, kImage, 10);
  const auto network = compile<double>(graph, Engine::direct, Fusion::off);
  ASSERT_EQ(network->blocks().size(), 11u);
  // The second convolution: behind conv, norm, noise, relu, pool of the first.
  const LayerBlock& second = network->blocks()[1];
  EXPECT_EQ(second.name, "features.4");
  EXPECT_EQ(second.norm, 6u);
  EXPECT_EQ(second.output, 7u);
  const Part* scale = network->find(second, Role::scale);
  ASSERT_NE(scale, nullptr);
  EXPECT_EQ(scale->name, "features.5.weight");
  EXPECT_EQ(network->find(second, Role::weight)->name, "features.4.weight");
  EXPECT_EQ(network->find(second, Role::shift)->offset + 8, second.end);
  EXPECT_EQ(second.begin, network->find(second, Role::weight)->offset);
  const LayerBlock& last = network->blocks()[10];
  EXPECT_EQ(last.name, "classifier.4");
  EXPECT_EQ(last.norm, std::nullopt);
  EXPECT_EQ(network->find(last, Role::scale), nullptr);
  EXPECT_EQ(last.output, network->layers().size() - 1);
  EXPECT_EQ(last.end, network->parameters().size());
}

TEST(Compile, NoGradientIsTakenBeforeTheFirstParameters) {
  const auto network = compile<double>(
      chain({4, 4, 2}, {PoolOp{PoolKind::average, 2, 2}, FlattenOp{}, DropoutOp{0.5}, DenseOp{5}, DenseOp{3}}));
  Batch<double> batch;
  batch.images = Matrix<double>::Ones(16, 2);
  batch.labels = {1};
  std::vector<std::size_t> seen, without_dx;
  LayerWatch<double> watch;
  watch.backward = [&](std::size_t layer, ConstRows<double>, ConstRows<double>, ConstRows<double> dx) {
    seen.push_back(layer);
    if (dx.data() == nullptr) without_dx.push_back(layer);
  };
  Vector<double> grad;
  const auto theta = network->initial_parameters(Init::he_normal, 1);
  network->evaluate(theta, {}, batch, {}, {.grad = &grad, .watch = &watch});
  EXPECT_EQ(seen, (std::vector<std::size_t>{4, 3}));
  EXPECT_EQ(without_dx, (std::vector<std::size_t>{3}));
}

/// Loss, logits and gradient on five images.
struct Found {
  double loss;
  Matrix<double> logits;
  Vector<double> grad, buffers;
};

Found evaluate(const ModelGraph& graph, Fusion fusion) {
  const auto network = compile<double>(graph, Engine::direct, fusion);
  Batch<double> batch;
  batch.images = rows_from_nchw(hash_values<double>(5 * graph.input.size(), 1), 5, graph.input);
  batch.labels = hash_labels(5, 2, 3);
  const Vector<double> theta = hash_parameters<double>(network->parameters());
  Found found;
  found.loss = network
                   ->evaluate(theta, network->initial_buffers(), batch, {Mode::train, 3, 8},
                              {.grad = &found.grad, .new_buffers = &found.buffers})
                   .loss;
  found.logits = network->logits();
  return found;
}

// Kinds of layers that the zoo does not have: even kernels, strides, other windows, norms in other places.
TEST(Compile, FusingChangesTheRoundingAlone) {
  for (const ModelGraph& graph :
       {chain({13, 12, 3}, {ConvOp{8, 5, 4, 2, 2}, NormOp{}, ActivationOp{}, PoolOp{}, ConvOp{6, 3, 3, 1, 1, false},
                            ActivationOp{}, NormOp{}, PoolOp{PoolKind::average, 3, 1}, FlattenOp{}, DenseOp{3}}),
        chain({12, 12, 2},
              {ConvOp{8, 1, 1}, ActivationOp{}, PoolOp{}, ConvOp{8, 3, 3, 1, 1}, NormOp{}, PoolOp{},
               NormOp{NormKind::group, 1e-5, true, 0.1, true, 2}, ConvOp{4, 3, 3, 1, 1},
               NormOp{NormKind::batch, 1e-5, false, 0.1, false}, FlattenOp{}, DropoutOp{0.25}, DenseOp{3}})}) {
    const Found on = evaluate(graph, Fusion::on), off = evaluate(graph, Fusion::off);
    EXPECT_TRUE(off.grad.allFinite());
    EXPECT_GT(off.grad.norm(), 1e-3);
    EXPECT_NEAR(on.loss, off.loss, 1e-13 * std::abs(off.loss));
    EXPECT_LT((on.logits - off.logits).norm(), 1e-12 * off.logits.norm());
    EXPECT_LT((on.grad - off.grad).norm(), 1e-11 * off.grad.norm());
    EXPECT_LT((on.buffers - off.buffers).norm(), 1e-13 * off.buffers.norm());
  }
}

}  // namespace
}  // namespace gradscape::testing
