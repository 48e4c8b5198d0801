#include <gtest/gtest.h>

#include <stdexcept>

#include "gradscape/core/doing.hpp"

namespace gradscape {
namespace {

std::vector<std::string> described() {
  std::vector<std::string> texts;
  for (const Work& work : failed_work()) texts.push_back(describe(work));
  return texts;
}

void fail() {
  const Doing outer("sweep", "runs/a");
  const Doing middle("replaying", "", 4, 8);
  { const Doing earlier("reading", "a.h5"); }
  const Doing inner("computing", "", 5, 6);
  throw std::runtime_error("no");
}

TEST(Doing, AnExceptionLeavesWhatItEndedTheInnermostFirst) {
  EXPECT_THROW(fail(), std::runtime_error);
  EXPECT_EQ(described(), (std::vector<std::string>{"computing step 5", "replaying steps 4 to 7", "sweep runs/a"}));
}

TEST(Doing, WhatWasDealtWithIsForgotten) {
  {
    const Doing outer("training", "runs/a");
    EXPECT_THROW(fail(), std::runtime_error);
    EXPECT_EQ(described().size(), 3U);
    const Doing next("reading", "b.h5");
    EXPECT_EQ(described(), std::vector<std::string>{});
  }
  EXPECT_EQ(described(), std::vector<std::string>{});
}

TEST(Doing, AnErrorInPlaceOfAnotherKeepsWhatBothEnded) {
  try {
    const Doing outer("verifying", "runs/a");
    try {
      fail();
    } catch (const std::runtime_error&) {
      throw std::logic_error("in other words");
    }
  } catch (const std::logic_error&) {
  }
  EXPECT_EQ(described().back(), "verifying runs/a");
  EXPECT_EQ(described().size(), 4U);
}

TEST(Doing, WorkWhileAnExceptionIsInFlightChangesNothing) {
  struct Cleaner {
    ~Cleaner() { const Doing doing("cleaning"); }
  };
  try {
    const Doing outer("training", "runs/a");
    const Cleaner cleaner;
    const Doing inner("computing", "", 1, 2);
    throw std::runtime_error("no");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(described(), (std::vector<std::string>{"computing step 1", "training runs/a"}));
}

}  // namespace
}  // namespace gradscape
