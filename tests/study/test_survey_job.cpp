// Surveys made by replay, in whatever pieces, against those that rode on training.
#include <gtest/gtest.h>

#include "gradscape/study/survey_job.hpp"
#include "support/errors.hpp"
#include "support/h5_inspect.hpp"
#include "support/study_runs.hpp"
#include "support/surveys.hpp"

namespace gradscape::testing {
namespace {

using Steps = std::vector<std::int64_t>;

constexpr double kNoProbe = 0.123;  // a fraction that no batch of 8 or 4 has: probed again, a cell loses it

class SurveyJobs : public StudyRun {
 protected:
  static Experiment with_shift() {
    Experiment experiment = small_experiment();
    experiment.sweep.also = "shift";
    return experiment;
  }

  void expect_whole(const RunDirectory& run, const SurveyId& id = {}) {
    ASSERT_EQ(run.shard_files(id).size(), kSmallSegments.size());
    for (const auto& segment : kSmallSegments)
      EXPECT_EQ(difference_of(read_rows(run.shard_path(id, segment[0], segment[1]), id),
                              read_rows(probed_.shard_path(id, segment[0], segment[1]), id)),
                "");
    EXPECT_TRUE(run.partial_files(id).empty());
  }

  RunDirectory probed_ = trained("probed", with_shift(), true);
  RunDirectory run_ = trained("run");
};

TEST_F(SurveyJobs, AfterTrainingAsWhileTraining) {
  for (const SurveyId& id : {SurveyId{}, SurveyId{"shift", "main"}}) {
    EXPECT_EQ(survey(run_, small_experiment(), id), 4U);
    expect_whole(run_, id);
    EXPECT_EQ(survey(run_, small_experiment(), id), 0U) << "all are there";
  }
  std::vector<double> steps;
  for (const auto& segment : kSmallSegments) {
    const Table rows = read_rows(run_.shard_path({}, segment[0], segment[1]));
    steps.insert(steps.end(), rows.rows().values.begin(), rows.rows().values.end());
  }
  EXPECT_EQ(steps, (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(SurveyJobs, MakesTheSegmentsItIsGiven) {
  const auto segments = plan_survey(run_, small_experiment(), {});
  EXPECT_EQ(survey_run({}, small_experiment(), run_, {segments[3], segments[1]}), 2U);
  EXPECT_TRUE(std::filesystem::exists(run_.shard_path({}, 10, 11)));
  EXPECT_TRUE(std::filesystem::exists(run_.shard_path({}, 4, 8)));
  EXPECT_EQ(run_.shard_files({}).size(), 2U);
  EXPECT_EQ(survey(run_, small_experiment()), 2U);
  expect_whole(run_);
}

TEST_F(SurveyJobs, AShardThatIsThereIsLeftAlone) {
  survey(run_, small_experiment());
  const std::string path = run_.shard_path({}, 4, 8);
  falsify(path, "accuracy", 1, kNoProbe);
  const std::string bytes = read_bytes(path);
  EXPECT_EQ(survey(run_, small_experiment()), 0U);
  EXPECT_EQ(read_bytes(path), bytes);
}

TEST_F(SurveyJobs, ContinuesWhatAStoppedSurveyLeft) {
  for (std::size_t held = 1; held <= 4; ++held) {
    const RunDirectory run = copied(run_, "held" + std::to_string(held));
    const std::string partial = run.partial_path({}, 4, 8), shard = run.shard_path({}, 4, 8);
    Table whole = read_rows(probed_.shard_path({}, 4, 8));
    write_as(partial, probed_.shard_path({}, 4, 8), rows_of(whole, 0, held));
    falsify(partial, "accuracy", held - 1, kNoProbe);
    EXPECT_EQ(survey(run, small_experiment()), 4U);
    EXPECT_TRUE(run.partial_files({}).empty());
    Variable& accuracy = whole.variable("accuracy");
    accuracy.values[(held - 1) * whole.row_size(accuracy)] = kNoProbe;
    EXPECT_EQ(difference_of(read_rows(shard), whole), "") << held << " rows were there, the last one marked";
  }
}

/// Floors are those of steps 0, 4 and 8, wherever checkpoints are; what is held tells of them.
TEST_F(SurveyJobs, NoiseFloorsBelongToTheRun) {
  Experiment moved = small_experiment();
  const RunDirectory run(place_ / "moved");
  moved.train.steps = 6;
  train(moved, run, {});
  moved.train.steps = 10;
  moved.train.checkpoint_every = 7;
  train(moved, run, {true});
  ASSERT_EQ(run.checkpoint_steps(), (Steps{0, 4, 6, 7, 10}));
  Table expected = without_rows(read_rows(probed_.shard_path({}, 4, 8)));
  for (const auto& segment : {kSmallSegments[1], kSmallSegments[2]}) {
    const Table rows = read_rows(probed_.shard_path({}, segment[0], segment[1]));
    for (std::size_t row = 0; row < rows.size(); ++row)
      if (rows.rows().values[row] >= 7) append_row(rows, row, expected);
  }
  const auto& floors = expected.variable("noise_floor").values;
  EXPECT_TRUE(floors[0] > 0 && floors[1] > 0 && floors[0] != floors[1]) << "the segment [7, 10) has two floors";
  for (std::size_t held = 0; held <= 3; ++held) {
    const RunDirectory copy = copied(run, "from" + std::to_string(held));
    if (held > 0)
      write_table(copy.partial_path({}, 7, 10), read_provenance(open_published(copy.checkpoint_path(10), "")),
                  rows_of(expected, 0, held));
    const auto segments = plan_survey(copy, moved, {});
    EXPECT_EQ(survey_run({}, moved, copy, {segments[3]}), 1U);
    EXPECT_EQ(difference_of(read_rows(copy.shard_path({}, 7, 10)), expected), "") << held;
  }
}

TEST_F(SurveyJobs, StepsGrow) {
  Experiment some = small_experiment();
  some.sweep.first = 2;
  some.sweep.every = 4;
  EXPECT_EQ(survey(run_, some), 3U);
  EXPECT_EQ(read_rows(run_.shard_path({}, 0, 4)).rows().values, std::vector<double>{2});
  EXPECT_FALSE(std::filesystem::exists(run_.shard_path({}, 8, 10))) << "holds none of 2, 6, 10";
  falsify(run_.shard_path({}, 0, 4), "accuracy", 0, kNoProbe);

  Experiment others = small_experiment();
  others.sweep.steps = "7,9";
  EXPECT_EQ(survey(run_, others), 2U) << "the shard of [4, 8) is completed, that of [8, 10) made";
  EXPECT_EQ(read_rows(run_.shard_path({}, 4, 8)).rows().values, (std::vector<double>{6, 7}));
  EXPECT_EQ(read_rows(run_.shard_path({}, 0, 4)).rows().values, std::vector<double>{2});

  EXPECT_EQ(survey(run_, small_experiment()), 3U) << "that of [10, 11) was whole";
  EXPECT_EQ(read_rows(run_.shard_path({}, 0, 4)).variable("accuracy").values[4], kNoProbe) << "it is not made again";
  std::filesystem::remove(run_.shard_path({}, 0, 4));
  std::filesystem::remove(run_.shard_path({}, 4, 8));
  EXPECT_EQ(survey(run_, others), 1U) << "no step of these lies in [0, 4)";
  EXPECT_EQ(read_rows(run_.shard_path({}, 4, 8)).size(), 4U) << "but a shard has all that was ever asked for";
  EXPECT_EQ(survey(run_, small_experiment()), 1U);
  expect_whole(run_);
}

TEST_F(SurveyJobs, ADamagedShardIsMadeAgain) {
  survey(run_, small_experiment());
  truncate_file(run_.shard_path({}, 4, 8));
  damage_dataset(run_.shard_path({}, 0, 4), "loss");
  EXPECT_EQ(survey(run_, small_experiment()), 2U);
  expect_whole(run_);
}

TEST_F(SurveyJobs, OtherSettingsAndRunsAreRefused) {
  survey(run_, small_experiment());
  Experiment other = small_experiment();
  other.sweep.multipliers = {1, 2};
  expect_error([&] { survey(run_, other); }, {"sweep \"main\"", "other settings", "sweep.multipliers"});
  EXPECT_EQ(survey(run_, other, sweep_id("fine")), 4U);
  other = small_experiment();
  other.train.seed = 8;
  const RunDirectory there = trained("there", other, true);
  std::filesystem::copy_file(there.shard_path({}, 4, 8), run_.shard_path({}, 4, 8),
                             std::filesystem::copy_options::overwrite_existing);
  expect_error([&] { survey(run_, small_experiment()); }, {run_.shard_path({}, 4, 8), "train.seed"});
}

TEST_F(SurveyJobs, ALaterCheckpointThatIsNotReachedIsAnError) {
  std::filesystem::copy_file(run_.checkpoint_path(4), run_.checkpoint_path(8),
                             std::filesystem::copy_options::overwrite_existing);
  expect_error([&] { survey(run_, small_experiment()); }, {run_.checkpoint_path(8), "holds step 4"});
  EXPECT_TRUE(std::filesystem::exists(run_.shard_path({}, 0, 4)));
  EXPECT_FALSE(std::filesystem::exists(run_.shard_path({}, 4, 8)));
}

}  // namespace
}  // namespace gradscape::testing
