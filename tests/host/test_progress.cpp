#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

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

// Steps done before the first update (a resumed run) do not count in the rate.
TEST(Progress, SlowJobsGetALineWithStepRateAndTimeLeft) {
  const std::string text = errors_of([] {
    Progress progress("train", 1000);
    progress.update(501, "loss 1.5");
    std::this_thread::sleep_for(std::chrono::milliseconds(2050));
    progress.update(502, "loss 1.25");
    progress.update(503, "loss 1");  // too soon for another line
  });
  EXPECT_EQ(text.find("train: step 502/1000  loss 1.25  "), 0u) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  // Two steps in 2.05 s or a little more.
  const double rate = std::stod(text.substr(text.find("1.25") + 4));
  EXPECT_GT(rate, 0.5) << text;
  EXPECT_LT(rate, 1.0) << text;
  EXPECT_NE(text.find(" left"), std::string::npos) << text;
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
