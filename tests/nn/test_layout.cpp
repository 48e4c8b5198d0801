#include <gtest/gtest.h>

#include <stdexcept>

#include "gradscape/nn/layout.hpp"

namespace gradscape {
namespace {

TEST(Layout, PartsFollowOneAnother) {
  Layout layout;
  EXPECT_EQ(layout.size(), 0);
  EXPECT_EQ(layout.add("a", {2, 3, 4}), 0);
  EXPECT_EQ(layout.add("scalar", {}, true), 24);
  EXPECT_EQ(layout.add("b", {5}), 25);
  EXPECT_EQ(layout.size(), 30);
  const Part& scalar = layout.parts()[1];
  EXPECT_EQ(scalar.name, "scalar");
  EXPECT_TRUE(scalar.shape.empty());
  EXPECT_EQ(scalar.size, 1);
  EXPECT_TRUE(scalar.integer);
  EXPECT_FALSE(layout.parts()[2].integer);
}

TEST(Layout, ANameIsUsedOnce) {
  Layout layout;
  layout.add("a", {1});
  EXPECT_THROW(layout.add("a", {2}), std::logic_error);
}

}  // namespace
}  // namespace gradscape
