// The layer Convolution against its definition (support/plain_convolution.hpp), in every form, shape and combination.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "gradscape/core/scratch.hpp"
#include "support/bits.hpp"
#include "support/convolution_case.hpp"
#include "support/errors.hpp"
#include "support/layer_run.hpp"

namespace gradscape::testing {
namespace {

using Case = ConvolutionCase;

/// Largest relative errors met, per tensor.
struct Errors {
  double y = 0, dx = 0, weight = 0, bias = 0, gamma = 0, beta = 0, statistics = 0;
  Index cases = 0, masked = 0, units = 0;

  std::string text() const {
    return fmt::format("{} cases: y {:.2g}, dx {:.2g}, weight {:.2g}, bias {:.2g}, γ {:.2g}, β {:.2g}, running {:.2g}",
                       cases, y, dx, weight, bias, gamma, beta, statistics);
  }
};

template <class S>
void expect_definition(const Case& c, Errors& worst) {
  SCOPED_TRACE(c.text());
  Prepared<S> setup(c);
  Matrix<double> dy = setup.dy.template cast<double>();
  // Nearer to a kink than this, both sides are right: far above the rounding errors, and rare all the same.
  const double margin = std::is_same_v<S, double> ? 1e-10 : 1e-4;
  const PlainResult expected =
      PlainConvolution(c.in, c.options, c.mode).run(setup.plain(), setup.x.template cast<double>(), dy, margin);
  setup.dy = dy.cast<S>();
  const auto run = run_layer<S>(setup.layer, {c.mode}, setup.theta, setup.running, setup.x, setup.dy);
  const PlainParameters grad = setup.split(run.grad, run.new_buffers);

  const double bound = kBound<S>;
  const auto expect = [&](const char* what, const auto& found, const auto& reference, double& error) {
    compare(what, found, reference, reference.norm(), bound, error);
  };
  expect("y", run.y.template cast<double>(), expected.y, worst.y);
  expect("dx", run.dx.template cast<double>(), expected.dx, worst.dx);
  expect("weight", grad.weight, expected.grad.weight, worst.weight);
  // Batch statistics take the mean away: there the bias has gradient 0, and what is found is rounding error.
  const bool cancels = c.options.norm && (c.mode == Mode::train || !c.options.norm->track);
  if (c.options.bias)
    compare("bias", grad.bias, expected.grad.bias, (cancels ? expected.bias_terms : expected.grad.bias).norm(), bound,
            worst.bias);
  if (c.options.norm && c.options.norm->affine) {
    expect("gamma", grad.gamma, expected.grad.gamma, worst.gamma);
    expect("beta", grad.beta, expected.grad.beta, worst.beta);
  }
  if (c.options.norm && c.options.norm->track) {
    expect("running mean", grad.running_mean, expected.grad.running_mean, worst.statistics);
    expect("running variance", grad.running_var, expected.grad.running_var, worst.statistics);
    const Index last = setup.buffers.size() - 1;
    EXPECT_EQ(run.new_buffers[last], c.mode == Mode::train ? S{4} : S{3});
  }
  ++worst.cases;
  worst.masked += expected.masked;
  worst.units += dy.size();
}

void report(const std::string& name, const Errors& errors) {
  EXPECT_GT(errors.cases, 0);
  EXPECT_LE(static_cast<double>(errors.masked), 0.01 * static_cast<double>(errors.units))
      << "hardly any unit is left out";
  fmt::print("  {}, {}\n", name, errors.text());
  ::testing::Test::RecordProperty(name, errors.text());
}

bool uses_batch(const Case& c) {
  return c.options.norm && (c.mode == Mode::train || !c.options.norm->track);
}

template <class S>
class ConvolutionOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ConvolutionOf, Scalars);

// Every image with every batch size and number of channels (but for the largest products), in changing combinations.
TYPED_TEST(ConvolutionOf, SameSizeOfEveryShapeIsTheDefinition) {
  const std::vector<std::pair<Index, Index>> images = {{1, 1}, {2, 2}, {3, 3}, {4, 4},   {5, 7},
                                                       {8, 8}, {9, 6}, {2, 3}, {16, 16}, {1, 5}};
  const std::vector<Index> batches = {1, 2, 3, 17}, channels = {1, 3, 7, 8, 9, 31, 33, 64, 65};
  constexpr double kMost = 6e6;  // multiply-adds of a case
  std::map<std::string, Errors> errors;
  std::set<std::pair<Index, Index>> inputs_of_batch, outputs_of_batch;
  std::set<int> combinations;
  Index number = 0;
  for (const auto& [height, width] : images)
    for (const Index samples : batches)
      for (std::size_t i = 0; i < channels.size(); ++i) {
        ++number;
        Case c{
            {height, width, channels[i]}, samples, same_size(channels[(4 * i + static_cast<std::size_t>(number)) % 9])};
        if (9.0 * static_cast<double>(samples * c.in.size() * c.options.channels) > kMost) continue;
        const int combination = static_cast<int>(hash32(number, 3) % kCombinations);
        combine(combination, c);
        if (height < 2 || width < 2) c.options.max_pool = false;
        // The gradient through batch statistics of few values is a difference of much larger parts; and with a single
        // tap in the image (one channel, one pixel) it is 0 but for eps: the norm undoes any factor on the weight.
        if (uses_batch(c) && (samples * c.in.pixels() < 12 || c.in.size() == 1)) c.options.norm.reset();
        combinations.insert(combination);
        inputs_of_batch.insert({samples, c.in.channels});
        outputs_of_batch.insert({samples, c.options.channels});
        const std::string form = make_tile_form<TypeParam>({c.in, c.in, 3, 3, 1, 1}, Engine::winograd)->name();
        expect_definition<TypeParam>(c, errors[form]);
        if (form == "im2col") continue;
        c.engine = Engine::direct;
        if (number % 3 == 0) expect_definition<TypeParam>(c, errors["direct"]);
      }
  EXPECT_EQ(combinations.size(), static_cast<std::size_t>(kCombinations));
  EXPECT_EQ(inputs_of_batch.size(), batches.size() * channels.size());
  EXPECT_EQ(outputs_of_batch.size(), batches.size() * channels.size());
  EXPECT_EQ(errors.size(), 4u) << "three forms, one engine";
  for (const auto& [name, worst] : errors) report(name, worst);
}

TYPED_TEST(ConvolutionOf, OtherKernelsAreTheDefinition) {
  struct Kernel {
    FeatureShape in;
    Index channels, height, width, stride, padding;
  };
  const std::vector<Kernel> kernels = {
      {{7, 6, 3}, 8, 3, 3, 1, 0},   {{6, 6, 9}, 7, 3, 3, 1, 2},  {{2, 2, 9}, 8, 3, 3, 1, 2},
      {{8, 9, 8}, 9, 3, 3, 2, 1},   {{9, 7, 31}, 5, 1, 1, 1, 0}, {{9, 8, 33}, 4, 1, 1, 2, 0},
      {{11, 9, 3}, 65, 5, 3, 2, 2}, {{8, 9, 7}, 31, 2, 2, 3, 0}, {{6, 5, 64}, 3, 2, 3, 1, 1},
      {{5, 6, 8}, 33, 4, 1, 1, 2},  {{3, 3, 8}, 64, 3, 3, 1, 0}, {{16, 16, 1}, 9, 5, 5, 1, 2}};
  Errors errors;
  std::set<int> combinations;
  Index number = 0;
  for (const Kernel& k : kernels)
    for (const Index samples : {1, 2, 3, 17})
      for (int repeat = 0; repeat < 3; ++repeat) {
        ++number;
        Case c{k.in, samples, {}};
        c.options.channels = k.channels;
        c.options.kernel_height = k.height;
        c.options.kernel_width = k.width;
        c.options.stride = k.stride;
        c.options.padding = k.padding;
        const int combination = static_cast<int>(hash32(number, 4) % kCombinations);
        combine(combination, c);
        combinations.insert(combination);
        const Index out_height = (k.in.height + 2 * k.padding - k.height) / k.stride + 1;
        const Index out_width = (k.in.width + 2 * k.padding - k.width) / k.stride + 1;
        if (out_height < 2 || out_width < 2) c.options.max_pool = false;
        // Pixels of padding alone are equal: ties, which have a test of their own (test_convolution_values.cpp).
        if (k.padding >= k.width || k.padding >= k.height) c.options.max_pool = false;
        if (uses_batch(c) && samples * out_height * out_width < 12) c.options.norm.reset();
        expect_definition<TypeParam>(c, errors);
      }
  EXPECT_GT(combinations.size(), 40u);
  report("im2col", errors);
}

/// The smallest power of two of samples for which V and M of all of them no longer fit into the workspace: the batch is
/// then computed in chunks.
template <class S>
Index samples_of_several_chunks(const Case& c, Index elements_per_sample) {
  Prepared<S> setup(c);
  for (Index samples = 64; samples < Index{1} << 18; samples *= 2)
    if (setup.layer.plan(samples) < samples * elements_per_sample) return samples;
  ADD_FAILURE() << "there is no chunked batch of " << c.text();
  return 1;
}

TYPED_TEST(ConvolutionOf, BatchesOfSeveralChunksAreTheDefinition) {
  using S = TypeParam;
  // Small images with few channels, for which the definition is quick; but not so few that the weights' gradient
  // becomes a sum of many more than 10000 terms in one chain (see the bound).
  Errors errors;
  const auto check = [&](Case c, Index elements_per_sample) {
    c.samples = samples_of_several_chunks<S>(c, elements_per_sample) + 5;  // the last chunk is shorter
    expect_definition<S>(c, errors);
  };
  for (const int combination : {8, 7}) {  // bias, train, ReLU, pool; and nothing but the convolution
    Case tiles{{2, 3, 33}, 1, same_size(65)};
    combine(combination, tiles);
    check(tiles, 36 * (33 + 65));
    Case square{{2, 2, 33}, 1, same_size(65)};
    combine(combination, square);
    check(square, 9 * (33 + 65));
    Case patches{{5, 5, 9}, 1, same_size(16)};
    patches.options.padding = 0;
    patches.options.stride = 2;
    combine(combination, patches);
    check(patches, 4 * (9 * 9 + 16));
  }
  report("chunks", errors);
}

// The weights' transform is taken in blocks of columns, in both directions; with several chunks too.
TYPED_TEST(ConvolutionOf, WideLayersAreTheDefinition) {
  using S = TypeParam;
  Errors errors;
  expect_definition<S>({{4, 4, 512}, 2, same_size(512)}, errors);
  expect_definition<S>({{2, 2, 512}, 3, same_size(512)}, errors);
  int combination = 8;
  for (const auto& [from, to] : {std::pair<Index, Index>{130, 300}, {300, 130}, {300, 300}}) {
    Case c{{5, 5, from}, 2, same_size(to)};
    combine(combination++, c);
    expect_definition<S>(c, errors);
  }
  Case c{{1, 5, 300}, 1, same_size(300)};
  combine(12, c);
  c.samples = samples_of_several_chunks<S>(c, 2 * 36 * 600);
  expect_definition<S>(c, errors);
  report("wide", errors);
}

TYPED_TEST(ConvolutionOf, TheGradientDoesNotDependOnWhetherDxIsWanted) {
  using S = TypeParam;
  for (const FeatureShape in : {FeatureShape{6, 5, 9}, {2, 2, 9}, {6, 5, 3}}) {
    Case c{in, 3, same_size(11)};
    combine(8, c);
    SCOPED_TRACE(c.text());
    Prepared<S> setup(c);
    const auto run = run_layer<S>(setup.layer, {c.mode}, setup.theta, setup.running, setup.x, setup.dy);
    Scratch<S> workspace;
    workspace.at_least(setup.layer.plan(c.samples));
    Vector<S> grad(setup.theta.size());
    const Pass pass;
    const LayerInputs<S> inputs{pass, setup.theta, setup.running.data(), nullptr, workspace.data()};
    Matrix<S> y(run.y.rows(), run.y.cols());
    setup.layer.forward(inputs, {setup.x.data(), setup.x.rows(), setup.x.cols()}, {y.data(), y.rows(), y.cols()});
    setup.layer.backward(inputs, {setup.x.data(), setup.x.rows(), setup.x.cols()},
                         {setup.dy.data(), setup.dy.rows(), setup.dy.cols()}, {nullptr, setup.x.rows(), setup.x.cols()},
                         grad.data());
    EXPECT_TRUE(same_bits(grad, run.grad));
  }
}

// One object serves batches of changing sizes: nothing of one shows in the next.
TYPED_TEST(ConvolutionOf, BatchesOfChangingSizesDoNotDisturbEachOther) {
  using S = TypeParam;
  for (const FeatureShape in : {FeatureShape{6, 5, 9}, {2, 2, 9}, {6, 5, 3}}) {
    Case c{in, 3, same_size(11)};
    combine(8, c);
    SCOPED_TRACE(c.text());
    Prepared<S> small(c);
    const auto fresh = run_layer<S>(small.layer, {c.mode}, small.theta, small.running, small.x, small.dy);
    Case larger = c;
    larger.samples = 200;
    Prepared<S> large(larger);
    run_layer<S>(small.layer, {c.mode}, large.theta, large.running, large.x, large.dy);
    run_layer<S>(small.layer, {Mode::evaluation}, small.theta, small.running, small.x.topRows(in.pixels()),
                 small.dy.topRows(small.layer.out().pixels()));
    const auto again = run_layer<S>(small.layer, {c.mode}, small.theta, small.running, small.x, small.dy);
    EXPECT_TRUE(same_bits<S>(fresh.y.reshaped(), again.y.reshaped()));
    EXPECT_TRUE(same_bits<S>(fresh.dx.reshaped(), again.dx.reshaped()));
    EXPECT_TRUE(same_bits(fresh.grad, again.grad));
    EXPECT_TRUE(same_bits(fresh.new_buffers, again.new_buffers));
  }
}

TEST(Convolution, FormsAreChosenByTheRule) {
  struct Row {
    Engine engine;
    FeatureShape in;
    Index kernel, stride, padding;
    const char* form;
  };
  const char *f4 = "winograd 4×4", *toeplitz = "toeplitz 2×2", *im2col = "im2col";
  for (const Row& row : {Row{Engine::winograd, {2, 2, 1}, 3, 1, 1, toeplitz},
                         {Engine::winograd, {2, 2, 512}, 3, 1, 1, toeplitz},
                         {Engine::winograd, {3, 3, 8}, 3, 1, 1, f4},
                         {Engine::winograd, {2, 3, 8}, 3, 1, 1, f4},
                         {Engine::winograd, {1, 5, 8}, 3, 1, 1, f4},
                         {Engine::winograd, {16, 16, 64}, 3, 1, 1, f4},
                         {Engine::winograd, {16, 16, 7}, 3, 1, 1, im2col},
                         {Engine::winograd, {32, 32, 3}, 3, 1, 1, im2col},
                         {Engine::winograd, {1, 1, 64}, 3, 1, 1, im2col},
                         {Engine::winograd, {8, 8, 64}, 3, 2, 1, im2col},
                         {Engine::winograd, {8, 8, 64}, 3, 1, 0, im2col},
                         {Engine::winograd, {8, 8, 64}, 3, 1, 2, im2col},
                         {Engine::winograd, {8, 8, 64}, 5, 1, 1, im2col},
                         {Engine::winograd, {8, 8, 64}, 1, 1, 1, im2col},
                         {Engine::direct, {2, 2, 64}, 3, 1, 1, im2col},
                         {Engine::direct, {8, 8, 64}, 3, 1, 1, im2col}}) {
    ConvolutionOptions options = same_size(5);
    options.kernel_height = options.kernel_width = row.kernel;
    options.stride = row.stride;
    options.padding = row.padding;
    Layout parameters, buffers;
    const Convolution<float> layer(parameters, buffers, "c", "", row.in, options, 0, row.engine);
    EXPECT_TRUE(layer.describe().ends_with(std::string(" (") + row.form + ")")) << layer.describe();
  }
}

TEST(Convolution, OneValuePerChannelIsAnErrorInTrainMode) {
  Case c{{1, 1, 8}, 1, same_size(4)};
  combine(12, c);
  Prepared<float> setup(c);
  expect_error([&] { run_layer<float>(setup.layer, {}, setup.theta, setup.running, setup.x, setup.dy); },
               {"n", "more than one value per channel"});
  EXPECT_NO_THROW(run_layer<float>(setup.layer, {Mode::evaluation}, setup.theta, setup.running, setup.x, setup.dy));
}

TEST(Convolution, ShapesThatDoNotFitAreInternalErrors) {
  const auto make = [](FeatureShape in, const ConvolutionOptions& options) {
    Layout parameters, buffers;
    Convolution<float>(parameters, buffers, "c", "", in, options, 0, Engine::winograd);
  };
  ConvolutionOptions options = same_size(4);
  EXPECT_NO_THROW(make({1, 1, 8}, options));
  options.max_pool = true;
  EXPECT_THROW(make({1, 4, 8}, options), std::logic_error);
  EXPECT_NO_THROW(make({2, 3, 8}, options));
  options.padding = 0;
  options.max_pool = false;
  EXPECT_THROW(make({2, 5, 8}, options), std::logic_error);
}

}  // namespace
}  // namespace gradscape::testing
