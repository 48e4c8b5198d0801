// Networks whose values branch and meet: every op's gradient against central differences, and values by definition.
#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/nn/compile.hpp"
#include "support/bits.hpp"
#include "support/errors.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

/// Nodes added one by one, each of earlier ones by number.
struct Builder {
  ModelGraph graph;

  int add(const Op& op, std::vector<int> inputs) {
    const auto number = static_cast<int>(graph.nodes.size());
    graph.nodes.push_back({op, fmt::format("n{}", number), std::move(inputs)});
    return number;
  }
  /// Of the value before it.
  int add(const Op& op) { return add(op, {static_cast<int>(graph.nodes.size()) - 1}); }
};

template <class S>
Batch<S> hash_batch(FeatureShape shape, Index samples, Index classes) {
  Batch<S> batch;
  batch.images.resize(samples * shape.pixels(), shape.channels);
  for (Index i = 0; i < batch.images.size(); ++i) batch.images.data()[i] = static_cast<S>(hash_value(i, 17));
  batch.labels = hash_labels(samples, 18, static_cast<int>(classes));
  return batch;
}

/// The gradient of every parameter against central differences, which in double have ten digits where nothing has a
/// kink within reach.
void expect_differences(const ModelGraph& graph, Mode mode = Mode::train, Fusion fusion = Fusion::on) {
  const auto network = compile<double>(graph, Engine::direct, fusion);
  const auto batch = hash_batch<double>(graph.input, 5, network->output().channels);
  Vector<double> theta = network->initial_parameters(Init::he_normal, 3);
  for (Index i = 0; i < theta.size(); ++i) theta[i] += 0.1 * hash_value(i, 19);
  const Vector<double> buffers = network->initial_buffers();
  const Pass pass{mode, 5, 7};
  Vector<double> grad;
  network->evaluate(theta, buffers, batch, pass, {.grad = &grad});
  constexpr double kStep = 1e-6;
  const Index every = std::max<Index>(1, theta.size() / 300);
  for (Index i = 0; i < theta.size(); i += every) {
    const double at = theta[i];
    theta[i] = at + kStep;
    const double up = network->evaluate(theta, buffers, batch, pass).loss;
    theta[i] = at - kStep;
    const double down = network->evaluate(theta, buffers, batch, pass).loss;
    theta[i] = at;
    EXPECT_NEAR(grad[i], (up - down) / (2 * kStep), 1e-7) << "parameter " << i;
  }
}

/// A small convolution in front, so that the ops behind it pass gradients on, and a classifier at the end.
ModelGraph around(const std::vector<Op>& ops, FeatureShape in = {6, 5, 3}) {
  Builder b;
  b.graph.input = in;
  b.add(ConvOp{.channels = 4, .padding = 1}, {kImages});
  for (const Op& op : ops) b.add(op);
  b.add(FlattenOp{});
  b.add(DenseOp{3});
  return b.graph;
}

TEST(GraphNetwork, GradientsOfOps) {
  using A = ActivationKind;
  const std::vector<Op> ops = {ActivationOp{A::leaky_relu, 0.01},
                               ActivationOp{A::elu, 1.3},
                               ActivationOp{A::clip, -0.4, 0.3},
                               ActivationOp{A::sigmoid},
                               ActivationOp{A::hard_sigmoid},
                               ActivationOp{A::tanh},
                               ActivationOp{A::silu},
                               ActivationOp{A::hard_swish},
                               ActivationOp{A::gelu},
                               ActivationOp{A::gelu_tanh},
                               PoolOp{PoolKind::max, 3, 2, Padding(1)},
                               PoolOp{PoolKind::max, 2, 2, {}, true},
                               PoolOp{PoolKind::average, 3, 2, Padding(1)},
                               PoolOp{PoolKind::average, 3, 2, Padding(1), true, true},
                               PoolOp{PoolKind::average, 2, 2, {0, 1, 1, 0}, true},
                               GlobalPoolOp{},
                               GlobalPoolOp{PoolKind::max},
                               PadOp{{1, 0, 2, 3}},
                               ShortcutOp{2, 1, 2},
                               ConvOp{6, 3, 2, 1, {2, 1, 0, 1}},
                               ConvOp{6, 3, 3, 1, Padding(2), true, 2},
                               ConvOp{6, 2, 3, 2, Padding(1), false, 2},
                               ConvOp{4, 3, 3, 1, Padding(1), true, 1, 4},
                               ConvOp{8, 3, 3, 2, Padding(1), false, 1, 4},
                               ConvOp{6, 3, 3, 1, Padding(2), true, 2, 2}};
  for (const Op& op : ops) {
    SCOPED_TRACE(describe(op));
    expect_differences(around({op}));
    expect_differences(around({NormOp{}, op}), Mode::evaluation);
  }
}

/// All ways in which values can branch: into layers that work in place, into sums twice, images into two layers.
ModelGraph branching() {
  Builder b;
  b.graph.input = {6, 6, 3};
  const int stem = b.add(ConvOp{.channels = 4, .padding = 1}, {kImages});
  const int relu = b.add(ActivationOp{}, {stem});  // in place, but stem is taken again
  const int conv = b.add(ConvOp{.channels = 4, .padding = 1}, {relu});
  const int norm = b.add(NormOp{}, {conv});
  const int sum = b.add(AddOp{}, {norm, relu, stem});
  const int twice = b.add(AddOp{}, {sum, sum});
  const int on = b.add(ActivationOp{}, {twice});
  const int images = b.add(ConvOp{.channels = 2, .kernel_height = 1, .kernel_width = 1}, {kImages});
  const int wide = b.add(ConcatOp{}, {on, images, kImages});
  const int gate = b.add(GlobalPoolOp{}, {wide});
  const int squeezed = b.add(DenseOp{9}, {gate});
  const int open = b.add(ActivationOp{ActivationKind::sigmoid}, {squeezed});
  const int gated = b.add(MulOp{}, {wide, open});
  const int product = b.add(MulOp{}, {gated, wide});
  const int drop = b.add(DropoutOp{0.25}, {product});
  b.add(FlattenOp{}, {drop});
  b.add(DenseOp{3});
  return b.graph;
}

TEST(GraphNetwork, GradientsWhereValuesBranch) {
  for (const Fusion fusion : {Fusion::on, Fusion::off}) {
    expect_differences(branching(), Mode::train, fusion);
    expect_differences(branching(), Mode::evaluation, fusion);
  }
}

TEST(GraphNetwork, FusionChangesNothingButRounding) {
  const ModelGraph graph = branching();
  const auto batch = hash_batch<double>(graph.input, 4, 3);
  Vector<double> grads[2];
  double losses[2];
  for (const Fusion fusion : {Fusion::off, Fusion::on}) {
    const auto network = compile<double>(graph, Engine::winograd, fusion);
    const auto which = static_cast<std::size_t>(fusion);
    losses[which] = network
                        ->evaluate(network->initial_parameters(Init::he_normal, 1), network->initial_buffers(), batch,
                                   {}, {.grad = &grads[which]})
                        .loss;
  }
  EXPECT_NEAR(losses[0], losses[1], 1e-12);
  EXPECT_LT((grads[0] - grads[1]).norm(), 1e-12 * grads[0].norm());
}

TEST(GraphNetwork, BitsDoNotDependOnThreads) {
  const ModelGraph graph = branching();
  const auto batch = hash_batch<float>(graph.input, 40, 3);
  std::vector<Vector<float>> grads;
  for (const int threads : {1, 2, 3}) {
    const WithThreads scope(threads);
    const auto network = compile<float>(graph, Engine::winograd);
    Vector<float> grad;
    network->evaluate(network->initial_parameters(Init::he_normal, 1), network->initial_buffers(), batch, {},
                      {.grad = &grad});
    grads.push_back(grad);
  }
  for (const auto& grad : grads) EXPECT_TRUE((grad.array() == grads.front().array()).all());
}

/// Norms whose last pass convolutions and sums can do themselves: after a convolution with and without ReLU, into one
/// taker and several, of `channels`.
ModelGraph deferring(Index channels) {
  Builder b;
  b.graph.input = {9, 10, 3};
  const ConvOp conv{.channels = channels, .padding = 1};
  const auto block = [&](int before, int shortcut) {
    b.add(conv, {before});
    b.add(NormOp{});
    b.add(ActivationOp{});
    b.add(conv);
    const int norm = b.add(NormOp{});
    b.add(AddOp{}, {norm, shortcut});
    return b.add(ActivationOp{});
  };
  b.add(conv, {kImages});
  b.add(NormOp{});
  const int stem = b.add(ActivationOp{});
  b.add(ConvOp{.channels = channels, .kernel_height = 1, .kernel_width = 1}, {stem});
  const int projection = b.add(NormOp{});  // option B: both inputs of the sum come from norms
  const int second = block(block(stem, projection), stem);
  b.add(conv, {second});
  b.add(NormOp{});
  b.add(ActivationOp{});
  b.add(PoolOp{});  // a norm with pooling behind it stays where it is
  b.add(FlattenOp{});
  b.add(DenseOp{3});
  return b.graph;
}

// A pass that somebody watches leaves no norm to others.
TEST(GraphNetwork, DeferredNormsAreTheSameBits) {
  for (const Index channels : {4, 8, 11, 32})
    for (const Mode mode : {Mode::train, Mode::evaluation}) {
      SCOPED_TRACE(fmt::format("{} channels, mode {}", channels, static_cast<int>(mode)));
      const ModelGraph graph = deferring(channels);
      const auto batch = hash_batch<float>(graph.input, 7, 3);
      const auto network = compile<float>(graph, Engine::winograd);
      Vector<float> theta = network->initial_parameters(Init::he_normal, 1);
      for (Index i = 0; i < theta.size(); ++i) theta[i] += 0.1F * static_cast<float>(hash_value(i, 19));
      const LayerWatch<float> watch{[](std::size_t, ConstRows<float>) {}, {}};
      Vector<float> grads[2], buffers[2], logits[2];
      double losses[2];
      for (const std::size_t which : {0, 1}) {
        losses[which] =
            network
                ->evaluate(
                    theta, network->initial_buffers(), batch, {mode},
                    {.grad = &grads[which], .new_buffers = &buffers[which], .watch = which == 0 ? nullptr : &watch})
                .loss;
        logits[which] = network->logits().reshaped();
      }
      EXPECT_EQ(losses[0], losses[1]);
      EXPECT_TRUE(same_bits(logits[0], logits[1]));
      EXPECT_TRUE(same_bits(grads[0], grads[1]));
      EXPECT_TRUE(same_bits(buffers[0], buffers[1]));
    }
  expect_differences(deferring(4));
  expect_differences(deferring(4), Mode::evaluation);
}

// A value that a layer changes in place stays as it is for others.
TEST(GraphNetwork, SharedValuesAreKept) {
  Builder b;
  b.graph.input = {1, 1, 3};
  const int dense = b.add(DenseOp{3, false}, {kImages});
  const int relu = b.add(ActivationOp{}, {dense});
  b.add(AddOp{}, {dense, relu});
  const auto network = compile<double>(b.graph);
  Vector<double> theta = Vector<double>::Zero(9);
  theta[0] = theta[4] = theta[8] = 1;  // the identity
  Batch<double> batch;
  batch.images.resize(1, 3);
  batch.images << -1, 2, 0.5;
  batch.labels = {0};
  network->evaluate(theta, network->initial_buffers(), batch, {});
  const auto logits = network->logits();
  EXPECT_EQ(logits(0, 0), -1);
  EXPECT_EQ(logits(0, 1), 4);
  EXPECT_EQ(logits(0, 2), 1);
}

TEST(GraphNetwork, SumsAndTheirReluAreOneLayer) {
  Builder b;
  b.graph.input = {4, 4, 2};
  const int stem = b.add(ConvOp{.channels = 2, .padding = 1}, {kImages});
  const int conv = b.add(ConvOp{.channels = 2, .padding = 1}, {stem});
  b.add(AddOp{}, {conv, stem});
  b.add(ActivationOp{});
  b.add(FlattenOp{});
  b.add(DenseOp{2});
  EXPECT_EQ(fuse(b.graph, Fusion::on), (std::vector<std::vector<int>>{{0}, {1}, {2, 3}, {4}, {5}}));
  expect_differences(b.graph);
}

void refuse(const Builder& b, const std::vector<std::string>& words) {
  expect_error<UsageError>([&] { output_shapes(b.graph); }, words);
}

TEST(GraphNetwork, RefusesWhatDoesNotMeet) {
  const auto two = [](const Op& first, const Op& second, const Op& join) {
    Builder b;
    b.graph.input = {6, 6, 4};
    const int one = b.add(first, {kImages}), other = b.add(second, {kImages});
    b.add(join, {one, other});
    b.add(FlattenOp{});
    b.add(DenseOp{2});
    return b;
  };
  const ConvOp same{.channels = 4, .padding = 1}, wide{.channels = 8, .padding = 1}, half{.channels = 4, .stride = 2};
  refuse(two(same, wide, AddOp{}), {"network, n2", "6×6×4 and 6×6×8 do not add", "shortcut"});
  refuse(two(same, half, ConcatOp{}), {"6×6×4 and 2×2×4 have different pixels"});
  refuse(two(same, wide, MulOp{}), {"do not multiply", "as many channels"});
  Builder one;
  one.graph.input = {6, 6, 4};
  one.add(same, {kImages});
  one.add(AddOp{}, {0});
  refuse(one, {"network, n1", "add takes two inputs or more, not 1"});
  refuse({around({ConvOp{6, 3, 3, 1, {}, true, 1, 3}})}, {"3 groups do not divide its channels, 4 in and 6 out"});
  refuse({around({PoolOp{PoolKind::max, 2, 2, Padding(2)}})}, {"padding 2 with windows of 2×2", "half a window"});
  refuse({around({ActivationOp{ActivationKind::clip, 2, 1}})}, {"clip from 2 to 1 leaves nothing"});
}

}  // namespace
}  // namespace gradscape::testing
