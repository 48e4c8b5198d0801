// A run opened from its files, against the same run made in memory in one piece.
#include <gtest/gtest.h>

#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/open_run.hpp"
#include "support/errors.hpp"
#include "support/study_runs.hpp"

namespace gradscape::testing {
namespace {

void no_observer(const StepView<float>&) {}

class OpenedRun : public StudyRun {
 protected:
  Experiment experiment_ = small_experiment();
  RunDirectory directory_ = trained("run");
  Training<float> memory_ = train_in_memory(experiment_);
};

TEST_F(OpenedRun, ReadsTheStatesOfItsCheckpoints) {
  OpenRun<float> run(experiment_, directory_);
  EXPECT_EQ(directory_.checkpoint_steps(), (std::vector<std::int64_t>{0, 4, 8, 10}));
  for (const std::size_t step : {0, 4, 8}) EXPECT_TRUE(same_state(run.checkpoint(step), memory_.before[step])) << step;
  EXPECT_TRUE(same_state(run.checkpoint(10), memory_.state));
}

TEST_F(OpenedRun, ReplaysToAStep) {
  OpenRun<float> run(experiment_, directory_);
  for (const std::int64_t first : {0, 4, 8}) {
    TrainingState<float> state = run.checkpoint(first);
    std::vector<std::int64_t> seen, expected;
    for (std::int64_t step = first; step < 9; ++step) expected.push_back(step);
    EXPECT_TRUE(run.replay_to(state, 9, [&](const StepView<float>& view) {
      seen.push_back(view.record.step);
      EXPECT_TRUE(same_record(view.record, memory_.trace[static_cast<std::size_t>(view.record.step)]));
    }));
    EXPECT_EQ(seen, expected);
    EXPECT_TRUE(same_state(state, memory_.before[9]));
  }
}

TEST_F(OpenedRun, LooksAtAnyStepOnce) {
  OpenRun<float> run(experiment_, directory_);
  for (std::int64_t step = 10; step >= 0; --step) {  // in any order
    int seen = 0;
    EXPECT_TRUE(run.look_at(step, [&](const StepView<float>& view) {
      ++seen;
      const TrainingState<float>& state = step == 10 ? memory_.state : memory_.before[static_cast<std::size_t>(step)];
      EXPECT_EQ(view.record.step, step);
      EXPECT_TRUE(same_bits(view.theta, state.theta) && same_bits(view.buffers, state.buffers));
    }));
    EXPECT_EQ(seen, 1) << step;
  }
}

TEST_F(OpenedRun, SaysWhereAStepCannotBeSeen) {
  OpenRun<float> run(experiment_, directory_);
  expect_error([&] { run.look_at(11, no_observer); }, {"step 10 was not recorded"});
  std::filesystem::remove(directory_.checkpoint_path(0));
  expect_error([&] { run.look_at(3, no_observer); }, {directory_.root(), "no checkpoint at or before step 3"});
  std::filesystem::remove(directory_.trace_path(4, 8));
  expect_error([&] { run.look_at(5, no_observer); }, {"step 4 was not recorded", "train --resume"});
  EXPECT_NO_THROW(run.look_at(8, no_observer));
}

TEST_F(OpenedRun, RefusesWhatReplayDoesNotReproduce) {
  Trace trace = read_trace(directory_.trace_path(4, 8));
  trace.steps[2].grad_norm += 1;
  write_trace(directory_.trace_path(4, 8), read_provenance(open_published(directory_.trace_path(4, 8), "trace")),
              trace);
  OpenRun<float> run(experiment_, directory_);
  EXPECT_NO_THROW(run.look_at(5, no_observer));
  expect_error([&] { run.look_at(6, no_observer); }, {"step 6", "grad_norm", "does not reproduce"});
}

TEST_F(OpenedRun, RefusesCheckpointsOfAnotherRunOrStep) {
  Experiment other = experiment_;
  other.train.seed = 8;
  other.train.lr = 0.5;
  const RunDirectory there = trained("other", other);
  OpenRun<float> run(experiment_, directory_);
  const std::string path = directory_.checkpoint_path(4);
  const auto replace = [&](const std::string& by) {
    std::filesystem::copy_file(by, path, std::filesystem::copy_options::overwrite_existing);
  };
  replace(there.checkpoint_path(4));
  const std::vector<std::string> words{path, "train.seed is 7 here and 8 there", "train.lr is 0.02 here and 0.5 there"};
  expect_error<ForeignFile>([&] { run.checkpoint(4); }, words);
  expect_error<ForeignFile>([&] { run.require_own_checkpoint(4); }, words);
  expect_error<ForeignFile>([&] { run.look_at(6, no_observer); }, words);
  replace(directory_.checkpoint_path(8));
  expect_error<ForeignFile>([&] { run.checkpoint(4); }, {path, "holds step 8", "renamed"});
  other = experiment_;
  other.data.synthetic_seed = 2;
  replace(trained("images", other).checkpoint_path(4));
  expect_error<ForeignFile>([&] { run.require_own_checkpoint(4); }, {path, "the training images are"});
}

TEST_F(OpenedRun, NeedsNoFilesToBeOpened) {
  experiment_.train.checkpoint_every = kAutomatic;
  experiment_.train.checkpoint_segments = 5;
  OpenRun<float> run(experiment_, RunDirectory(place_ / "nothing"));
  EXPECT_EQ(run.experiment().train.checkpoint_every, 2) << "ten steps in five segments";
  EXPECT_EQ(parse_stored_experiment(run.provenance().config, "").train.checkpoint_every, 2);
  EXPECT_FALSE(std::filesystem::exists(place_ / "nothing"));
}

}  // namespace
}  // namespace gradscape::testing
