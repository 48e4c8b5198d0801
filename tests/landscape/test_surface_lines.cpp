// Numbers of lines, by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradscape/landscape/surface_lines.hpp"

namespace gradscape::testing {
namespace {

TEST(SurfaceLines, BarriersByHand) {
  const std::vector<double> x = {-0.5, 0, 0.5, 1, 1.5};
  const LineSummary found = summarise_line(x, {9, 1, 4, 2, 9});
  EXPECT_EQ(found.barrier, 2.5) << "4 over the chord's 1.5";
  EXPECT_EQ(found.monotonicity, 3) << "from 1 to 4";
  EXPECT_EQ(summarise_line(x, {0, 3, 2, 1, 0}).monotonicity, 0);
  EXPECT_TRUE(std::isnan(summarise_line(x, {0, 3, std::nan(""), 1, 0}).barrier));
  EXPECT_TRUE(std::isnan(summarise_line({0, 0.5}, {1, 1}).barrier)) << "1 is no point";
}

TEST(SurfaceLines, WhereTheLossDoublesByHand) {
  const std::vector<double> x = {-1, -0.5, 0, 0.5, 1};
  const DoublingRange range = find_doubling(x, {8.5, 1.5, 1, 1.5, 2.5}, 1);
  EXPECT_DOUBLE_EQ(range.above, 0.75) << "half way from 1.5 to 2.5";
  EXPECT_DOUBLE_EQ(range.below, -0.5 - 0.5 * 0.5 / 7);
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  EXPECT_EQ(find_doubling(x, {1, 1, 1, infinity, 1}, 1).above, 0.5);
  EXPECT_TRUE(std::isnan(find_doubling(x, {1, 1, 1, infinity, 1}, 1).below)) << "never";
  EXPECT_TRUE(std::isnan(find_doubling(x, {1, 1, 1, nan, 3}, 1).above)) << "perhaps before";
  EXPECT_DOUBLE_EQ(find_doubling({-0.3, 0.1}, {3, 3}, 1).above, 0.05) << "the centre is no point of the line";
}

}  // namespace
}  // namespace gradscape::testing
