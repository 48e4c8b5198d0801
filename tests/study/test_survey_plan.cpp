// The segments of a run for a survey.
#include <gtest/gtest.h>

#include "gradscape/study/survey_plan.hpp"
#include "support/errors.hpp"
#include "support/study_runs.hpp"

namespace gradscape::testing {
namespace {

using Steps = std::vector<std::int64_t>;

TEST(PlannedCheckpoints, AreThoseThereAndMultiplesOfTheInterval) {
  EXPECT_EQ(planned_checkpoints({}, 4, 10), (Steps{0, 4, 8, 10}));
  EXPECT_EQ(planned_checkpoints({}, 5, 10), (Steps{0, 5, 10}));
  EXPECT_EQ(planned_checkpoints({}, 50, 10), (Steps{0, 10}));
  EXPECT_EQ(planned_checkpoints({0, 3}, 4, 10), (Steps{0, 3, 4, 8, 10})) << "interrupted at 3";
  EXPECT_EQ(planned_checkpoints({0, 4, 8, 10}, 4, 10), (Steps{0, 4, 8, 10}));
  EXPECT_EQ(planned_checkpoints({0, 4, 8, 10}, 4, 14), (Steps{0, 4, 8, 10, 12, 14})) << "extended";
}

class SurveyPlan : public StudyRun {
 protected:
  std::vector<Steps> plan(const Experiment& experiment, const SurveyId& id = {}) {
    std::vector<Steps> found;
    for (const Segment& segment : plan_survey(run_, experiment, id)) {
      found.push_back({segment.first, segment.last});
      found.back().insert(found.back().end(), segment.probed.begin(), segment.probed.end());
    }
    return found;
  }
  Experiment experiment_ = small_experiment();
  RunDirectory run_ = trained("run");
};

TEST_F(SurveyPlan, FollowsTheRunsCheckpoints) {
  EXPECT_EQ(plan(experiment_),
            (std::vector<Steps>{{0, 4, 0, 1, 2, 3}, {4, 8, 4, 5, 6, 7}, {8, 10, 8, 9}, {10, 11, 10}}));
  experiment_.sweep.steps = "3,9:9";
  EXPECT_EQ(plan(experiment_), (std::vector<Steps>{{0, 4, 3}, {8, 10, 9}}));
  std::filesystem::remove(run_.checkpoint_path(10));
  EXPECT_EQ(plan(experiment_), (std::vector<Steps>{{0, 4, 3}})) << "as of a run that is trained to step 8";
}

TEST_F(SurveyPlan, ABandAcrossRunsHasNoStepsOfItsOwn) {
  experiment_.sweep.kind = "runs";
  EXPECT_TRUE(plan(experiment_).empty());
  EXPECT_EQ(plan(experiment_, {"shift", "main"}).size(), 4U) << "but its runs can be looked at";
}

TEST_F(SurveyPlan, SaysWhatIsMissing) {
  experiment_.sweep.last = 11;
  expect_error<UsageError>([&] { plan(experiment_); }, {"sweep.last", "0 to 11", "steps 0 to 10"});
  experiment_ = small_experiment();
  std::filesystem::remove(run_.checkpoint_path(0));
  expect_error([&] { plan(experiment_); }, {run_.checkpoint_path(0), "is missing", "steps 0 to 3"});
  std::filesystem::remove_all(run_.root() + "/checkpoints");
  expect_error([&] { plan(experiment_); }, {run_.root(), "no checkpoint"});
}

}  // namespace
}  // namespace gradscape::testing
