#include <gtest/gtest.h>

#include <limits>

#include "gradscape/core/number.hpp"

namespace gradscape::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Range, EndsAreOpenOrClosed) {
  const Range closed{0, 1};
  const Range open{0, 1, true, true};
  for (const double end : {0.0, 1.0}) {
    EXPECT_TRUE(closed.contains(end));
    EXPECT_FALSE(open.contains(end));
  }
  for (const Range& range : {closed, open}) {
    EXPECT_TRUE(range.contains(0.5));
    EXPECT_FALSE(range.contains(-0.1));
    EXPECT_FALSE(range.contains(1.1));
    EXPECT_FALSE(range.contains(kNan)) << "NaN lies in no range";
  }
  EXPECT_TRUE(open.contains(5e-324));
  const Range positive{0, kInfinity, true, true};
  EXPECT_TRUE(positive.contains(std::numeric_limits<double>::max()));
  EXPECT_FALSE(positive.contains(kInfinity));
  EXPECT_EQ(closed.text(), ">= 0 and <= 1");
  EXPECT_EQ(open.text(), "> 0 and < 1");
  EXPECT_EQ(positive.text(), "> 0");
  EXPECT_EQ((Range{-kInfinity, 3}).text(), "<= 3");
  EXPECT_EQ((Range{-kInfinity, kInfinity, true, true}).text(), "finite");
}

}  // namespace
}  // namespace gradscape::testing
