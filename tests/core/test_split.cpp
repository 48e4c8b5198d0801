#include <gtest/gtest.h>

#include "gradscape/core/split.hpp"

namespace gradscape {
namespace {

using Parts = std::vector<std::string>;

TEST(Split, AtEachSeparator) {
  EXPECT_EQ(split("a:b::c", ':'), (Parts{"a", "b", "", "c"}));
  EXPECT_EQ(split("", ':'), Parts{""});
}

TEST(Split, ListsAsPeopleWriteThem) {
  for (const char* text :
       {"0.5,1,2", "0.5, 1, 2", "[0.5, 1, 2]", " [ 0.5 ,1,2 ] ", "0.5 1 2", "[0.5 1  2]", "0.5\t1 2 "})
    EXPECT_EQ(split_list(text), (Parts{"0.5", "1", "2"})) << text;
  EXPECT_EQ(split_list("['shift', \"theorem\"]"), (Parts{"shift", "theorem"}));
  EXPECT_EQ(split_list("7"), Parts{"7"});
  EXPECT_EQ(split_list("[]"), Parts{});
}

TEST(Split, WhatIsNoListHasElementsThatAreNone) {
  EXPECT_EQ(split_list("1,,2"), (Parts{"1", "", "2"}));
  EXPECT_EQ(split_list("1 2, 3"), (Parts{"1 2", "3"}));
  EXPECT_EQ(split_list("[1, 2"), (Parts{"[1", "2"}));
  EXPECT_EQ(split_list(""), Parts{""});
}

}  // namespace
}  // namespace gradscape
