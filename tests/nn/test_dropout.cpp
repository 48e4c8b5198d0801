#include <gtest/gtest.h>

#include "gradscape/nn/activation.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"
#include "support/layer_run.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kShape{4, 4, 32};
constexpr Index kSamples = 200;  // 102,400 elements, several chunks

/// x = dy = 1: y is the mask over (1 − rate), and so is dx.
template <class S>
LayerRun<S> mask(double rate, const Pass& pass, std::uint32_t ordinal = 0) {
  Dropout<S> layer(kShape, rate, ordinal);
  const Matrix<S> ones = Matrix<S>::Ones(kSamples * kShape.pixels(), kShape.channels);
  return run_layer<S>(layer, pass, {}, {}, ones, ones);
}

template <class S>
class DropoutOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DropoutOf, Scalars);

TYPED_TEST(DropoutOf, IsTheIdentityInEvaluationModeAtRateZeroAndWhereNothingIsRandom) {
  using S = TypeParam;
  for (const auto& [rate, pass] :
       {std::pair{0.5, Pass{Mode::evaluation, 1, 2}}, std::pair{0.0, Pass{Mode::train, 1, 2}},
        std::pair{0.5, Pass{.seed = 1, .step = 2, .random = false}}}) {
    const auto run = mask<S>(rate, pass);
    EXPECT_TRUE((run.y.array() == S{1}).all());
    EXPECT_TRUE((run.dx.array() == S{1}).all());
  }
}

TYPED_TEST(DropoutOf, KeepsTheRightShareAndScalesIt) {
  using S = TypeParam;
  for (const double rate : {0.1, 0.5, 0.9}) {
    const auto run = mask<S>(rate, {Mode::train, 1, 2});
    const S kept = static_cast<S>(1.0 / (1.0 - rate));
    EXPECT_TRUE((run.y.array() == S{0} || run.y.array() == kept).all());
    const auto n = static_cast<double>(run.y.size());
    const auto dropped = static_cast<double>((run.y.array() == S{0}).count());
    EXPECT_NEAR(dropped / n, rate, 5 * std::sqrt(rate * (1 - rate) / n));
    EXPECT_TRUE((run.dx.array() == run.y.array()).all()) << "backward has forward's mask";
    // Neighbours (the four words of one counter, two rows) are independent: both dropped at rate².
    for (const Index lag : {Index{1}, Index{2}, Index{4}, kShape.channels}) {
      double both = 0;
      for (Index i = 0; i + lag < run.y.size(); ++i)
        both += run.y.data()[i] == S{0} && run.y.data()[i + lag] == S{0} ? 1 : 0;
      EXPECT_NEAR(both / n, rate * rate, 5 * std::sqrt(rate * rate / n)) << "lag " << lag;
    }
  }
}

TYPED_TEST(DropoutOf, MaskIsAFunctionOfSeedStepAndOrdinalAlone) {
  using S = TypeParam;
  const auto first = mask<S>(0.5, {Mode::train, 1, 2}, 0).y;
  EXPECT_TRUE(first == mask<S>(0.5, {Mode::train, 1, 2}, 0).y);
  const auto agreement = [&](const Matrix<S>& other) {
    return static_cast<double>((first.array() == other.array()).count()) / static_cast<double>(first.size());
  };
  // Independent masks of rate 1/2 agree at half of the places.
  const double tolerance = 5 * std::sqrt(0.25 / static_cast<double>(first.size()));
  EXPECT_NEAR(agreement(mask<S>(0.5, {Mode::train, 3, 2}, 0).y), 0.5, tolerance) << "seed";
  EXPECT_NEAR(agreement(mask<S>(0.5, {Mode::train, 1, 3}, 0).y), 0.5, tolerance) << "step";
  EXPECT_NEAR(agreement(mask<S>(0.5, {Mode::train, 1, 2}, 1).y), 0.5, tolerance) << "ordinal";
  compare_thread_counts(
      [] {
        return mask<S>(0.5, {Mode::train, 1, 2}).y;
      },
      [](int, const auto& one, const auto& many) { EXPECT_TRUE(one == many); });
}

TEST(Dropout, FloatAndDoubleHaveTheSameMask) {
  const Pass pass{Mode::train, 1, 2};
  EXPECT_TRUE(((mask<float>(0.3, pass).y.array() == 0) == (mask<double>(0.3, pass).y.array() == 0)).all());
}

}  // namespace
}  // namespace gradscape::testing
