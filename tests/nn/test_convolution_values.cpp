// The layer Convolution where single values decide: equal values in a window, kinks, NaN and infinity.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "support/bits.hpp"
#include "support/convolution_case.hpp"
#include "support/layer_run.hpp"

namespace gradscape::testing {
namespace {

using Case = ConvolutionCase;

template <class S>
class ConvolutionValuesOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ConvolutionValuesOf, Scalars);

// Whole numbers make equal values in a window, and zeros at ReLU's kink: exactly, where the arithmetic is exact. It is
// in im2col and Toeplitz; in Winograd's form where all weights are 0 and every pixel is the bias.
TYPED_TEST(ConvolutionValuesOf, TiesGoToTheFirstAndKinksHaveSlopeZero) {
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

// With γ = 0 every pixel is β: the first of each window is its largest, and its normalised value is what γ's gradient
// sums up. Nothing flows back to the convolution.
TYPED_TEST(ConvolutionValuesOf, WindowsAreTiesWhereGammaIsZero) {
  using S = TypeParam;
  for (const FeatureShape in : {FeatureShape{8, 6, 9}, {2, 2, 9}, {6, 5, 3}})
    for (const bool relu : {false, true})
      for (const Mode mode : {Mode::train, Mode::evaluation}) {
        Case c{in, 5, same_size(11)};
        c.options.norm = BatchNormOptions{};
        c.options.relu = relu;
        c.options.max_pool = true;
        c.mode = mode;
        SCOPED_TRACE(c.text());
        Prepared<S> setup(c);
        for (const Part& part : setup.parameters.parts())
          if (part.name == "n.weight") setup.theta.segment(part.offset, part.size).setZero();
        Matrix<double> dy = setup.dy.template cast<double>();
        const PlainResult expected =
            PlainConvolution(c.in, c.options, c.mode).run(setup.plain(), setup.x.template cast<double>(), dy, 0);
        const auto run = run_layer<S>(setup.layer, {c.mode}, setup.theta, setup.running, setup.x, setup.dy);
        const PlainParameters grad = setup.split(run.grad, run.new_buffers);
        EXPECT_TRUE((run.y.array() == expected.y.template cast<S>().array()).all());
        double worst = 0;
        ASSERT_GT(expected.grad.gamma.norm(), 0);
        compare("gamma", grad.gamma, expected.grad.gamma, expected.grad.gamma.norm(), kBound<S>, worst);
        compare("beta", grad.beta, expected.grad.beta, expected.grad.beta.norm(), kBound<S>, worst);
        EXPECT_EQ(run.dx.cwiseAbs().maxCoeff(), S{0});
        EXPECT_EQ(grad.weight.cwiseAbs().maxCoeff(), 0.0);
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
TYPED_TEST(ConvolutionValuesOf, NanAndInfinityReachWhatTheyTouch) {
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
TYPED_TEST(ConvolutionValuesOf, NanInAChannelTakesItsStatistics) {
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
TYPED_TEST(ConvolutionValuesOf, NanInTheGradientStaysInItsChannelAndSample) {
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

}  // namespace
}  // namespace gradscape::testing
