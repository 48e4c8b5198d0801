#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <stdexcept>
#include <vector>

#include "gradscape/core/rng.hpp"

namespace gradscape {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The three vectors for philox4x32-10 of Random123's tests/kat_vectors. A counter (c0, c1, c2, c3) is index c1:c0, step
// c2 and purpose and stream c3; a key (k0, k1) is the seed k1:k0.
TEST(RandomSource, KnownAnswers) {
  EXPECT_EQ(RandomSource(0, Purpose{0}, 0, 0).words(0), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(RandomSource(~std::uint64_t{0}, Purpose{0xff}, 0xffffff, 0xffffffff).words(~std::uint64_t{0}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(RandomSource(0x299f31d0a4093822, Purpose{0x03}, 0x707344, 0x13198a2e).words(0x85a308d3243f6a88),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomSource, EveryPartOfTheAddressMatters) {
  const std::uint64_t high = std::uint64_t{1} << 32;
  std::set<Words> seen;
  for (const std::uint64_t seed : {std::uint64_t{1}, std::uint64_t{2}, 1 + high})
    for (const Purpose purpose : {Purpose::init, Purpose::order, Purpose::dropout})
      for (const std::uint32_t stream : {0u, 1u, 0xffffffu})
        for (const std::uint32_t step : {0u, 1u, 0xffffffffu})
          for (const std::uint64_t index : {std::uint64_t{0}, std::uint64_t{1}, high})
            seen.insert(RandomSource(seed, purpose, stream, step).words(index));
  EXPECT_EQ(seen.size(), 243u);
}

TEST(RandomSource, StreamsHave24Bits) {
  EXPECT_NO_THROW(RandomSource(1, Purpose::init, (1u << 24) - 1));
  EXPECT_THROW(RandomSource(1, Purpose::init, 1u << 24), std::logic_error);
}

constexpr std::uint64_t kDraws = 200'000;

TEST(RandomSource, UniformIsUniform) {
  const RandomSource source(42, Purpose::synthetic, 3, 1);
  constexpr int kBins = 64;
  std::array<double, kBins> bins{};
  double sum = 0, neighbours = 0, last = 0.5;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double u = source.uniform(i);
    ASSERT_TRUE(u >= 0 && u < 1);
    ++bins[static_cast<std::size_t>(u * kBins)];
    sum += u;
    neighbours += (u - 0.5) * (last - 0.5);
    last = u;
  }
  const auto n = static_cast<double>(kDraws);
  EXPECT_NEAR(sum / n, 0.5, 5 / std::sqrt(12 * n));
  EXPECT_NEAR(neighbours / n, 0, 5 / (12 * std::sqrt(n)));
  double chi_square = 0;
  for (const double count : bins) chi_square += (count - n / kBins) * (count - n / kBins) / (n / kBins);
  EXPECT_NEAR(chi_square, kBins - 1, 5 * std::sqrt(2.0 * (kBins - 1)));
}

TEST(RandomSource, UniformHas53Bits) {
  const RandomSource source(42, Purpose::synthetic);
  const auto w = source.words(7);
  const std::uint64_t word = (static_cast<std::uint64_t>(w[1]) << 32) | w[0];
  EXPECT_EQ(source.uniform(7), std::ldexp(static_cast<double>(word >> 11), -53));
}

TEST(RandomSource, NormalIsNormal) {
  const RandomSource source(42, Purpose::init);
  double moments[5] = {};
  double inside_one = 0, beyond_three = 0, neighbours = 0, last = 0;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double z = source.normal(i);
    ASSERT_TRUE(std::isfinite(z));
    for (int k = 1; k < 5; ++k) moments[k] += std::pow(z, k);
    inside_one += std::abs(z) < 1 ? 1 : 0;
    beyond_three += std::abs(z) > 3 ? 1 : 0;
    neighbours += z * last;
    last = z;
  }
  // Moments 0, 1, 0, 3, with variances 1, 2, 15, 96 of their terms; shares from the error function.
  const auto n = static_cast<double>(kDraws);
  EXPECT_NEAR(moments[1] / n, 0, 5 * std::sqrt(1 / n));
  EXPECT_NEAR(moments[2] / n, 1, 5 * std::sqrt(2 / n));
  EXPECT_NEAR(moments[3] / n, 0, 5 * std::sqrt(15 / n));
  EXPECT_NEAR(moments[4] / n, 3, 5 * std::sqrt(96 / n));
  EXPECT_NEAR(neighbours / n, 0, 5 * std::sqrt(1 / n));
  const double one = std::erf(1 / std::sqrt(2.0)), three = std::erfc(3 / std::sqrt(2.0));
  EXPECT_NEAR(inside_one / n, one, 5 * std::sqrt(one * (1 - one) / n));
  EXPECT_NEAR(beyond_three / n, three, 5 * std::sqrt(three / n));
}

TEST(RandomSource, BelowIsUniformInItsRange) {
  const RandomSource source(42, Purpose::order, 0, 9);
  for (const std::uint32_t bound : {1u, 2u, 7u, 1000u}) {
    std::vector<double> counts(bound);
    for (std::uint64_t i = 0; i < kDraws; ++i) {
      const auto value = source.below(bound, i);
      ASSERT_LT(value, bound);
      ++counts[value];
    }
    const double expected = static_cast<double>(kDraws) / bound;
    double chi_square = 0;
    for (const double count : counts) chi_square += (count - expected) * (count - expected) / expected;
    EXPECT_NEAR(chi_square, bound - 1.0, 5 * std::sqrt(2.0 * bound) + 1e-9) << "bound " << bound;
  }
  EXPECT_GT(source.below(0xffffffffu, 1), 0u);
}

}  // namespace
}  // namespace gradscape
