#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "gradscape/core/vector_math.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

template <class S>
class VectorMath : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(VectorMath, Scalars);

/// Values that are no short multiples of anything, so that products and sums round.
template <class S>
Vector<S> long_values(Index size, std::uint32_t seed) {
  return hash_values<S>(size, seed).unaryExpr([](S v) {
    return static_cast<S>(std::sin(100.0 * static_cast<double>(v)));
  });
}

// Error of a sum of n terms in double with eight lanes per chunk: at most about n/8·eps of Σ|terms|, in practice far
// less; 1e-14 of Σ|terms| leaves no room for single precision or for a lost element.
TYPED_TEST(VectorMath, NormsAndDotProductsAreThoseOfLongDouble) {
  using S = TypeParam;
  for (const Index size : {1, 7, 8, 9, 1000, 16384, 16385, 100003}) {
    SCOPED_TRACE(size);
    const auto a = long_values<S>(size, 1), b = long_values<S>(size, 2);
    long double square = 0, difference = 0, product = 0, magnitude = 0;
    for (Index i = 0; i < size; ++i) {
      const long double x = a[i], y = b[i];
      square += x * x;
      difference += (x - y) * (x - y);
      product += x * y;
      magnitude += std::abs(x * y);
    }
    EXPECT_NEAR(norm(a), static_cast<double>(std::sqrt(square)), 1e-14 * norm(a));
    EXPECT_NEAR(distance(a, b), static_cast<double>(std::sqrt(difference)), 1e-14 * distance(a, b));
    EXPECT_NEAR(dot(a, b), static_cast<double>(product), 1e-14 * static_cast<double>(magnitude));
    EXPECT_EQ(distance(a, a), 0);
    EXPECT_NEAR(dot(a, a), norm(a) * norm(a), 1e-14 * dot(a, a));
  }
}

// Where squares would overflow or vanish in float.
TEST(VectorMath, SumsAreInDouble) {
  EXPECT_DOUBLE_EQ(norm<float>(Vector<float>::Constant(4, 1e30f)), 2 * static_cast<double>(1e30f));
  EXPECT_DOUBLE_EQ(norm<float>(Vector<float>::Constant(4, 1e-30f)), 2 * static_cast<double>(1e-30f));
  // 2^24 + 1 ones in float would stick at 2^24.
  EXPECT_DOUBLE_EQ(dot<float>(Vector<float>::Ones((1 << 24) + 1), Vector<float>::Ones((1 << 24) + 1)), (1 << 24) + 1);
}

TYPED_TEST(VectorMath, AddScaledRoundsAfterEachOperation) {
  using S = TypeParam;
  const Index size = 40003;
  const auto a = long_values<S>(size, 1), b = long_values<S>(size, 2);
  const double scale = -0.1;  // not a float: rounded to S first
  Vector<S> out;
  add_scaled(a, scale, b, out);
  ASSERT_EQ(out.size(), size);
  for (Index i = 0; i < size; ++i) {
    volatile S product = static_cast<S>(scale) * b[i];
    volatile S sum = a[i] + product;
    ASSERT_EQ(out[i], static_cast<S>(sum)) << i;
  }
}

TYPED_TEST(VectorMath, BitsDoNotDependOnThreads) {
  using S = TypeParam;
  const auto a = long_values<S>(200003, 1), b = long_values<S>(200003, 2);
  compare_thread_counts(
      [&] {
        Vector<S> sum;
        add_scaled(a, 0.3, b, sum);
        return std::pair{Vector<double>{{norm(a), distance(a, b), dot(a, b)}}, sum};
      },
      [](int threads, const auto& one, const auto& many) {
        EXPECT_TRUE(same_bits(one.first, many.first)) << threads;
        EXPECT_TRUE(same_bits(one.second, many.second)) << threads;
      });
}

TYPED_TEST(VectorMath, NonFiniteValuesShow) {
  using S = TypeParam;
  Vector<S> a = long_values<S>(100, 1);
  a[57] = std::numeric_limits<S>::infinity();
  EXPECT_EQ(norm(a), std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(distance(a, a)));
  a[58] = std::numeric_limits<S>::quiet_NaN();
  EXPECT_TRUE(std::isnan(norm(a)));
}

TYPED_TEST(VectorMath, EmptyVectorsAndUnequalSizes) {
  using S = TypeParam;
  const Vector<S> none, one = Vector<S>::Ones(1), two = Vector<S>::Ones(2);
  EXPECT_EQ(norm(none), 0);
  EXPECT_EQ(dot(none, none), 0);
  Vector<S> out = two;
  add_scaled(none, 1, none, out);
  EXPECT_EQ(out.size(), 0);
  EXPECT_THROW(distance(one, two), std::logic_error);
  EXPECT_THROW(dot(one, two), std::logic_error);
  EXPECT_THROW(add_scaled(one, 1, two, out), std::logic_error);
}

TEST(VectorMath, ComparisonIsNormDistanceAndDotInOnePass) {
  for (const Index size : {1, 7, 8, 16384, 50003}) {
    Vector<double> a(size), b(size);
    for (Index i = 0; i < size; ++i) {
      a[i] = static_cast<double>(i * 37 % 101) - 50;
      b[i] = static_cast<double>(i * 53 % 89) - 40;
    }
    const Comparison found = compare(a, b);
    // Sums of whole numbers below 2^53: exact in any order.
    EXPECT_EQ(found.norm, norm(a)) << size;
    EXPECT_EQ(found.distance, distance(a, b)) << size;
    EXPECT_EQ(found.dot, dot(a, b)) << size;
  }
}

}  // namespace
}  // namespace gradscape::testing
