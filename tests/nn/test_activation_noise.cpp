#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/nn/activation_noise.hpp"
#include "support/bits.hpp"
#include "support/layer_run.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kShape{16, 16, 24};
constexpr Index kSamples = 60;  // 15,360 values of each unit

/// What the noise makes of ones (scale + shift) and, in `dx`, the scale alone.
template <class S>
LayerRun<S> noise(const Pass& pass, std::uint32_t ordinal = 0, const NoiseOptions& options = {}) {
  ActivationNoise<S> layer(kShape, options, ordinal);
  const Matrix<S> ones = Matrix<S>::Ones(kSamples * kShape.pixels(), kShape.channels);
  return run_layer<S>(layer, pass, {}, {}, ones, ones);
}

TEST(ActivationNoise, IsTheIdentityInEvaluationMode) {
  const auto run = noise<float>({Mode::evaluation, 1, 2});
  EXPECT_TRUE((run.y.array() == 1).all());
  EXPECT_TRUE((run.dx.array() == 1).all());
}

// Algorithm 1: per unit mu ~ U(-0.5, 0.5) and sigma ~ U(1, 1.25); around them m uniform in +-0.1 (standard deviation
// 0.1/sqrt(3)) and s normal with 0.1. Means over n values may err by 5 standard errors.
TEST(ActivationNoise, HasTheMomentsOfTheAlgorithm) {
  const auto run = noise<double>({Mode::train, 1, 2});
  const double n = static_cast<double>(run.y.rows());
  double least_scale = 9, largest_scale = 0, least_shift = 9, largest_shift = -9;
  for (Index unit = 0; unit < kShape.channels; ++unit) {
    const auto scale = run.dx.col(unit).array();
    const auto shift = (run.y - run.dx).col(unit).array();
    const double sigma = scale.mean(), mu = shift.mean();
    EXPECT_NEAR(std::sqrt((scale - sigma).square().mean()), 0.1, 5 * 0.1 / std::sqrt(2 * n));
    EXPECT_NEAR(std::sqrt((shift - mu).square().mean()), 0.1 / std::sqrt(3.0), 5 * 0.06 / std::sqrt(2 * n));
    EXPECT_LE((shift - mu).abs().maxCoeff(), 0.1 + 0.005) << "uniform, so bounded";
    EXPECT_GT((scale - sigma).abs().maxCoeff(), 0.3) << "normal, so not";
    EXPECT_NEAR(((scale - sigma) * (shift - mu)).mean(), 0, 5 * 0.1 * 0.06 / std::sqrt(n)) << "independent";
    // Neighbours in the same pair of draws are independent too.
    least_scale = std::min(least_scale, sigma), largest_scale = std::max(largest_scale, sigma);
    least_shift = std::min(least_shift, mu), largest_shift = std::max(largest_shift, mu);
  }
  EXPECT_GT(least_scale, 1 - 0.005);
  EXPECT_LT(largest_scale, 1.25 + 0.005);
  EXPECT_GT(largest_scale - least_scale, 0.15) << "24 units fill the range";
  EXPECT_GT(least_shift, -0.505);
  EXPECT_LT(largest_shift, 0.505);
  EXPECT_GT(largest_shift - least_shift, 0.6);
  const auto even = run.dx(Eigen::all, Eigen::seq(0, kShape.channels - 2, 2)).array() - 1.125;
  const auto odd = run.dx(Eigen::all, Eigen::seq(1, kShape.channels - 1, 2)).array() - 1.125;
  double product = 0;  // of what two neighbours differ from their units' means by
  for (Index c = 0; c < even.cols(); ++c)
    product += ((even.col(c) - even.col(c).mean()) * (odd.col(c) - odd.col(c).mean())).mean();
  EXPECT_NEAR(product / static_cast<double>(even.cols()), 0, 5 * 0.01 / std::sqrt(12 * n));
}

TEST(ActivationNoise, IsAFunctionOfSeedStepDrawAndOrdinal) {
  const Pass pass{Mode::train, 1, 2};
  const auto first = noise<float>(pass).y;
  EXPECT_TRUE(first == noise<float>(pass).y);
  EXPECT_FALSE(first == noise<float>({Mode::train, 9, 2}).y);
  EXPECT_FALSE(first == noise<float>({Mode::train, 1, 3}).y);
  EXPECT_FALSE(first == noise<float>({Mode::train, 1, 2, 1}).y);
  EXPECT_FALSE(first == noise<float>(pass, 1).y);
  EXPECT_TRUE(first == noise<double>(pass).y.cast<float>() ||
              (first - noise<double>(pass).y.cast<float>()).cwiseAbs().maxCoeff() < 1e-6f)
      << "double and float see the same noise";
  for (const int threads : {1, 2, 3}) {
    const WithThreads guard(threads);
    EXPECT_TRUE(first == noise<float>(pass).y) << threads;
  }
}

TEST(ActivationNoise, TakesItsConstants) {
  const NoiseOptions none{0, 1, 0, 0};
  EXPECT_TRUE((noise<double>({Mode::train, 1, 2}, 0, none).y.array() == 1).all());
  const NoiseOptions units{0.25, 3, 0, 0};
  const auto run = noise<double>({Mode::train, 1, 2}, 0, units);
  for (Index unit = 0; unit < kShape.channels; ++unit)
    EXPECT_TRUE((run.y.col(unit).array() == run.y(0, unit)).all()) << "the same for all elements of a unit";
  EXPECT_LE((run.y - run.dx).cwiseAbs().maxCoeff(), 0.25);
  EXPECT_GT(run.dx.maxCoeff(), 2);
}

}  // namespace
}  // namespace gradscape::testing
