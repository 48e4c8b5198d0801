#include <gtest/gtest.h>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

TEST(Error, SaysWhereWhatAndHow) {
  EXPECT_STREQ(Error("file.bin", "too short").what(), "file.bin: too short");
  EXPECT_STREQ(Error("file.bin", "too short", "fetch it again").what(), "file.bin: too short\n  hint: fetch it again");
  EXPECT_STREQ(Error("", "no place").what(), "no place");
}

TEST(Error, CarriesTheExitCode) {
  EXPECT_EQ(static_cast<int>(Error("a", "b").exit_code()), 1);
  EXPECT_EQ(static_cast<int>(Error("a", "b", "", ExitCode::interrupted).exit_code()), 130);
  EXPECT_EQ(static_cast<int>(Error("a", "b", "", ExitCode::preempted).exit_code()), 75);
  EXPECT_EQ(static_cast<int>(UsageError("--threads", "0 is too small").exit_code()), 2);
  EXPECT_STREQ(UsageError("--threads", "0", "1 or more").what(), "--threads: 0\n  hint: 1 or more");
}

TEST(Error, OneCatchTakesAllOfThem) {
  EXPECT_THROW(throw UsageError("a", "b"), Error);
  EXPECT_THROW(throw Error("a", "b"), std::runtime_error);
}

TEST(Error, QuotesTwoHundredBytesOfAValue) {
  EXPECT_EQ(abridge("short"), "short");
  const std::string whole(200, 'a');
  EXPECT_EQ(abridge(whole), whole);
  EXPECT_EQ(abridge(whole + "b"), whole + "…");
  // A character of two, three or four bytes is not cut.
  for (const std::string character : {"ä", "漢", "🙂"})
    for (std::size_t before = 196; before < 200; ++before) {
      const std::string text = std::string(before, 'a') + character + std::string(100, 'b');
      const std::size_t kept = before + character.size() <= 200 ? 200 : before;
      EXPECT_EQ(abridge(text), text.substr(0, kept) + "…");
    }
}

TEST(Error, APlaceLongerThanAnyPathIsQuotedToo) {
  const std::string path(3000, 'a');
  EXPECT_EQ(Error(path, "no").what(), path + ": no");
  EXPECT_EQ(Error(std::string(100000, 'a'), "no").what(), std::string(200, 'a') + "…: no");
}

TEST(Check, NamesThePlaceOfAnInternalMistake) {
  EXPECT_NO_THROW(check(true, "fine"));
  const int line = __LINE__ + 2;
  try {
    check(false, "a thing that cannot be");
    FAIL() << "nothing thrown";
  } catch (const std::logic_error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("test_error.cpp:" + std::to_string(line)), std::string::npos) << text;
    EXPECT_NE(text.find("a thing that cannot be"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace gradscape
