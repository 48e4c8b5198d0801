// The layer Convolution against its definition (support/plain_convolution.hpp), in every form, shape and combination.
//
// Bounds, relative in the Euclidean norm of each tensor. double: 1e-11. float: 1e-5. Every result is a sum of k terms
// rounded to 24 bits, whose errors add up like a random walk: eps·√k/2 ≈ 3e-6 for the longest chains here (k ≈ 16000
// for the weights' gradient; eps = 6e-8). Winograd's transforms make them two to three times as large (there k ≈ 4000),
// and add some 10 eps of their own. Batch
// norm's gradient subtracts parts that are no larger than itself. So 1e-5 leaves a small factor; an error of method is
// of order 1.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <type_traits>

#include "gradscape/nn/convolution.hpp"
#include "support/bits.hpp"
#include "support/errors.hpp"
#include "support/hash_values.hpp"
#include "support/layer_run.hpp"
#include "support/plain_convolution.hpp"

namespace gradscape::testing {
namespace {

struct Case {
  FeatureShape in;
  Index samples = 1;
  ConvolutionOptions options = {};
  Mode mode = Mode::train;
  Engine engine = Engine::winograd;

  std::string text() const {
    const auto& o = options;
    std::string t =
        fmt::format("{}×{}×{} of {}, kernel {}×{} stride {} padding {}, {} channels", samples, in.height, in.width,
                    in.channels, o.kernel_height, o.kernel_width, o.stride, o.padding, o.channels);
    if (o.bias) t += ", bias";
    if (o.norm)
      t += fmt::format(", norm ({}affine, {}tracking)", o.norm->affine ? "" : "not ", o.norm->track ? "" : "not ");
    if (o.relu) t += ", relu";
    if (o.max_pool) t += ", pool";
    return t + (mode == Mode::train ? ", train" : ", evaluation");
  }
};

ConvolutionOptions same_size(Index channels) {
  ConvolutionOptions options;
  options.channels = channels;
  options.padding = 1;
  return options;
}

/// A layer with parameters, running statistics and inputs that are the same numbers in float and double.
template <class S>
struct Prepared {
  explicit Prepared(const Case& c)
      : parameters(),
        buffers(),
        layer(parameters, buffers, "c", "n", c.in, c.options, 0, c.engine),
        theta(hash_parameters<S>(parameters)),
        running(buffers.size()),
        x(as_rows(hash_values<S>(c.samples * c.in.size(), 1), c.in.channels)),
        dy(as_rows(hash_values<S>(c.samples * layer.out().size(), 2), c.options.channels)) {
    const Index channels = c.options.channels;
    if (running.size() > 0) running << hash_values<S>(channels, 5, 0.25), hash_values<S>(channels, 6, 0.5, 1), S{3};
  }

  static Matrix<S> as_rows(const Vector<S>& values, Index columns) {
    return values.template reshaped<Eigen::RowMajor>(values.size() / columns, columns);
  }

  /// A part of `values`, laid out as `layout`; empty where there is none.
  static Vector<double> part(const Layout& layout, const Vector<S>& values, const std::string& name) {
    for (const Part& found : layout.parts())
      if (found.name == name) return values.segment(found.offset, found.size).template cast<double>();
    return {};
  }

  PlainParameters plain() const { return split(theta, running); }
  PlainParameters split(const Vector<S>& values, const Vector<S>& statistics) const {
    return {part(parameters, values, "c.weight"),        part(parameters, values, "c.bias"),
            part(parameters, values, "n.weight"),        part(parameters, values, "n.bias"),
            part(buffers, statistics, "n.running_mean"), part(buffers, statistics, "n.running_var")};
  }

  Layout parameters, buffers;
  Convolution<S> layer;
  Vector<S> theta, running;
  Matrix<S> x, dy;
};

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
constexpr double kBound = std::is_same_v<S, double> ? 1e-11 : 1e-5;

template <class A, class B>
void compare(const char* what, const A& found, const B& expected, double scale, double bound, double& worst) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  const double error = (found - expected).norm() / (scale > 0 ? scale : 1.0);
  EXPECT_LE(error, bound) << what;
  worst = std::max(worst, error);
}

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

constexpr int kCombinations = 48;

/// Bias, norm (none, train, evaluation, not affine, not tracking), ReLU and pooling in all combinations.
void combine(int number, Case& c) {
  c.options.bias = number % 2 == 0;
  c.options.relu = number / 2 % 2 == 0;
  c.options.max_pool = number / 4 % 2 == 0;
  const int norm = number / 8;
  c.mode = norm == 2 || norm == 4 || norm == 5 ? Mode::evaluation : Mode::train;
  if (norm == 0) return;
  BatchNormOptions options;
  options.affine = norm != 3 && norm != 5;
  options.track = norm != 4;
  options.eps = 1e-3;
  options.momentum = 0.3;
  c.options.norm = options;
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

// Whole numbers make equal values in a window, and zeros at ReLU's kink: exactly, where the arithmetic is exact. It is
// in im2col and Toeplitz; in Winograd's form where all weights are 0 and every pixel is the bias.
TYPED_TEST(ConvolutionOf, TiesGoToTheFirstAndKinksHaveSlopeZero) {
  using S = TypeParam;
  struct Tie {
    FeatureShape in;
    S weight;  // factor on −1, 0, 1
    Engine engine;
  };
  for (const Tie& tie :
       {Tie{{6, 5, 3}, 1, Engine::direct}, Tie{{5, 4, 9}, 1, Engine::direct}, Tie{{2, 2, 9}, 1, Engine::winograd},
        Tie{{9, 6, 9}, 0, Engine::winograd}, Tie{{4, 4, 8}, 0, Engine::winograd}})
    for (const bool relu : {false, true})
      for (const bool pool : {false, true}) {
        Case c{tie.in, 3, same_size(12)};
        c.options.relu = relu;
        c.options.max_pool = pool;
        c.engine = tie.engine;
        SCOPED_TRACE(c.text());
        Prepared<S> setup(c);
        const auto whole = [](S value, S size) { return std::floor(value * size + S{0.5}); };
        for (S& value : setup.theta.head(setup.theta.size() - 12)) value = tie.weight * whole(value * 4, 1);
        for (Index i = 0; i < 12; ++i) setup.theta[setup.theta.size() - 12 + i] = static_cast<S>(i % 3 - 1);
        for (S& value : setup.x.reshaped()) value = whole(value, 1);
        for (S& value : setup.dy.reshaped()) value = whole(value, 8);
        Matrix<double> dy = setup.dy.template cast<double>();
        const PlainResult expected =
            PlainConvolution(c.in, c.options, c.mode).run(setup.plain(), setup.x.template cast<double>(), dy, 0);
        const auto run = run_layer<S>(setup.layer, {}, setup.theta, {}, setup.x, setup.dy);
        const PlainParameters grad = setup.split(run.grad, {});
        EXPECT_TRUE((run.y.array() == expected.y.template cast<S>().array()).all());
        EXPECT_TRUE((grad.bias.array() == expected.grad.bias.array()).all());
        if (relu) {
          EXPECT_GT((expected.y.array() == 0).count(), 0);
        }
        if (tie.weight == 0) {
          EXPECT_EQ(run.dx.cwiseAbs().maxCoeff(), S{0});
          double worst = 0;
          compare("weight", grad.weight, expected.grad.weight, expected.grad.weight.norm(), kBound<S>, worst);
        } else {
          EXPECT_TRUE((run.dx.array() == expected.dx.template cast<S>().array()).all());
          EXPECT_TRUE((grad.weight.array() == expected.grad.weight.array()).all());
        }
      }
}

/// Output pixels whose tile of Winograd's form, or whose patch, meets input pixel (y, x) of a same-size convolution.
bool meets(const std::string& form, Index out_y, Index out_x, Index y, Index x, Index pool) {
  const auto range = [&](Index out, Index in) {
    if (form == "toeplitz 2×2") return true;
    if (form == "winograd 4×4") {
      const Index tile = out * pool / 4 * 4;
      return in >= tile - 1 && in <= tile + 4;
    }
    return in >= out * pool - 1 && in <= out * pool + pool;
  };
  return range(out_y, y) && range(out_x, x);
}

// A NaN reaches every output that the definition takes it to, and through ReLU and pooling; an infinity becomes itself
// or NaN. Tiles may take them to their other pixels, never beyond the tile.
TYPED_TEST(ConvolutionOf, NanAndInfinityReachWhatTheyTouch) {
  using S = TypeParam;
  constexpr S kInf = std::numeric_limits<S>::infinity(), kNan = std::numeric_limits<S>::quiet_NaN();
  for (const FeatureShape in : {FeatureShape{9, 6, 9}, {8, 8, 8}, {2, 2, 9}, {7, 6, 3}})
    for (const bool relu : {false, true})
      for (const bool pool : {false, true})
        for (const S special : {kNan, kInf, -kInf}) {
          // ReLU makes 0 of −∞, where a tile that mixes it with +∞ has a NaN.
          if (relu && !std::isnan(special)) continue;
          Case c{in, 3, same_size(10)};
          c.options.relu = relu;
          c.options.max_pool = pool;
          SCOPED_TRACE(c.text() + fmt::format(" with {}", special));
          Prepared<S> setup(c);
          const Index row = in.height / 2, column = 1;
          setup.x((in.height + row) * in.width + column, in.channels - 1) = special;
          Matrix<double> dy = setup.dy.template cast<double>();
          const PlainResult expected =
              PlainConvolution(c.in, c.options, c.mode).run(setup.plain(), setup.x.template cast<double>(), dy, 0);
          const auto run = run_layer<S>(setup.layer, {}, setup.theta, {}, setup.x, setup.dy);
          const std::string form = make_tile_form<S>({in, in, 3, 3, 1, 1}, Engine::winograd)->name();
          const FeatureShape out = setup.layer.out();
          Index touched = 0, untouched = 0;
          for (Index r = 0; r < run.y.rows(); ++r)
            for (Index k = 0; k < out.channels; ++k) {
              const S y = run.y(r, k);
              const double e = expected.y(r, k);
              const Index pixel = r % out.pixels();
              const bool may =
                  r / out.pixels() == 1 && meets(form, pixel / out.width, pixel % out.width, row, column, pool ? 2 : 1);
              if (!std::isfinite(e)) {
                EXPECT_TRUE(std::isnan(special) ? std::isnan(y) : !std::isfinite(y));
                ++touched;
              }
              if (form == "im2col" && !std::isfinite(e)) {
                EXPECT_EQ(std::isnan(e), std::isnan(y));
                if (!std::isnan(e)) {
                  EXPECT_EQ(static_cast<double>(y), e);
                }
              }
              if (!may || (form == "im2col" && std::isfinite(e))) {
                EXPECT_NEAR(static_cast<double>(y), e, 10 * kBound<S>);
                ++untouched;
              }
            }
          EXPECT_GT(touched, 0);
          EXPECT_GT(untouched, 0);
        }
}

// A NaN in a channel's values makes all of its normalised ones NaN, and its running statistics; not another's.
TYPED_TEST(ConvolutionOf, NanInAChannelTakesItsStatistics) {
  using S = TypeParam;
  for (const FeatureShape in : {FeatureShape{5, 6, 9}, {2, 2, 9}, {5, 6, 3}}) {
    Case c{in, 4, same_size(10)};
    combine(8, c);
    SCOPED_TRACE(c.text());
    Prepared<S> setup(c);
    setup.theta[4 * in.channels * 9 + 3] = std::numeric_limits<S>::quiet_NaN();  // a weight of channel 4
    const auto run = run_layer<S>(setup.layer, {}, setup.theta, setup.running, setup.x, setup.dy);
    for (Index k = 0; k < 10; ++k) {
      const auto nan = run.y.col(k).array().isNaN();
      EXPECT_TRUE(k == 4 ? nan.all() : !nan.any()) << k;
      EXPECT_EQ(std::isnan(run.new_buffers[k]), k == 4) << k;
      EXPECT_EQ(std::isnan(run.new_buffers[10 + k]), k == 4) << k;
    }
  }
}

// A NaN in dy reaches the gradients of its own output channel and its own sample, and no others.
TYPED_TEST(ConvolutionOf, NanInTheGradientStaysInItsChannelAndSample) {
  using S = TypeParam;
  for (const FeatureShape in : {FeatureShape{9, 6, 9}, {2, 2, 9}, {5, 6, 3}})
    for (const bool pool : {false, true}) {
      Case c{in, 3, same_size(10)};
      c.options.max_pool = pool;
      SCOPED_TRACE(c.text());
      Prepared<S> setup(c);
      setup.dy(setup.layer.out().pixels(), 4) = std::numeric_limits<S>::quiet_NaN();  // sample 1
      const auto run = run_layer<S>(setup.layer, {}, setup.theta, {}, setup.x, setup.dy);
      const PlainParameters grad = setup.split(run.grad, {});
      const Index line = in.channels * 9;
      for (Index k = 0; k < 10; ++k) {
        EXPECT_EQ(std::isnan(grad.bias[k]), k == 4);
        EXPECT_EQ(grad.weight.segment(k * line, line).array().isNaN().any(), k == 4);
        EXPECT_EQ(grad.weight.segment(k * line, line).array().isFinite().all(), k != 4);
      }
      for (Index sample = 0; sample < 3; ++sample) {
        const auto dx = run.dx.middleRows(sample * in.pixels(), in.pixels());
        EXPECT_EQ(dx.array().isNaN().any(), sample == 1);
        EXPECT_EQ(dx.array().isFinite().all(), sample != 1);
      }
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
