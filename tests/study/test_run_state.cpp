// How far a run is said to be, for each thing that can be the matter with it.
#include <gtest/gtest.h>

#include "gradscape/study/merge_job.hpp"
#include "gradscape/study/run_state.hpp"
#include "support/errors.hpp"
#include "support/h5_inspect.hpp"
#include "support/study_runs.hpp"

namespace gradscape::testing {
namespace {

using enum SegmentState;

class RunState : public StudyRun {
 protected:
  RunReport inspect(const RunDirectory& run, const SurveyId& id = {}) { return inspect_run(run, experiment_, id); }

  /// The states of the first survey's segments.
  std::vector<SegmentState> states(const RunReport& report) {
    std::vector<SegmentState> found;
    for (const SegmentReport& segment : report.surveys.front().segments) found.push_back(segment.state);
    return found;
  }
  using States = std::vector<SegmentState>;

  Experiment experiment_ = small_experiment();
};

TEST_F(RunState, BeforeItBegins) {
  const RunDirectory none(place_ / "none");
  RunReport report = inspect(none);
  EXPECT_EQ(report.total, 10);
  EXPECT_EQ(report.trained, 0);
  EXPECT_EQ(states(report), (States{untrained, untrained, untrained, untrained}));
  EXPECT_FALSE(report.complete());
  EXPECT_FALSE(report.last_write);
  experiment_.train.steps = 0;
  experiment_.train.epochs = 2;
  report = inspect(none);
  EXPECT_EQ(report.total, -1) << "how many steps an epoch has is not known yet";
  EXPECT_TRUE(states(report).empty());
  EXPECT_FALSE(report.complete());
  trained("none", experiment_);
  EXPECT_EQ(inspect(none).total, 6) << "20 images in batches of 8: three steps to an epoch";
}

TEST_F(RunState, Done) {
  const RunDirectory run = trained("run", experiment_, true);
  const RunReport report = inspect(run);
  EXPECT_EQ(states(report), (States{done, done, done, done}));
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.trained, 10);
  EXPECT_EQ(report.training_left, 0);
  EXPECT_EQ(report.surveys.front().left, 0);
  EXPECT_FALSE(report.surveys.front().merged);
  EXPECT_TRUE(report.last_write);
  merge_runs({run}, {}, Holes::refuse, [](const std::string&) {});
  EXPECT_TRUE(inspect(run).surveys.front().merged);
}

TEST_F(RunState, EachStateOfASegment) {
  const RunDirectory run = trained("run", experiment_, true);
  experiment_.train.steps = 14;  // as asked for now: it is to be extended
  const Table rows = read_rows(run.shard_path({}, 0, 4));
  write_as(run.partial_path({}, 0, 4), run.shard_path({}, 0, 4), rows_of(rows, 0, 3));
  std::filesystem::remove(run.shard_path({}, 0, 4));
  std::filesystem::remove(run.shard_path({}, 4, 8));
  truncate_file(run.shard_path({}, 8, 10));
  const RunReport report = inspect(run);
  EXPECT_EQ(report.total, 14);
  EXPECT_EQ(states(report), (States{partial, missing, damaged, untrained, untrained, untrained}))
      << "the rest is [10, 12), [12, 14) and the step after the last update";
  const SurveyReport& survey = report.surveys.front();
  EXPECT_EQ(survey.segments[0].probed, 3);
  EXPECT_NE(survey.segments[2].problem.find(run.shard_path({}, 8, 10)), std::string::npos);
  for (const SegmentState state : {partial, missing, damaged}) EXPECT_EQ(survey.count(state), 1);
  EXPECT_EQ(survey.count(untrained), 3);
  EXPECT_FALSE(survey.complete());
  EXPECT_TRUE(report.problems.empty()) << "of training nothing is amiss";
}

TEST_F(RunState, AShardWithFewerStepsThanAreWantedIsPartial) {
  Experiment some = experiment_;
  some.sweep.every = 2;
  const RunDirectory run = trained("run", some, true);
  EXPECT_EQ(states(inspect(run)), (States{done, done, done, done})) << "the shards say which steps were asked for";
  experiment_.sweep.last = 3;
  const RunDirectory other = trained("other", experiment_, true);
  write_as(other.shard_path({}, 0, 4), other.shard_path({}, 0, 4),
           rows_of(read_rows(other.shard_path({}, 0, 4)), 1, 2));
  const RunReport report = inspect(other);
  EXPECT_EQ(states(report), States{partial});
  EXPECT_EQ(report.surveys.front().segments[0].probed, 2);
}

TEST_F(RunState, ShardsOfAnotherRunAreToldOf) {
  const RunDirectory run = trained("run", experiment_, true);
  Experiment other = experiment_;
  other.train.seed = 8;
  std::filesystem::copy_file(trained("other", other, true).shard_path({}, 4, 8), run.shard_path({}, 4, 8),
                             std::filesystem::copy_options::overwrite_existing);
  const RunReport report = inspect(run);
  EXPECT_EQ(states(report), (States{done, damaged, done, done}));
  EXPECT_NE(report.surveys.front().segments[1].problem.find("train.seed"), std::string::npos);
}

TEST_F(RunState, AnalysesAreLookedAtBesideTheSweep) {
  experiment_.sweep.also = "shift";
  const RunDirectory run = trained("run", experiment_, true);
  const SurveyId shift{"shift", "main"}, distributions{"distributions", "main"};
  EXPECT_TRUE(inspect(run).complete());
  const std::vector<Segment> segments = plan_survey(run, experiment_, distributions);
  survey_run({distributions}, experiment_, run, {segments[0]});
  std::filesystem::remove(run.shard_path(shift, 4, 8));
  const RunReport report = inspect(run);
  ASSERT_EQ(report.surveys.size(), 3U);
  EXPECT_EQ(report.surveys[0].id, SurveyId{});
  for (const SurveyReport& survey : report.surveys) {
    EXPECT_EQ(survey.segments.size(), 4U);
    EXPECT_EQ(survey.count(done), survey.id == SurveyId{} ? 4 : survey.id == shift ? 3 : 1) << survey.id.kind;
  }
  EXPECT_FALSE(report.complete());
  EXPECT_EQ(states(inspect(run, shift)), (States{done, missing, done, done}));
  EXPECT_EQ(inspect(run, shift).surveys.size(), 1U) << "beside the sweep only";
  std::filesystem::remove_all(run.root() + "/shift");
  EXPECT_EQ(inspect(run).surveys.size(), 3U) << "it was asked for, and is missing";
}

TEST_F(RunState, TrainingsFilesAreLookedAt) {
  const RunDirectory run = trained("run", experiment_, true);
  std::filesystem::remove(run.trace_path(4, 8));
  RunReport report = inspect(run);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_NE(report.problems[0].find("4"), std::string::npos);
  EXPECT_FALSE(report.complete());
  EXPECT_EQ(states(report), (States{done, done, done, done}));

  damage_dataset(run.trace_path(0, 4), "loss");
  truncate_file(run.checkpoint_path(10));
  report = inspect(run);
  EXPECT_EQ(report.trained, 8);
  EXPECT_EQ(report.total, 10);
  const auto names = [&](const std::string& path) {
    return std::any_of(report.problems.begin(), report.problems.end(),
                       [&](const std::string& problem) { return problem.find(path) != std::string::npos; });
  };
  EXPECT_TRUE(names(run.trace_path(0, 4)) && names(run.checkpoint_path(10)));

  std::filesystem::remove(run.checkpoint_path(0));
  report = inspect(run);
  EXPECT_EQ(states(report).front(), damaged);
  EXPECT_NE(report.surveys.front().segments[0].problem.find(run.checkpoint_path(0)), std::string::npos);
}

TEST_F(RunState, FilesMadeOfOthersGrowStale) {
  const RunDirectory run = trained("run", experiment_, true);
  std::string merged;
  merge_runs({run}, {}, Holes::refuse, [&](const std::string& path) { merged = path; });
  EXPECT_TRUE(inspect(run).stale.empty());
  EXPECT_NO_THROW(require_fresh(merged));
  std::filesystem::remove(run.shard_path({}, 4, 8));
  const RunReport report = inspect(run);
  ASSERT_EQ(report.stale.size(), 1U);
  EXPECT_EQ(report.stale[0].path, merged);
  EXPECT_NE(report.stale[0].because.find("4 files"), std::string::npos) << report.stale[0].because;
  EXPECT_EQ(report.stale[0].renewed_by.find("gradscape merge"), 0U) << report.stale[0].renewed_by;
  expect_error([&] { require_fresh(merged); }, {merged});
}

TEST(UnfinishedTasks, AreThoseWithASegmentThatIsNotDone) {
  const auto run_with = [](const std::vector<SegmentState>& states) {
    RunReport run{.directory = RunDirectory("run"), .experiment = {}};
    run.total = 8;
    run.surveys.push_back({});
    for (const SegmentState state : states) {
      SegmentReport report;
      report.segment.probed = {0, 1};
      report.state = state;
      run.surveys.front().segments.push_back(report);
    }
    return run;
  };
  using Tasks = std::vector<std::int64_t>;
  // Equal segments: two to a task.
  EXPECT_EQ(unfinished_tasks({run_with({done, done, done, done})}, 2), Tasks{});
  EXPECT_EQ(unfinished_tasks({run_with({done, missing, done, done})}, 2), Tasks{0});
  EXPECT_EQ(unfinished_tasks({run_with({done, done, partial, done})}, 2), Tasks{1});
  EXPECT_EQ(unfinished_tasks({run_with({damaged, done, done, untrained})}, 2), (Tasks{0, 1}));
  EXPECT_EQ(unfinished_tasks({run_with({done, done}), run_with({done, missing})}, 4), Tasks{3}) << "of all runs";
  RunReport unknown = run_with({});
  unknown.total = -1;
  EXPECT_EQ(unfinished_tasks({run_with({done, done}), unknown}, 2), (Tasks{0, 1}));
}

}  // namespace
}  // namespace gradscape::testing
