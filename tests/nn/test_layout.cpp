#include <gtest/gtest.h>

#include <stdexcept>

#include "gradscape/nn/layout.hpp"

namespace gradscape {
namespace {

TEST(Layout, PartsFollowOneAnother) {
  Layout layout;
  EXPECT_EQ(layout.size(), 0);
  EXPECT_EQ(layout.add("a", "weight", {2, 3, 4}, Role::weight), 0);
  EXPECT_EQ(layout.add("a", "count", {}, Role::statistic, true), 24);
  EXPECT_EQ(layout.add("b", "weight", {5}, Role::scale), 25);
  EXPECT_EQ(layout.size(), 30);
  const Part& scalar = layout.parts()[1];
  EXPECT_EQ(scalar.name, "a.count");
  EXPECT_EQ(scalar.layer, "a");
  EXPECT_EQ(scalar.role, Role::statistic);
  EXPECT_TRUE(scalar.shape.empty());
  EXPECT_EQ(scalar.size, 1);
  EXPECT_TRUE(scalar.integer);
  EXPECT_FALSE(layout.parts()[2].integer);
}

TEST(Layout, ANameIsUsedOnce) {
  Layout layout;
  layout.add("a", "weight", {1}, Role::weight);
  EXPECT_THROW(layout.add("a", "weight", {2}, Role::bias), std::logic_error);
}

}  // namespace
}  // namespace gradscape
