#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gradscape/host/console.hpp"
#include "gradscape/host/progress.hpp"

namespace gradscape {
namespace {

/// What body() writes to standard error, which is no terminal then.
template <class Body>
std::string errors_of(Body&& body) {
  testing::internal::CaptureStderr();
  body();
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, DurationsReadLikeAClock) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(59.4), "0:59");
  EXPECT_EQ(format_duration(59.6), "1:00");
  EXPECT_EQ(format_duration(75), "1:15");
  EXPECT_EQ(format_duration(3599), "59:59");
  EXPECT_EQ(format_duration(4000), "1:06:40");
  EXPECT_EQ(format_duration(100 * 3600), "100:00:00");
}

TEST(Progress, UnknownDurationsAreAQuestionMark) {
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(format_duration(std::numeric_limits<double>::quiet_NaN()), "?");
}

TEST(Progress, QuickJobsAreSilent) {
  EXPECT_EQ(errors_of([] {
              Progress progress("train", 3);
              for (int step = 1; step <= 3; ++step) progress.update(step, "loss 1");
            }),
            "");
}

// Neither steps done before (a resumed run) nor the first one count in the rate: it holds set-up and a noise floor.
TEST(Progress, SlowJobsGetALineWithStepRateAndTimeLeft) {
  const std::string text = errors_of([] {
    Progress progress("train", 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(1000));
    progress.update(501, "loss 1.5");
    std::this_thread::sleep_for(std::chrono::milliseconds(2050));
    progress.update(502, "loss 1.25");
    progress.update(503, "loss 1");  // too soon for another line
  });
  EXPECT_EQ(text.find("train: step 502/1000  loss 1.25  "), 0u) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  // One step in 2.05 s or a little more; with the second before it would be less than 0.33 or, with its step, 0.65.
  const double rate = std::stod(text.substr(text.find("1.25") + 4));
  EXPECT_GT(rate, 0.4) << text;
  EXPECT_LT(rate, 0.5) << text;
  EXPECT_NE(text.find(" left"), std::string::npos) << text;
}

TEST(Progress, ThereIsNoEstimateWithoutARate) {
  const std::string text = errors_of([] {
    Progress progress("train", 1000);
    std::this_thread::sleep_for(std::chrono::milliseconds(2050));
    progress.update(1, "loss 1.5");
  });
  EXPECT_EQ(text, "train: step 1/1000  loss 1.5  estimating\n");
}

TEST(Progress, ALineFitsTheTerminal) {
  const ProgressFacts facts{"train bn", 12, 3412, "loss 1.2345", 8.5};
  EXPECT_EQ(progress_line(facts, 80), "train bn: step 12/3412  loss 1.2345  8.5 steps/s  6:40 left");
  EXPECT_EQ(progress_line(facts, 59), progress_line(facts, 80));
  EXPECT_EQ(progress_line(facts, 58), "train bn: step 12/3412  8.5 steps/s  6:40 left");
  EXPECT_EQ(progress_line(facts, 36), "train bn: step 12/3412  6:40 left");
  EXPECT_EQ(progress_line(facts, 32), "step 12/3412  6:40 left");
  EXPECT_EQ(progress_line(facts, 15), "step 12/3412  6");
  EXPECT_EQ(progress_line({"train", 1, 9, "loss 1", {}}, 80), "train: step 1/9  loss 1  estimating");
  EXPECT_EQ(progress_line({"surface main", 2, 442, "loss 1", 0.5, "point"}, 80),
            "surface main: point 2/442  loss 1  0.5 points/s  14:40 left");
}

// Names of variants hold what they like.
TEST(Progress, ColumnsAreNotBytes) {
  EXPECT_EQ(columns_of("Größe"), 5u);
  EXPECT_EQ(columns_of("e\u0301"), 1u);
  EXPECT_EQ(columns_of("批量"), 4u);
  EXPECT_EQ(cut_to_columns("Größe", 4), "Größ");
  EXPECT_EQ(cut_to_columns("批量", 3), "批");
  EXPECT_EQ(columns_of("\xc3"), 1u);  // half a character
}

TEST(Progress, TimesAreInUnitsThatSuit) {
  const std::vector<std::pair<double, std::string>> times = {
      {0, "0 s"},        {2.5e-6, "2.5 µs"}, {0.01234, "12.3 ms"}, {0.5, "0.5 s"},    {75, "75 s"},
      {750, "12.5 min"}, {5990, "99.8 min"}, {11520, "3.2 h"},     {360000, "100 h"}, {4444444, "1235 h"}};
  for (const auto& [seconds, text] : times) EXPECT_EQ(format_time(seconds), text);
  EXPECT_EQ(format_time(std::numeric_limits<double>::quiet_NaN()), "?");
}

TEST(Progress, QuietSilencesAll) {
  EXPECT_FALSE(quiet());
  EXPECT_EQ(errors_of([] { say("checkpoint written"); }), "checkpoint written\n");
  set_quiet(true);
  EXPECT_TRUE(quiet());
  EXPECT_EQ(errors_of([] { say("checkpoint written"); }), "");
  set_quiet(false);
}

}  // namespace
}  // namespace gradscape
