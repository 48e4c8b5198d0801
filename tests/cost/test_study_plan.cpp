// The tasks of a study, with made-up costs that say of every sum what it is made of.
#include <gtest/gtest.h>

#include "gradscape/cost/study_plan.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

constexpr double kLaunch = 1000;
constexpr std::int64_t kProgram = 5'000'000;

/// Ten steps, checkpoints at 0, 4, 8 and 10, tests at 3, 6, 9 and 10. The step after the last update is not probed.
CostedRun run_in(const std::string& directory, const std::string& united = "") {
  CostedRun run{{}, directory, united, {}};
  run.experiment.train.steps = 10;
  run.experiment.train.checkpoint_every = 4;
  run.experiment.train.test_every = 3;
  run.experiment.sweep.last = 9;
  UnitCosts& costs = run.costs;
  costs.load = 100;
  costs.setup = 10;
  costs.init = 1;
  costs.step = 1e-1;
  costs.test = 1e-2;
  costs.checkpoint_write = 1e-6;
  costs.checkpoint_read = 1e-7;
  costs.trace_write = {1e-8, 1e-9};
  costs.trace_read = {2e-8, 2e-9};
  costs.checkpoint_bytes = 1'000'000;
  costs.trace_bytes = {10'000, 100};
  costs.train_memory_bytes = 77;
  costs.total_steps = 10;
  costs.checkpoint_every = 4;
  costs.surveys.push_back({.kind = "sweep",
                           .row = 1e-3,
                           .floors = true,
                           .floor = 1e-5,
                           .write = {3e-8, 3e-9},
                           .read = {4e-8, 4e-9},
                           .bytes = {1'000, 10},
                           .memory_bytes = 8'000'000});
  return run;
}

std::vector<std::string> names(const std::vector<PlannedTask>& plan) {
  std::vector<std::string> found;
  for (const PlannedTask& task : plan) found.push_back(task.name());
  return found;
}

using Names = std::vector<std::string>;
constexpr double kExact = 1e-10;  // below the smallest cost; sums of doubles are not in this order

TEST(StudyPlan, OneRunInOneTask) {
  const auto plan = plan_study({run_in("a")}, 1, kLaunch, kProgram);
  ASSERT_EQ(names(plan), (Names{"train a", "sweep 0/1", "merge a"}));

  const PlannedTask& train = plan[0];
  EXPECT_EQ(train.after, Names{});
  EXPECT_EQ(train.segments, 3);
  EXPECT_EQ(train.steps, 10);
  EXPECT_EQ(train.probed, 0);
  EXPECT_NEAR(train.cpu_seconds, 1000 + 100 + 2 * 10 + 1 + 10 * 1e-1 + 4 * 1e-2 + 4 * 1e-6 + 3 * 1e-8 + 10 * 1e-9,
              kExact);
  EXPECT_EQ(train.memory_bytes, 77);
  EXPECT_EQ(train.disk_bytes, 4 * 1'000'000 + 3 * 10'000 + 10 * 100);

  const PlannedTask& sweep = plan[1];
  EXPECT_EQ(sweep.after, Names{"train a"});
  EXPECT_EQ(sweep.segments, 3);
  EXPECT_EQ(sweep.steps, 10);
  EXPECT_EQ(sweep.probed, 10);
  // The first segment reads the checkpoints at both its ends, the others go on from the last one's end.
  EXPECT_NEAR(
      sweep.cpu_seconds,
      1000 + 100 + 10 + 10 * 1e-1 + 10 * 1e-3 + 3 * 1e-5 + 4 * 1e-7 + 3 * 2e-8 + 10 * 2e-9 + 3 * 3e-8 + 10 * 3e-9,
      kExact);
  EXPECT_EQ(sweep.memory_bytes, 8'000'000);
  EXPECT_EQ(sweep.disk_bytes, 3 * 1'000 + 10 * 10);

  const PlannedTask& merge = plan[2];
  EXPECT_EQ(merge.after, Names{"sweep 0/1"});
  EXPECT_EQ(merge.segments, 3);
  EXPECT_EQ(merge.probed, 10);
  EXPECT_NEAR(merge.cpu_seconds, 1000 + 2 * (3 * 4e-8 + 10 * 4e-9) + 3e-8 + 10 * 3e-9, kExact);
  EXPECT_EQ(merge.memory_bytes, kProgram + 1'000 + 4 * 10) << "a shard at a time";
  EXPECT_EQ(merge.disk_bytes, 1'000 + 10 * 10);
}

TEST(StudyPlan, EachShareOfASweepIsSetUp) {
  const auto plan = plan_study({run_in("a")}, 2, kLaunch, kProgram);
  ASSERT_EQ(names(plan), (Names{"train a", "sweep 0/2", "sweep 1/2", "merge a"}));
  // Of 10 steps the first segment's middle is 2, the others' 6 and 9: on the sides of 5.
  EXPECT_EQ(plan[1].probed, 4);
  EXPECT_EQ(plan[2].probed, 6);
  EXPECT_NEAR(plan[1].cpu_seconds, 1110 + 4 * (1e-1 + 1e-3) + 1e-5 + 2 * 1e-7 + 2e-8 + 4 * 2e-9 + 3e-8 + 4 * 3e-9,
              kExact);
  EXPECT_NEAR(plan[2].cpu_seconds,
              1110 + 6 * (1e-1 + 1e-3) + 2e-5 + 3 * 1e-7 + 2 * 2e-8 + 6 * 2e-9 + 2 * 3e-8 + 6 * 3e-9, kExact);
  EXPECT_EQ(plan[3].after, (Names{"sweep 0/2", "sweep 1/2"}));
  const auto many = plan_study({run_in("a")}, 5, kLaunch, kProgram);
  ASSERT_EQ(many.size(), 1U + 5U + 1U) << "some of them have nothing to do";
  EXPECT_EQ(std::count_if(many.begin(), many.end(), [](const PlannedTask& task) { return task.segments == 0; }), 2);
}

TEST(StudyPlan, OnlyTheStepsToTheLastProbedOneAreTrainedAgain) {
  CostedRun run = run_in("a");
  run.experiment.sweep.steps = "1,6";
  const auto plan = plan_study({run}, 1, kLaunch, kProgram);
  EXPECT_EQ(plan[1].segments, 2);
  EXPECT_EQ(plan[1].probed, 2);
  EXPECT_EQ(plan[1].steps, (1 + 1) + (6 + 1 - 4));
  EXPECT_EQ(plan[1].disk_bytes, 2 * 1'000 + 2 * 10);
}

// The step after the last update goes on from the end of the segment before it, and shares its noise floor.
TEST(StudyPlan, TheStepAfterTheLastUpdateCostsAProbeWhereTheSegmentBeforeItIsSwept) {
  CostedRun run = run_in("a");
  run.experiment.sweep.last = -1;
  const auto plan = plan_study({run}, 1, kLaunch, kProgram);
  EXPECT_EQ(plan[1].segments, 4);
  EXPECT_EQ(plan[1].steps, 11);
  EXPECT_NEAR(plan[1].cpu_seconds,
              1110 + 11 * (1e-1 + 1e-3) + 3 * 1e-5 + 4 * 1e-7 + 4 * 2e-8 + 11 * 2e-9 + 4 * 3e-8 + 11 * 3e-9, kExact);
}

// Its floor is that of step 8, which neither it nor the segment before it passes.
TEST(StudyPlan, AFloorThatNoOtherSegmentHasMeasuredIsReplayedTo) {
  CostedRun run = run_in("a");
  run.experiment.sweep.steps = "2,6,10";
  const auto plan = plan_study({run}, 1, kLaunch, kProgram);
  EXPECT_EQ(plan[1].segments, 3);
  EXPECT_EQ(plan[1].steps, 3 + 3 + (1 + 1));
  EXPECT_NEAR(plan[1].cpu_seconds,
              1110 + 8 * 1e-1 + 3 * 1e-3 + 3 * 1e-5 + 4 * 1e-7 + 3 * 2e-8 + 8 * 2e-9 + 3 * 3e-8 + 3 * 3e-9, kExact);
}

TEST(StudyPlan, SeedsAreMergedThenUnited) {
  const auto plan = plan_study({run_in("v/seed-2", "v"), run_in("v/seed-1", "v")}, 1, kLaunch, kProgram);
  EXPECT_EQ(names(plan),
            (Names{"train v/seed-2", "train v/seed-1", "sweep 0/1", "merge v/seed-1", "merge v/seed-2", "merge v"}));
  EXPECT_EQ(plan[2].after, (Names{"train v/seed-2", "train v/seed-1"})) << "shares are of all runs' segments";
  EXPECT_EQ(plan[2].probed, 20);
  EXPECT_EQ(plan[5].after, (Names{"merge v/seed-1", "merge v/seed-2"}));
  EXPECT_EQ(plan[5].probed, 20);
  EXPECT_EQ(plan[5].disk_bytes, plan[3].disk_bytes + plan[4].disk_bytes);
  EXPECT_NEAR(plan[5].cpu_seconds, kLaunch + 2 * (plan[3].cpu_seconds - kLaunch), kExact);
}

TEST(StudyPlan, RatesAreNotSwept) {
  CostedRun slow = run_in("v/lr-0.1", "v"), fast = run_in("v/lr-0.5", "v");
  slow.experiment.sweep.kind = fast.experiment.sweep.kind = "runs";
  const auto plan = plan_study({slow, fast}, 3, kLaunch, kProgram);
  EXPECT_EQ(names(plan), (Names{"train v/lr-0.1", "train v/lr-0.5", "merge v"}));
  EXPECT_EQ(plan[2].after, (Names{"train v/lr-0.1", "train v/lr-0.5"}));
  EXPECT_NEAR(plan[2].cpu_seconds, kLaunch + 2 * (2e-8 + 10 * 2e-9), kExact);
}

CostedRun with_shift(CostedRun run) {
  run.costs.surveys.push_back({.kind = "shift",
                               .row = 1e-4,
                               .write = {5e-8, 5e-9},
                               .read = {6e-8, 6e-9},
                               .bytes = {2'000, 20},
                               .memory_bytes = 9'000'000});
  return run;
}

// It has no noise floor, so the step after the last update asks for nothing before it.
TEST(StudyPlan, AnAnalysisHasSharesAndAMergeOfItsOwn) {
  CostedRun run = with_shift(run_in("a"));
  run.experiment.sweep.steps = "2,6,10";
  const auto plan = plan_study({run}, 2, kLaunch, kProgram);
  ASSERT_EQ(names(plan),
            (Names{"train a", "sweep 0/2", "sweep 1/2", "shift 0/2", "shift 1/2", "merge a", "merge a --kind shift"}));
  EXPECT_EQ(plan[3].after, Names{"train a"});
  EXPECT_EQ(plan[6].after, (Names{"shift 0/2", "shift 1/2"}));
  EXPECT_EQ(plan[3].probed + plan[4].probed, 3);
  EXPECT_EQ(plan[3].steps + plan[4].steps, 3 + 3 + 1);
  EXPECT_EQ(plan[4].memory_bytes, 9'000'000);
  EXPECT_EQ(plan[3].disk_bytes + plan[4].disk_bytes, 3 * 2'000 + 3 * 20);
  EXPECT_NEAR(plan[3].cpu_seconds + plan[4].cpu_seconds,
              2 * 1110 + 7 * 1e-1 + 3 * 1e-4 + 3 * 1e-7 + 3 * 2e-8 + 7 * 2e-9 + 3 * 5e-8 + 3 * 5e-9, kExact);
  EXPECT_NEAR(plan[6].cpu_seconds, kLaunch + 2 * (3 * 6e-8 + 3 * 6e-9) + 5e-8 + 3 * 5e-9, kExact);
}

TEST(StudyPlan, AnAnalysisOfSomeOfTheRuns) {
  CostedRun rates = with_shift(run_in("v/lr-0.1", "v"));
  rates.experiment.sweep.kind = "runs";
  const auto plan = plan_study({run_in("a"), rates}, 1, kLaunch, kProgram);
  EXPECT_EQ(names(plan), (Names{"train a", "train v/lr-0.1", "sweep 0/1", "shift 0/1", "merge a",
                                "merge v/lr-0.1 --kind shift", "merge v"}));
  EXPECT_EQ(plan[3].probed, 10);
}

TEST(StudyPlan, StepsOutsideOfTheRunAreRefused) {
  CostedRun run = run_in("a");
  run.experiment.sweep.last = 11;
  expect_error<UsageError>([&] { plan_study({run}, 1, kLaunch, kProgram); }, {"sweep.last", "0 to 11", "0 to 10"});
}

}  // namespace
}  // namespace gradscape::testing
