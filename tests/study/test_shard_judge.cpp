// The judgement on shards, of made-up sweeps.
#include <gtest/gtest.h>

#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/study/shard_judge.hpp"
#include "support/errors.hpp"
#include "support/grids.hpp"
#include "support/h5_inspect.hpp"
#include "support/study_runs.hpp"
#include "support/surveys.hpp"

namespace gradscape::testing {
namespace {

using Steps = std::vector<std::int64_t>;

class Judgement : public ::testing::Test {
 protected:
  /// A shard with these steps of a survey that was asked for `experiment`.
  void write(const std::string& path, const Steps& steps, const Experiment& experiment = small_experiment(),
             const std::string& data = "print") {
    Grid grid = make_grid(steps);
    grid.multipliers = experiment.sweep.multipliers;
    write_grid(path, {"grid", "small", "", to_toml(experiment), "images", data}, grid);
  }
  ShardJudge judge(const Experiment& settings = small_experiment()) { return {run_, {}, settings, "print"}; }
  ShardCheck check() { return judge().check(segment_); }

  void expect_found(ShardState state, const std::vector<std::string>& words) {
    const ShardCheck found = check();
    EXPECT_EQ(found.state, state) << found.problem;
    EXPECT_EQ(found.rows.size(), 0U);
    for (const std::string& word : words) EXPECT_NE(found.problem.find(word), std::string::npos) << found.problem;
  }
  /// Another program's file, of before hashes.
  void make_others(const std::string& path) {
    overwrite_attribute(path, "git_revision", "0");
    make_format_1(path);
  }

  TemporaryDirectory place_;
  RunDirectory run_{place_.path()};
  Segment segment_{4, 8, {4, 5, 6, 7}};
  std::string shard_ = run_.shard_path({}, 4, 8), partial_ = run_.partial_path({}, 4, 8);
  std::string before_ = run_.shard_path({}, 0, 4);
};

TEST_F(Judgement, Absent) {
  EXPECT_EQ(check().state, ShardState::absent);
  write(before_, {0, 1, 2, 3});
  EXPECT_EQ(check().state, ShardState::absent);
}

TEST_F(Judgement, WholeAndIncomplete) {
  write(shard_, {4, 5, 6, 7});
  EXPECT_EQ(check().state, ShardState::whole);
  EXPECT_EQ(check().problem, "");
  EXPECT_EQ(check().rows.rows().values, (std::vector<double>{4, 5, 6, 7}));
  segment_.probed = {5, 7};
  EXPECT_EQ(check().state, ShardState::whole) << "it may hold more than is wanted";
  for (const Steps& held : {Steps{4}, Steps{4, 6, 7}, Steps{5, 6, 7}}) {
    segment_.probed = {4, 5, 6, 7};
    write(shard_, held);
    EXPECT_EQ(check().state, ShardState::incomplete);
    EXPECT_EQ(check().rows.size(), held.size());
  }
}

TEST_F(Judgement, Damaged) {
  write(shard_, {4, 5, 6, 7});
  const std::string whole = read_bytes(shard_);
  truncate_file(shard_);
  expect_found(ShardState::damaged, {shard_, "truncated"});
  write_bytes(shard_, "");
  expect_found(ShardState::damaged, {shard_});
  write_bytes(shard_, whole);
  damage_dataset(shard_, "/loss");
  expect_found(ShardState::damaged, {shard_, "/loss"});
  write_bytes(shard_, whole);
  overwrite_dataset<double>(shard_, "/train_loss", {1, 2, 3, 4});
  expect_found(ShardState::damaged, {shard_, "/train_loss"});
  for (const Steps& others : {Steps{3, 4, 5, 6, 7}, Steps{4, 5, 6, 7, 8}, Steps{0, 1}, Steps{8}}) {
    write(shard_, others);
    expect_found(ShardState::damaged, {shard_, "renamed"});
  }
  write(shard_, {});
  expect_found(ShardState::damaged, {shard_, "holds no step"});
}

TEST_F(Judgement, AnotherProgramsShardIsDamagedAmongThisOnes) {
  write(shard_, {4, 5, 6, 7});
  make_others(shard_);
  EXPECT_EQ(check().state, ShardState::whole) << "a survey of one program, whichever, is one";
  write(before_, {0, 1, 2, 3});
  expect_found(ShardState::damaged, {shard_, "another program", "git_revision"});
  EXPECT_EQ(judge().check({0, 4, {0, 1, 2, 3}}).state, ShardState::whole);
  make_others(before_);
  EXPECT_EQ(check().state, ShardState::whole);
}

TEST_F(Judgement, Foreign) {
  Experiment other = small_experiment();
  other.train.seed = 8;
  write(shard_, {4, 5, 6, 7}, other);
  expect_found(ShardState::foreign, {shard_, "train.seed is 7 here and 8 there"});
  expect_error([&] { judge().require_none_foreign(); }, {shard_, "train.seed is 7 here and 8 there"});
  EXPECT_NO_THROW(judge(other).require_none_foreign());

  write(shard_, {4, 5, 6, 7}, small_experiment(), "other images");
  expect_found(ShardState::foreign, {shard_, "the training images are print here and other images there"});

  other = small_experiment();
  other.sweep.multipliers = {1.0, 2.0};
  write(shard_, {4, 5, 6, 7}, other);
  expect_found(ShardState::foreign, {shard_, "other settings", "sweep.multipliers"});
  try {
    judge().require_none_foreign();
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::usage) << "settings are the user's to change";
  }
  write_table(shard_, {"", "small", "", to_toml(other), "images", "print"}, {"shift", {}, {step_dimension()}, {}});
  expect_found(ShardState::foreign, {shard_, "shift"});
}

TEST_F(Judgement, WhatDoesNotMakeARunAnotherIsNoDifference) {
  Experiment moved = small_experiment();
  moved.data.path = "elsewhere";
  moved.experiment.name = "renamed";
  moved.train.steps = 20;
  moved.train.checkpoint_every = 2;
  write(shard_, {4, 5, 6, 7}, moved);
  EXPECT_EQ(check().state, ShardState::whole);
}

/// Steps may grow: those asked for are the union of all shards'.
TEST_F(Judgement, ItsStepsAreThoseThatAnyShardWasMadeFor) {
  const auto asked_for = [](const std::string& steps) {
    Experiment experiment = small_experiment();
    experiment.sweep.steps = steps;
    return experiment;
  };
  write(before_, {0, 2}, asked_for("0:2:2"));
  write(shard_, {5}, asked_for("5,40:44"));
  const auto selected = [](const Experiment& experiment) {
    Steps steps;
    for (std::int64_t step = 0; step <= 50; ++step)
      if (is_selected(experiment.sweep, step, 50)) steps.push_back(step);
    return steps;
  };
  EXPECT_EQ(selected(judge(asked_for("7")).settings()), (Steps{0, 2, 5, 7, 40, 41, 42, 43, 44}));
  const auto made_for = [&](const SurveyId& survey) {
    return ShardJudge(run_, survey, asked_for("7"), "print", Settings::of_shards).settings();
  };
  EXPECT_EQ(selected(made_for({})), (Steps{0, 2, 5, 40, 41, 42, 43, 44}))
      << "what the stored configuration says counts without shards only";
  EXPECT_EQ(selected(made_for(sweep_id("fine"))), Steps{7});
  truncate_file(before_);
  EXPECT_EQ(selected(judge(asked_for("7")).settings()), (Steps{5, 7, 40, 41, 42, 43, 44}));
}

/// The rows of a shard and of a partial one that need not be made again.
class Begun : public Judgement {
 protected:
  /// What training would have recorded, where make_grid()'s numbers are a run's.
  Begun() {
    for (std::int64_t step = 4; step < 8; ++step) {
      const Grid grid = make_grid({step});
      const SweepRecord& record = grid.records[0];
      trace_.steps[step] = {step, record.train_loss, 0, record.lr, record.train_grad_norm, 0, 0, 0};
    }
  }
  ShardCheck begun() { return judge().begun(segment_, trace_); }
  void expect_held(const std::vector<double>& steps) {
    const ShardCheck found = begun();
    EXPECT_EQ(found.problem, "");
    EXPECT_EQ(found.state, ShardState::incomplete);
    EXPECT_EQ(found.rows.rows().values, steps);
  }
  void expect_none(const std::vector<std::string>& words) {
    const ShardCheck found = begun();
    EXPECT_EQ(found.rows.size(), 0U);
    for (const std::string& word : words) EXPECT_NE(found.problem.find(word), std::string::npos) << found.problem;
  }

  WholeTrace trace_;
};

TEST_F(Begun, UnitesTheShardsRowsAndThePartialOnes) {
  EXPECT_EQ(begun().state, ShardState::absent);
  write(partial_, {4, 5});
  expect_held({4, 5});
  write(shard_, {5, 7});
  expect_held({4, 5, 7});
  std::filesystem::remove(partial_);
  expect_held({5, 7});
}

TEST_F(Begun, TakesNothingThatThisProgramAndRunWouldNotMake) {
  const auto expect_ignored = [&](const std::vector<std::string>& words) {
    std::vector<std::string> all = words;
    all.push_back(partial_);
    expect_none(all);
  };
  write(partial_, {4, 5});
  make_others(partial_);
  expect_ignored({"another program", "git_revision"});
  write_bytes(partial_, "no HDF5");
  expect_ignored({});
  write(partial_, {3, 4});
  expect_ignored({"renamed"});
  Experiment other = small_experiment();
  other.train.seed = 8;
  write(partial_, {4, 5}, other);
  expect_ignored({"train.seed"});
  other = small_experiment();
  other.sweep.multipliers = {1, 2};
  write(partial_, {4, 5}, other);
  expect_ignored({"sweep.multipliers"});
  write(partial_, {4, 5});
  for (double TraceRecord::*value : {&TraceRecord::lr, &TraceRecord::loss, &TraceRecord::grad_norm}) {
    const WholeTrace recorded = trace_;
    trace_.steps[5].*value += 1;
    expect_ignored({"step 5 is not as training recorded it"});
    trace_ = recorded;
  }
  trace_.steps.erase(4);
  expect_ignored({"step 4 is not as training recorded it"});
  write(shard_, {6});
  EXPECT_EQ(begun().rows.rows().values, std::vector<double>{6}) << "the one's fault is not the other's";
}

}  // namespace
}  // namespace gradscape::testing
