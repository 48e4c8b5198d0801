// The hook by which tests stop a process at an exact moment.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <csignal>

#include "gradscape/host/interrupt.hpp"

namespace gradscape::testing {
namespace {

/// What becomes of a process that is told of two steps, a file written and a third step.
void live(const char* wanted) {
  if (wanted != nullptr) ::setenv("GRADSCAPE_TEST_SIGNAL", wanted, 1);
  reach(Moment::step);
  reach(Moment::step);
  reach(Moment::written);
  reach(Moment::step);
  std::exit(interrupted() ? 1 : 0);
}

class Reach : public ::testing::Test {
 protected:
  // The variable is read once in a process: each death is one of a new process.
  Reach() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(Reach, SendsTheSignalAtItsMomentAlone) {
  const ::testing::KilledBySignal killed(SIGKILL);
  EXPECT_EXIT(live("9 step 3"), killed, "");
  EXPECT_EXIT(live("9 written 1"), killed, "");
  for (const char* not_reached : {"9 step 4", "9 step 0", "9 written 2", "9 published 1", "9 other 1", "9", "", "x"})
    EXPECT_EXIT(live(not_reached), ::testing::ExitedWithCode(0), "") << not_reached;
  EXPECT_EXIT(live(nullptr), ::testing::ExitedWithCode(0), "");
}

TEST_F(Reach, ASignalThatIsCaughtIsOneFromOutside) {
  EXPECT_EXIT((catch_preemption(), live("15 step 1")), ::testing::ExitedWithCode(1), "");
}

}  // namespace
}  // namespace gradscape::testing
