#include <gtest/gtest.h>

#include "gradscape/core/named_table.hpp"

namespace gradscape {
namespace {

TEST(NamedTable, KeepsItsOrderAndFindsEachName) {
  const NamedTable<int> table("colour", {{"red", 3}, {"blue", 1}, {"green", 2}});
  EXPECT_EQ(table.names(), (std::vector<std::string>{"red", "blue", "green"}));
  EXPECT_EQ(table.find("blue"), 1);
  EXPECT_EQ(table.find("green"), 2);
}

TEST(NamedTable, AnUnknownNameIsAnInternalError) {
  const NamedTable<int> table("colour", {{"red", 3}});
  try {
    table.find("re");
    FAIL();
  } catch (const std::logic_error& error) {
    EXPECT_STREQ(error.what(), "no colour named re");
  }
}

}  // namespace
}  // namespace gradscape
