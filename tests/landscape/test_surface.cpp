// What a surface consists of, and how its points become what people read.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "gradscape/landscape/surface.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

using Kind = SurfacePoint::Kind;

TEST(Surface, AxesHaveExactEndsAndAnExactCentre) {
  const auto x = parse_surface_axis("-1:1:51", "--xlim").values();
  EXPECT_EQ(x.front(), -1);
  EXPECT_EQ(x.back(), 1);
  EXPECT_EQ(x[25], 0);
  const auto y = parse_surface_axis("0:0.3:4", "--ylim").values();  // fault 2: a limit of zero
  EXPECT_EQ(y.front(), 0);
  EXPECT_EQ(y.back(), 0.3);
  EXPECT_EQ(parse_surface_axis(parse_surface_axis("-0.1:0.7:9", "").text(), ""), parse_surface_axis("-0.1:0.7:9", ""));
}

TEST(Surface, WhatIsNoAxisIsRefused) {
  expect_error<UsageError>([&] { (void)parse_surface_axis("-1:1", "--xlim"); }, {"--xlim", "first:last:points"});
  expect_error<UsageError>([&] { (void)parse_surface_axis("-1:1:1", "--xlim"); }, {"--xlim", "two or more"});
  expect_error<UsageError>([&] { (void)parse_surface_axis("1:1:5", "--xlim"); }, {"no interval"});
  expect_error<UsageError>([&] { (void)parse_surface_axis("0:nan:5", "--xlim"); }, {"no axis"});
  expect_error<UsageError>([&] { (void)parse_surface_direction("grad", "--x"); }, {"--x", "gradient"});
  expect_error<UsageError>([&] { (void)parse_surface_direction("pca:3", "--x"); }, {"--x", "pca:1"});
}

TEST(Surface, OptionsThatDoNotGoTogetherAreRefused) {
  const auto refused = [](auto&& set, const char* words) {
    SurfaceOptions options;
    set(options);
    expect_error<UsageError>([&] { check_surface(options, "file.toml"); }, {"file.toml", words});
  };
  refused([](SurfaceOptions& o) { o.ylim = "-1:1:5"; }, "without surface.y");
  refused([](SurfaceOptions& o) { o.through = "1,2"; }, "three networks");
  refused([](SurfaceOptions& o) { o.through = "1,2,3", o.y = "random"; }, "both axes");
  refused([](SurfaceOptions& o) { o.x = "gradient", o.repeats = 2; }, "random directions");
  refused([](SurfaceOptions& o) { o.x = o.y = "pca:1"; }, "same component");
  refused([](SurfaceOptions& o) { o.batch_norm = "moved"; }, "to:");
}

/// The centre first; every point once; after each round of strides the points seen are a whole coarser grid.
TEST(Surface, PointsGoFromCoarseToFine) {
  const auto points = surface_points(9, 5, 1, 2);
  ASSERT_EQ(points.size(), 1U + 45U + 4U);
  EXPECT_EQ(points.front().kind, Kind::centre);
  std::set<std::pair<std::size_t, std::size_t>> seen;
  for (std::size_t i = 1; i <= 45; ++i) {
    EXPECT_EQ(points[i].kind, Kind::cell);
    seen.insert({points[i].x, points[i].y});
    if (i == 2) {
      EXPECT_EQ(seen, (std::set<std::pair<std::size_t, std::size_t>>{{0, 0}, {8, 0}}));
    }
    if (i == 6) {
      EXPECT_EQ(seen, (std::set<std::pair<std::size_t, std::size_t>>{{0, 0}, {4, 0}, {8, 0}, {0, 4}, {4, 4}, {8, 4}}));
    }
    if (i == 15) {  // stride 2: 5 by 3
      for (const auto& [x, y] : seen) EXPECT_TRUE(x % 2 == 0 && y % 2 == 0);
    }
  }
  EXPECT_EQ(seen.size(), 45U);
  EXPECT_EQ(points[46].kind, Kind::checkpoint);
  EXPECT_EQ(points[47].kind, Kind::projection);
  EXPECT_EQ(points[49].checkpoint, 1U);
}

/// A surface of so many points with loss a + 10b, all done but those left out.
Table points_table(std::size_t xs, std::size_t ys, const std::set<std::size_t>& left_out) {
  Table table = surface_points_schema({ys > 0, false, false});
  table.dimension("repeat").values = {0};
  for (std::size_t i = 0; i < xs; ++i) table.dimension("x").values.push_back(static_cast<double>(i));
  for (std::size_t i = 0; i < ys; ++i) table.dimension("y").values.push_back(static_cast<double>(i));
  std::erase_if(table.variables, [&](const Variable& v) { return !table.by_row(v) && v.name != "x_norm"; });
  table.variable("x_norm").values = {2};
  const auto points = surface_points(xs, std::max<std::size_t>(1, ys), 1, 0);
  for (std::size_t key = 0; key < points.size(); ++key) {
    if (left_out.contains(key)) continue;
    const auto a = static_cast<double>(points[key].x), b = static_cast<double>(points[key].y);
    for (Variable& variable : table.variables) {
      if (!table.by_row(variable)) continue;
      variable.values.push_back(variable.name == "loss" ? a + 10 * b : variable.name == "status" ? 1 : 0);
    }
    table.dimensions.front().values.push_back(static_cast<double>(key));
  }
  return table;
}

/// Fault 1: 3 by 5 with L = a + 10b is not transposed.
TEST(Surface, UnfoldedGridsAreNotTransposed) {
  const Table surface = unfold_surface(points_table(5, 3, {7}));
  const Variable &loss = surface.variable("loss"), &status = surface.variable("status");
  EXPECT_EQ(loss.dimensions, (std::vector<std::string>{"repeat", "y", "x"}));
  const auto hole = surface_points(5, 3, 1, 0)[7];
  for (std::size_t y = 0; y < 3; ++y)
    for (std::size_t x = 0; x < 5; ++x) {
      const bool done = x != hole.x || y != hole.y;
      EXPECT_EQ(status.values[y * 5 + x], done ? 1 : 0);
      if (done)
        EXPECT_EQ(loss.values[y * 5 + x], static_cast<double>(x) + 10 * static_cast<double>(y));
      else
        EXPECT_TRUE(std::isnan(loss.values[y * 5 + x]));
    }
  EXPECT_EQ(surface.variable("centre_loss").values, std::vector<double>{0});
}

TEST(Surface, DecimalLimitsKeepTheirEndsAndWholePlaces) {
  for (int tenths = -20; tenths < 0; ++tenths)
    for (int other = 11; other <= 30; ++other) {
      const SurfaceAxis axis{tenths / 10.0, other / 10.0, other - tenths + 1};
      const auto x = axis.values();
      EXPECT_EQ(x.front(), axis.first);
      EXPECT_EQ(x.back(), axis.last);
      EXPECT_EQ(x[static_cast<std::size_t>(-tenths)], 0);
      EXPECT_EQ(x[static_cast<std::size_t>(10 - tenths)], 1);
      EXPECT_TRUE(std::is_sorted(x.begin(), x.end()));
    }
}

TEST(Surface, LinesHaveNoYAndTellTheirBarrier) {
  const Table line = unfold_surface(points_table(4, 0, {}));
  EXPECT_EQ(line.variable("loss").dimensions, (std::vector<std::string>{"repeat", "x"}));
  EXPECT_EQ(line.variable("loss").values, (std::vector<double>{0, 1, 2, 3}));
  EXPECT_EQ(line.variable("barrier").values, std::vector<double>{0}) << "a chord has none";
  EXPECT_EQ(line.variable("monotonicity").values, std::vector<double>{1});
}

TEST(Surface, RowsBeyondTheGridAreDamage) {
  Table table = points_table(5, 3, {});
  EXPECT_NO_THROW(check_surface_points(table, "file"));
  table.dimension("x").values.pop_back();
  EXPECT_THROW(check_surface_points(table, "file"), Error);
}

}  // namespace
}  // namespace gradscape::testing
