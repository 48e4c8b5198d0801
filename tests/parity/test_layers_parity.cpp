// Every layer and loss against PyTorch, forward and backward, in float64 and float32 (support/parity.hpp says how
// close).
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "gradscape/nn/activation.hpp"
#include "gradscape/nn/batch_norm.hpp"
#include "gradscape/nn/convolution.hpp"
#include "gradscape/nn/dense.hpp"
#include "gradscape/nn/group_norm.hpp"
#include "gradscape/nn/loss.hpp"
#include "gradscape/nn/lp_norm.hpp"
#include "gradscape/nn/pooling.hpp"
#include "gradscape/nn/zoo.hpp"
#include "support/layer_run.hpp"
#include "support/parity.hpp"

namespace gradscape::testing {
namespace {

// Seeds of make_parity.py.
enum Seed : std::uint32_t { kX = 1, kWeight, kBias, kDy, kMean, kVariance };

/// A layer as PyTorch's module has it, its parameters filled by the seeds above.
template <class S>
struct Fixture {
  Layout parameters;
  Layout buffers;
  std::unique_ptr<Layer<S>> layer;
  Vector<S> theta;
};

template <class S>
void fill_linear(Fixture<S>& fixture) {
  fixture.theta.resize(fixture.parameters.size());
  for (const Part& part : fixture.parameters.parts())
    fixture.theta.segment(part.offset, part.size) =
        hash_values<S>(part.size, part.name.ends_with("weight") ? kWeight : kBias);
}

template <class S>
void expect_gradients(const Layout& layout, const Vector<S>& grad, const Json& results, const std::string& prefix,
                      double factor = 4) {
  for (const Part& part : layout.parts()) {
    const std::string name = part.name.substr(part.name.rfind('.') + 1);
    expect_parity<S>(prefix + name, grad.segment(part.offset, part.size), results.at(prefix + name), factor);
  }
}

/// x and dy in PyTorch's order → y, dx in PyTorch's order and the parameters' gradients, all compared.
template <class S>
LayerRun<S> expect_pass(Layer<S>& layer, const Pass& pass, const Layout& parameters, const Vector<S>& theta,
                        const Vector<S>& buffers, const Vector<S>& x, Index samples, const Json& results,
                        const std::string& prefix = "", double factor = 4) {
  const auto dy = hash_values<S>(samples * layer.out().size(), kDy);
  auto run = run_layer<S>(layer, pass, theta, buffers, rows_from_nchw(x, samples, layer.in()),
                          rows_from_nchw(dy, samples, layer.out()));
  expect_parity(prefix + "y", nchw_from_rows(run.y, layer.out()), results.at(prefix + "y"), factor);
  expect_parity(prefix + "dx", nchw_from_rows(run.dx, layer.in()), results.at(prefix + "dx"), factor);
  expect_gradients(parameters, run.grad, results, prefix, factor);
  return run;
}

/// Winograd's transforms add some digits' error of their own: in float 10 times PyTorch's is allowed there.
template <class S>
void convolution(const Json& c) {
  const FeatureShape in{c.at("h"), c.at("w"), c.at("cin")};
  ConvolutionOptions options{c.at("cout"), c.at("kh"), c.at("kw"), c.at("stride"), c.at("padding").get<Index>(),
                             c.at("bias")};
  const Index samples = c.at("n");
  for (const std::string& engine : engine_names()) {
    SCOPED_TRACE(engine);
    Fixture<S> fixture;
    fixture.layer = std::make_unique<Convolution<S>>(fixture.parameters, fixture.buffers, "layer", "", in, options, 0,
                                                     engine_from_name(engine));
    fill_linear(fixture);
    const bool transforms = !fixture.layer->describe().ends_with("(im2col)");
    expect_pass<S>(*fixture.layer, {}, fixture.parameters, fixture.theta, {}, hash_values<S>(samples * in.size(), kX),
                   samples, c.at("results"), "", transforms ? 10 : 4);
  }
}

template <class S>
void dense(const Json& c) {
  Fixture<S> fixture;
  const Index samples = c.at("n"), in = c.at("inputs");
  fixture.layer = std::make_unique<Dense<S>>(fixture.parameters, "layer", in, c.at("outputs"), c.at("bias"), 0);
  fill_linear(fixture);
  expect_pass<S>(*fixture.layer, {}, fixture.parameters, fixture.theta, {}, hash_values<S>(samples * in, kX), samples,
                 c.at("results"));
}

template <class S>
void batch_norm(const Json& c) {
  Fixture<S> fixture;
  const FeatureShape in{c.at("h"), c.at("w"), c.at("c")};
  const BatchNormOptions options{c.at("eps"), c.at("momentum"), c.at("affine"), c.at("track")};
  fixture.layer = std::make_unique<BatchNorm<S>>(fixture.parameters, fixture.buffers, "layer", in, options);
  Layer<S>& layer = *fixture.layer;
  Vector<S> theta(fixture.parameters.size()), buffers(fixture.buffers.size());
  layer.initialise(theta.data(), Init::xavier_normal, 1);
  layer.initialise_buffers(buffers.data());
  const Index samples = c.at("n"), channels = in.channels;
  auto x = hash_values<S>(samples * in.size(), kX, 2, 3);
  if (c.at("founding").get<bool>()) {
    for (Index i = 0; i < x.size(); ++i) x[i] = static_cast<S>(i);
  } else {
    if (options.affine) theta << hash_values<S>(channels, kWeight, 0.5, 1), hash_values<S>(channels, kBias);
    if (options.track) buffers << hash_values<S>(channels, kMean), hash_values<S>(channels, kVariance, 0.5, 1), S{3};
  }
  // Train mode, then evaluation mode with the running statistics that it left.
  for (const Mode mode : {Mode::train, Mode::evaluation}) {
    const std::string prefix = mode == Mode::train ? "train." : "evaluation.";
    const auto run =
        expect_pass<S>(layer, {mode}, fixture.parameters, theta, buffers, x, samples, c.at("results"), prefix);
    expect_gradients(fixture.buffers, run.new_buffers, c.at("results"), prefix);
    if (options.track) {
      const double tracked = c.at("results").at(prefix + "num_batches_tracked").at("values")[0];
      EXPECT_EQ(static_cast<double>(run.new_buffers[2 * channels]), tracked);
    }
    buffers = run.new_buffers;
  }
}

/// γ and β by the seeds.
template <class S>
void fill_affine(Fixture<S>& fixture, Index channels) {
  fixture.theta.resize(fixture.parameters.size());
  if (fixture.theta.size() > 0)
    fixture.theta << hash_values<S>(channels, kWeight, 0.5, 1), hash_values<S>(channels, kBias);
}

template <class S>
void group_norm(const Json& c) {
  Fixture<S> fixture;
  const FeatureShape in{c.at("h"), c.at("w"), c.at("c")};
  fixture.layer = std::make_unique<GroupNorm<S>>(fixture.parameters, "layer", in,
                                                 GroupNormOptions{c.at("groups"), c.at("eps"), c.at("affine")});
  fill_affine(fixture, in.channels);
  const Index samples = c.at("n");
  const auto x = hash_values<S>(samples * in.size(), kX, 2, 3);
  // Evaluation mode is train mode.
  for (const Mode mode : {Mode::train, Mode::evaluation})
    expect_pass<S>(*fixture.layer, {mode}, fixture.parameters, fixture.theta, {}, x, samples, c.at("results"));
}

template <class S>
void lp_norm(const Json& c) {
  static const std::map<std::string, LpKind> kinds = {{"l1", LpKind::l1}, {"l2", LpKind::l2}, {"linf", LpKind::linf}};
  Fixture<S> fixture;
  const FeatureShape in{c.at("h"), c.at("w"), c.at("c")};
  BatchNormOptions options;
  options.eps = c.at("eps");
  fixture.layer =
      std::make_unique<LpNorm<S>>(fixture.parameters, fixture.buffers, "layer", in, kinds.at(c.at("p")), options);
  fill_affine(fixture, in.channels);
  Vector<S> buffers(fixture.buffers.size());
  fixture.layer->initialise_buffers(buffers.data());
  const Index samples = c.at("n");
  expect_pass<S>(*fixture.layer, {}, fixture.parameters, fixture.theta, buffers,
                 hash_values<S>(samples * in.size(), kX, 2, 0.3), samples, c.at("results"));
}

template <class S>
std::unique_ptr<Layer<S>> make_elementary(const std::string& kind, FeatureShape in, Index kernel, Index stride) {
  if (kind == "relu") return std::make_unique<Relu<S>>(in);
  if (kind == "max_pool") return std::make_unique<MaxPool<S>>(in, PoolOp{PoolKind::max, kernel, stride});
  if (kind == "average_pool") return std::make_unique<AveragePool<S>>(in, PoolOp{PoolKind::average, kernel, stride});
  return std::make_unique<Flatten<S>>(in);
}

template <class S>
void elementary(const Json& c) {
  const FeatureShape in{c.at("h"), c.at("w"), c.at("c")};
  const auto layer = make_elementary<S>(c.at("kind"), in, c.at("kernel"), c.at("stride"));
  const Index samples = c.at("n");
  auto x = hash_values<S>(samples * in.size(), kX);
  const std::string special = c.at("special");
  if (!special.empty()) x = (x.array() * S{4}).floor() / S{4};
  if (special == "nan")
    for (Index i = 0; i < x.size(); i += 11) x[i] = std::numeric_limits<S>::quiet_NaN();
  expect_pass<S>(*layer, {}, {}, {}, {}, x, samples, c.at("results"));
}

template <class S>
void loss(const Json& c) {
  static const std::map<std::string, Loss> kinds = {
      {"cross-entropy", Loss::cross_entropy}, {"mse", Loss::mean_squared}, {"sse", Loss::summed_squared}};
  const Index samples = c.at("n"), classes = c.at("classes"), batches = c.at("batches");
  Vector<double> losses(batches);
  Matrix<S> gradient(samples, classes);
  for (Index batch = 0; batch < batches; ++batch) {
    const auto seed = static_cast<std::uint32_t>(batch);
    const auto values = hash_values<S>(samples * classes, 100 + seed, c.at("scale"));
    const ConstRows<S> logits(values.data(), samples, classes);
    const auto labels = hash_labels(samples, 300 + seed, static_cast<int>(classes));
    const Rows<S> dlogits(batch == 0 ? gradient.data() : nullptr, samples, classes);
    losses[batch] =
        evaluate_loss<S>(kinds.at(c.at("loss")), logits, labels, Matrix<S>(), dlogits, c.at("smoothing")).loss;
  }
  // Losses are computed in double whatever the logits are, and the logits here are exact: double's bound for both.
  expect_parity<double>("losses", losses, c.at("results").at("losses"));
  expect_parity<S>("gradient", gradient.template reshaped<Eigen::RowMajor>(), c.at("results").at("gradient"));
}

template <class S>
void expect_parity_of_all(const std::string& kind) {
  static const std::map<std::string, void (*)(const Json&)> table = {
      {"convolution", convolution<S>}, {"dense", dense<S>},
      {"batch_norm", batch_norm<S>},   {"relu", elementary<S>},
      {"group_norm", group_norm<S>},   {"lp_norm", lp_norm<S>},
      {"max_pool", elementary<S>},     {"average_pool", elementary<S>},
      {"flatten", elementary<S>},      {"loss", loss<S>}};
  static const Json file = load_parity("layers");
  worst() = {};
  int cases = 0;
  for (const Json& c : file.at("cases")) {
    if (c.at("kind") != kind) continue;
    SCOPED_TRACE(c.at("name").get<std::string>());
    table.at(kind)(c);
    ++cases;
  }
  EXPECT_GT(cases, 0) << "no stored case of " << kind;
  report_worst<S>(kind);
}

class LayersParity : public ::testing::TestWithParam<std::string> {};

TEST_P(LayersParity, Double) {
  expect_parity_of_all<double>(GetParam());
}
TEST_P(LayersParity, Float) {
  expect_parity_of_all<float>(GetParam());
}

INSTANTIATE_TEST_SUITE_P(Layers, LayersParity,
                         ::testing::Values("convolution", "dense", "batch_norm", "group_norm", "lp_norm", "relu",
                                           "max_pool", "average_pool", "flatten", "loss"),
                         [](const auto& kind) { return kind.param; });

}  // namespace
}  // namespace gradscape::testing
