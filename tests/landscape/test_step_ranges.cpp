#include <gtest/gtest.h>

#include <set>

#include "gradscape/landscape/step_ranges.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

using Ranges = std::vector<StepRange>;

std::set<std::int64_t> selected(const SweepOptions& options, std::int64_t total) {
  std::set<std::int64_t> steps;
  for (std::int64_t step = 0; step <= total + 5; ++step)
    if (is_selected(options, step, total)) steps.insert(step);
  return steps;
}

TEST(StepRanges, AreReadFromText) {
  EXPECT_EQ(parse_step_ranges("0:20:1,40:400:20", "x"), (Ranges{{0, 20, 1}, {40, 400, 20}}));
  EXPECT_EQ(parse_step_ranges("::5", "x"), (Ranges{{0, -1, 5}}));
  EXPECT_EQ(parse_step_ranges("3:end", "x"), (Ranges{{3, -1, 1}}));
  EXPECT_EQ(parse_step_ranges("7,9:", "x"), (Ranges{{7, 7, 1}, {9, -1, 1}}));
  EXPECT_EQ(parse_step_ranges("", "x"), (Ranges{{0, -1, 1}}));
}

TEST(StepRanges, NameWhatIsWrong) {
  expect_error([] { parse_step_ranges("0-200", "--steps"); }, {"--steps", "0-200", "first:last:every"});
  expect_error([] { parse_step_ranges("1:2:3:4", "--steps"); }, {"more than three parts"});
  expect_error([] { parse_step_ranges("0:a", "--steps"); }, {"\"a\"", "last step"});
  expect_error([] { parse_step_ranges("0:9:0", "--steps"); }, {"interval is 0", "1 or more"});
  expect_error([] { parse_step_ranges("5:3", "--steps"); }, {"3", "5"});
}

TEST(StepRanges, SelectWhatTheySay) {
  SweepOptions options;
  set_step_ranges({{0, 4, 2}, {9, -1, 3}}, options);
  EXPECT_EQ(options.steps, "0:4:2,9:end:3");
  EXPECT_EQ(selected(options, 16), (std::set<std::int64_t>{0, 2, 4, 9, 12, 15}));
  EXPECT_EQ(last_step(options, 16), 16);
  set_step_ranges({{3, 8, 5}}, options);
  EXPECT_EQ(options.steps, "") << "one range needs no list";
  EXPECT_EQ(selected(options, 16), (std::set<std::int64_t>{3, 8}));
}

TEST(StepRanges, EndsAreInclusive) {
  SweepOptions options;
  options.first = 3;
  options.last = 9;
  options.every = 3;
  EXPECT_EQ(last_step(options, 20), 9);
  std::vector<std::int64_t> probed;
  for (std::int64_t step = 0; step <= 20; ++step)
    if (is_selected(options, step, 20)) probed.push_back(step);
  EXPECT_EQ(probed, (std::vector<std::int64_t>{3, 6, 9}));
  options.last = 8;
  EXPECT_FALSE(is_selected(options, 9, 20));
}

TEST(StepRanges, MinusOneIsTheStepAfterTheLastUpdate) {
  SweepOptions options;
  options.every = 100;
  ASSERT_EQ(options.last, -1);
  EXPECT_EQ(last_step(options, 15000), 15000);
  int count = 0;  // Santurkar et al.: 151 records of 15 000 steps
  for (std::int64_t step = 0; step <= 15000; ++step) count += is_selected(options, step, 15000) ? 1 : 0;
  EXPECT_EQ(count, 151);
  options.every = 7;
  EXPECT_FALSE(is_selected(options, 15000, 15000)) << "15000 is no multiple of 7";
}

// Against the sets of steps themselves, for all pairs of some twenty ranges.
TEST(StepRanges, UnionsHoldTheStepsOfBoth) {
  Ranges all;
  for (const std::int64_t first : {0, 1, 4})
    for (const std::int64_t last : {-1, 4, 12})
      for (const std::int64_t every : {1, 2, 4})
        if (last < 0 || last >= first) all.push_back({first, last, every});
  for (const StepRange& a : all)
    for (const StepRange& b : all) {
      SweepOptions one, other, both;
      set_step_ranges({a}, one);
      set_step_ranges({b}, other);
      const Ranges united = unite({a}, {b});
      set_step_ranges(united, both);
      auto expected = selected(one, 20);
      expected.merge(selected(other, 20));
      EXPECT_EQ(selected(both, 20), expected);
      if (a == b) {
        EXPECT_EQ(united.size(), 1U);
      }
    }
  EXPECT_EQ(unite({{0, -1, 1}}, {{3, 9, 2}}), (Ranges{{0, -1, 1}})) << "what lies in another is left out";
  EXPECT_EQ(unite({{0, 20, 1}}, {{0, 40, 1}}), (Ranges{{0, 40, 1}}));
}

}  // namespace
}  // namespace gradscape::testing
