// Backward passes in double against central differences of forward passes: every layer and loss, then whole networks.
//
// The bounds follow from the arithmetic (eps = 1.1e-16). A layer that is linear in the entry has no truncation error,
// so the step is large (1) and only rounding is left: 1e-12. ReLU and max-pool are linear between kinks; their inputs
// are multiples of 2^-19 and the step is 2^-21, so that no difference crosses a kink: 1e-12 too. What is curved has
// h⁴·f⁽⁵⁾/30 + 1.5·eps·|f|/h: for single layers at h = 1e-3 about 1e-11, bound 1e-9. For whole networks the rounding
// error of f is some 1e-14, at h = 1e-4 that is 1e-10: bound 1e-8. With ReLU and max-pool a unit may lie within the
// step of its kink and then errs by its whole share of the entry: h = 1e-7 makes that rare and rounding 1e-7: bound
// 1e-5. Single convolutions with ReLU or max-pool have |f| ≈ 10: at h = 1e-6 rounding makes 2e-9, bound 1e-7.
//
// Winograd's transforms make the rounding errors of f some ten times as large; the bounds have room for that.
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "gradscape/nn/activation.hpp"
#include "gradscape/nn/activation_noise.hpp"
#include "gradscape/nn/batch_norm.hpp"
#include "gradscape/nn/convolution.hpp"
#include "gradscape/nn/dense.hpp"
#include "gradscape/nn/group_norm.hpp"
#include "gradscape/nn/lp_norm.hpp"
#include "gradscape/nn/pooling.hpp"
#include "gradscape/nn/zoo.hpp"
#include "support/finite_differences.hpp"
#include "support/hash_values.hpp"
#include "support/layer_run.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

constexpr double kLinear = 1.0;
constexpr double kBetweenKinks = 0x1.0p-21;
constexpr double kCurved = 1e-3;
constexpr double kKinks = 1e-6;

/// On one thread: thousands of tiny passes would spend their time on waking threads, and bits do not depend on it.
class FiniteDifferences : public ::testing::Test {
  const WithThreads one_thread_{1};
};

void report(const std::string& name, const WorstEntry& worst, double bound) {
  EXPECT_GT(worst.checked, 0);
  EXPECT_LE(worst.error, bound) << name << ": " << worst.text();
  fmt::print("  {}: {}\n", name, worst.text());
  ::testing::Test::RecordProperty(name, worst.text());
}

/// All entries of x and theta, with the functional ⟨dy, y⟩ as the loss, summed in long double.
void check_layer(const std::string& name, Layer<double>& layer, const Layout& parameters, double h, double bound,
                 Mode mode = Mode::train, const Vector<double>& buffers = {}) {
  SCOPED_TRACE(name);
  constexpr Index kSamples = 4;
  const Pass pass{mode, 17, 3};
  Vector<double> theta = hash_parameters<double>(parameters);
  Vector<double> x = hash_values<double>(kSamples * layer.in().size(), 1);
  for (double& value : x)
    if (value == 0) value = 0.5;  // not on ReLU's kink
  const auto dy = hash_values<double>(kSamples * layer.out().size(), 2);
  const auto rows = [&](const Vector<double>& v, FeatureShape shape) {
    return Matrix<double>(Eigen::Map<const Matrix<double>>(v.data(), v.size() / shape.channels, shape.channels));
  };
  Scratch<double> workspace;
  workspace.at_least(layer.plan(kSamples));
  const auto run = run_layer<double>(layer, pass, theta, buffers, rows(x, layer.in()), rows(dy, layer.out()));

  const auto functional = [&] {
    Matrix<double> in = rows(x, layer.in());
    Matrix<double> out(kSamples * layer.out().pixels(), layer.out().channels);
    double* target = layer.in_place() ? in.data() : out.data();
    layer.forward({pass, theta, buffers.data(), nullptr, workspace.data()}, {in.data(), in.rows(), in.cols()},
                  {target, out.rows(), out.cols()});
    long double sum = 0;
    for (Index i = 0; i < dy.size(); ++i) sum += static_cast<long double>(dy[i]) * target[i];
    return sum;
  };
  WorstEntry worst;
  check_entries(functional, x, Vector<double>(run.dx.reshaped<Eigen::RowMajor>()), 0, x.size(), 1, h, worst);
  if (theta.size() > 0) check_entries(functional, theta, run.grad, 0, theta.size(), 1, h, worst);
  report(name, worst, bound);
}

TEST_F(FiniteDifferences, Convolution) {
  const auto check_one = [](const std::string& name, FeatureShape in, const ConvolutionOptions& options) {
    Layout parameters, buffers;
    Convolution<double> layer(parameters, buffers, "layer", "", in, options, 0, Engine::direct);
    check_layer(name, layer, parameters, kLinear, 1e-12);
  };
  check_one("3x3 pad 1", {6, 5, 3}, {4, 3, 3, 1, 1, true});
  check_one("1x1", {4, 3, 5}, {3, 1, 1, 1, 0, true});
  check_one("5x3 stride 2 pad 2, no bias", {7, 6, 2}, {3, 5, 3, 2, 2, false});
}

// The forms of tiles, with all that a convolution carries.
TEST_F(FiniteDifferences, ConvolutionInTiles) {
  struct Form {
    std::string name;
    FeatureShape in;
    Index channels;
  };
  for (const Form& form :
       {Form{"winograd 4×4", {6, 5, 9}, 5}, {"winograd 4×4", {3, 3, 8}, 4}, {"toeplitz 2×2", {2, 2, 5}, 9}})
    for (const std::string after : {"", "norm", "norm, evaluation", "norm, not affine", "relu", "pool", "relu, pool",
                                    "norm, relu, pool", "norm, evaluation, relu, pool"}) {
      const auto has = [&](const char* word) { return after.find(word) != std::string::npos; };
      ConvolutionOptions options;
      options.channels = form.channels;
      options.padding = 1;
      options.relu = has("relu");
      options.max_pool = has("pool");
      if (has("norm")) options.norm = BatchNormOptions{1e-5, 0.1, !has("not affine"), true};
      Layout parameters, layout;
      Convolution<double> layer(parameters, layout, "layer", "norm", form.in, options, 0, Engine::winograd);
      ASSERT_TRUE(layer.describe().ends_with("(" + form.name + ")"));
      Vector<double> buffers(layout.size());
      if (options.norm)
        buffers << hash_values<double>(form.channels, 5), hash_values<double>(form.channels, 6, 0.5, 1), 2.0;
      const bool kinks = options.relu || options.max_pool;
      const bool linear = !options.norm && !kinks;
      check_layer(fmt::format("{} of {}×{}, {}", form.name, form.in.height, form.in.width, after), layer, parameters,
                  linear  ? kLinear
                  : kinks ? kKinks
                          : kCurved,
                  linear  ? 1e-12
                  : kinks ? 1e-7
                          : 1e-9,
                  has("evaluation") ? Mode::evaluation : Mode::train, buffers);
    }
}

TEST_F(FiniteDifferences, Dense) {
  for (const bool bias : {true, false}) {
    Layout parameters;
    Dense<double> layer(parameters, "layer", 13, 7, bias, 0);
    check_layer(bias ? "with bias" : "without bias", layer, parameters, kLinear, 1e-12);
  }
}

TEST_F(FiniteDifferences, BatchNorm) {
  for (const FeatureShape in : {FeatureShape{3, 2, 5}, FeatureShape{1, 1, 6}})
    for (const bool affine : {true, false})
      for (const Mode mode : {Mode::train, Mode::evaluation}) {
        Layout parameters, layout;
        BatchNormOptions options;
        options.affine = affine;
        BatchNorm<double> layer(parameters, layout, "layer", in, options);
        Vector<double> buffers(layout.size());
        buffers << hash_values<double>(in.channels, 5), hash_values<double>(in.channels, 6, 0.5, 1), 2.0;
        check_layer(std::string(mode == Mode::train ? "train" : "evaluation") + (affine ? "" : ", not affine") +
                        (in.pixels() > 1 ? ", 2-D" : ", 1-D"),
                    layer, parameters, kCurved, 1e-9, mode, buffers);
      }
}

TEST_F(FiniteDifferences, OtherNorms) {
  for (const FeatureShape in : {FeatureShape{3, 2, 6}, FeatureShape{1, 1, 6}})
    for (const bool affine : {true, false}) {
      const std::string where = std::string(affine ? "" : ", not affine") + (in.pixels() > 1 ? ", 2-D" : ", 1-D");
      for (const Index groups : {1, 3}) {
        Layout parameters;
        GroupNorm<double> layer(parameters, "layer", in, {groups, 1e-5, affine});
        // Two values of a group that lie near each other make it more curved than a batch does.
        check_layer(layer.describe() + where, layer, parameters, 0.1 * kCurved, 1e-9);
      }
      for (const LpKind kind : {LpKind::l1, LpKind::l2, LpKind::linf})
        for (const Mode mode : {Mode::train, Mode::evaluation}) {
          Layout parameters, layout;
          BatchNormOptions options;
          options.affine = affine;
          LpNorm<double> layer(parameters, layout, "layer", in, kind, options);
          Vector<double> buffers(layout.size());
          buffers << hash_values<double>(in.channels, 5), hash_values<double>(in.channels, 6, 0.5, 1), 2.0;
          // Absolute values and maxima have kinks; between them the function is smooth, but values may lie near one.
          check_layer(layer.describe() + where + (mode == Mode::train ? "" : ", evaluation"), layer, parameters,
                      kind == LpKind::l2 ? kCurved : kKinks, kind == LpKind::l2 ? 1e-9 : 1e-7, mode, buffers);
        }
    }
}

TEST_F(FiniteDifferences, LayersWithoutParameters) {
  const FeatureShape in{6, 7, 3};
  Relu<double> relu(in);
  check_layer("ReLU", relu, {}, kBetweenKinks, 1e-12);
  ActivationNoise<double> noise(in, {}, 1);
  check_layer("noise", noise, {}, kLinear, 1e-12);
  Dropout<double> dropout(in, 0.25, 1);
  check_layer("dropout", dropout, {}, kLinear, 1e-12);
  MaxPool<double> max_pool(in, PoolOp{PoolKind::max, 2, 2});
  check_layer("max-pool", max_pool, {}, kBetweenKinks, 1e-12);
  MaxPool<double> overlapping(in, PoolOp{PoolKind::max, 3, 2});
  check_layer("max-pool, overlapping", overlapping, {}, kBetweenKinks, 1e-12);
  AveragePool<double> average_pool(in, PoolOp{PoolKind::average, 3, 2});
  check_layer("average-pool", average_pool, {}, kLinear, 1e-12);
  Flatten<double> flatten(in);
  check_layer("flatten", flatten, {}, kLinear, 1e-12);
}

TEST_F(FiniteDifferences, Losses) {
  constexpr Index kSamples = 9, kClasses = 10;
  const auto labels = hash_labels(kSamples, 3, kClasses);
  for (const auto& [name, kind] : {std::pair{"cross-entropy", Loss::cross_entropy},
                                   std::pair{"mse", Loss::mean_squared}, std::pair{"sse", Loss::summed_squared}}) {
    Vector<double> logits = hash_values<double>(kSamples * kClasses, 4, 4.0), gradient(kSamples * kClasses);
    const auto loss = [&](double* dlogits) {
      return evaluate_loss<double>(kind, {logits.data(), kSamples, kClasses}, labels, Matrix<double>(),
                                   {dlogits, kSamples, kClasses})
          .loss;
    };
    loss(gradient.data());
    WorstEntry worst;
    check_entries([&] { return loss(nullptr); }, logits, gradient, 0, logits.size(), 1, kCurved, worst);
    report(name, worst, 1e-9);
  }
}

/// `per_part` entries of every parameter, with the training loss as the function.
struct NetworkCheck {
  NetworkCheck(const ModelOptions& options, FeatureShape input, Index samples, Engine engine = Engine::direct) {
    network = make_network<double>(options, input, 10, engine);
    theta = hash_parameters<double>(network->parameters());
    buffers = network->initial_buffers();
    batch.images = hash_values<double>(samples * input.size(), 1)
                       .reshaped<Eigen::RowMajor>(samples * input.pixels(), input.channels);
    batch.labels = hash_labels(samples, 2, 10);
    network->evaluate(theta, buffers, batch, pass, {.grad = &gradient});
  }

  WorstEntry run(double h, Index per_part) {
    WorstEntry worst;
    const auto loss = [&] { return network->evaluate(theta, buffers, batch, pass).loss; };
    for (const Part& part : network->parameters().parts()) {
      const Index every = std::max<Index>(1, part.size / per_part);
      check_entries(loss, theta, gradient, part.offset, part.offset + part.size, every, h, worst);
    }
    return worst;
  }

  Pass pass{Mode::train, 5, 9};
  std::unique_ptr<Network<double>> network;
  Vector<double> theta, buffers, gradient;
  Batch<double> batch;
};

ModelOptions mlp_options() {
  ModelOptions options;
  options.arch = "mlp";
  options.hidden = {12, 9};
  options.norm = "batch";
  options.dropout = 0.25;
  return options;
}

ModelOptions vgg_options() {
  ModelOptions options;
  options.width = 0.0625;
  options.norm = "batch";
  options.norm_dense = true;
  options.dropout = 0.25;
  options.pool = "average";
  return options;
}

constexpr FeatureShape kSmall{3, 3, 2};
constexpr FeatureShape kImage{32, 32, 3};

TEST_F(FiniteDifferences, SmoothNetworks) {
  auto mlp = mlp_options();
  mlp.activation = "linear";
  for (const char* loss : {"cross-entropy", "mse", "sse"}) {
    mlp.loss = loss;
    report(std::string("mlp, ") + loss, NetworkCheck(mlp, kSmall, 12).run(1e-4, 1000), 1e-8);
  }
  mlp.loss = "mse";
  mlp.loss_decay = 0.3;
  report("mlp, decay in the loss", NetworkCheck(mlp, kSmall, 12).run(1e-4, 1000), 1e-8);
  mlp.loss_decay = 0;
  mlp.norm = "none";
  report("mlp without norm", NetworkCheck(mlp, kSmall, 12).run(1e-4, 1000), 1e-8);
  for (const std::string& name : engine_names()) {
    const Engine engine = engine_from_name(name);
    auto vgg = vgg_options();
    vgg.activation = "linear";
    report("vgg-a, " + name, NetworkCheck(vgg, kImage, 4, engine).run(1e-4, 4), 1e-8);
    vgg.norm = "none";
    report("vgg-a without norm, " + name, NetworkCheck(vgg, kImage, 2, engine).run(1e-4, 4), 1e-8);
  }
}

TEST_F(FiniteDifferences, NetworksWithKinks) {
  report("mlp", NetworkCheck(mlp_options(), kSmall, 12).run(1e-7, 1000), 1e-5);
  for (const std::string& name : engine_names()) {
    const Engine engine = engine_from_name(name);
    auto vgg = vgg_options();
    report("vgg-a, " + name, NetworkCheck(vgg, kImage, 4, engine).run(1e-7, 4), 1e-5);
    vgg.pool = "max";
    report("vgg-a with max-pool, " + name, NetworkCheck(vgg, kImage, 4, engine).run(1e-7, 4), 1e-5);
    vgg.norm = "none";
    report("vgg-a with max-pool, without norm, " + name, NetworkCheck(vgg, kImage, 4, engine).run(1e-7, 4), 1e-5);
  }
}

// The bounds above mean something: a gradient that is wrong in one entry by 1e-6 of the largest entry is found.
TEST_F(FiniteDifferences, FindsAWrongEntry) {
  auto options = mlp_options();
  options.activation = "linear";
  NetworkCheck check_mlp(options, kSmall, 12);
  const Index entry = 100;
  check_mlp.gradient[entry] += 1e-6 * check_mlp.gradient.cwiseAbs().maxCoeff();
  const WorstEntry worst = check_mlp.run(1e-4, 1000);
  EXPECT_EQ(worst.index, entry);
  EXPECT_GT(worst.error, 1e-8);
}

}  // namespace
}  // namespace gradscape::testing
