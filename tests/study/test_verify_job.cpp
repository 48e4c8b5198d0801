// Verification finds what was changed behind the hashes' back, and nothing where nothing was.
#include <gtest/gtest.h>

#include "gradscape/study/merge_job.hpp"
#include "gradscape/study/verify_job.hpp"
#include "support/errors.hpp"
#include "support/h5_inspect.hpp"
#include "support/study_runs.hpp"

namespace gradscape::testing {
namespace {

constexpr std::int64_t kAllCells = 1000;

class VerifyJob : public StudyRun {
 protected:
  Verification verify(std::int64_t cells) { return verify_run(run_, "", cells); }

  /// One problem that says all these words.
  void expect_problem(const Verification& found, const std::vector<std::string>& words) {
    ASSERT_EQ(found.problems.size(), 1U) << ::testing::PrintToString(found.problems);
    for (const std::string& word : words)
      EXPECT_NE(found.problems[0].find(word), std::string::npos) << word << " in " << found.problems[0];
  }

  static Experiment with_shift() {
    Experiment experiment = small_experiment();
    experiment.sweep.also = "shift";
    return experiment;
  }
  const SurveyId shift_{"shift", "main"};
  RunDirectory run_ = trained("run", with_shift(), true);
};

TEST_F(VerifyJob, NothingIsTheMatter) {
  merge_runs({run_}, {}, Holes::refuse, [](const std::string&) {});
  const Verification found = verify(kAllCells);
  EXPECT_EQ(found.problems, std::vector<std::string>{});
  EXPECT_EQ(found.files, 4U + 3U + 2U * 4U + 1U) << "checkpoints, traces, two surveys' shards, landscape.h5";
  EXPECT_EQ(found.stored_cells, 11U * 2U + 11U) << "a sweep's step has a cell for each multiplier";
  EXPECT_EQ(found.cells, found.stored_cells);
  EXPECT_EQ(verify(5).cells, 5U);
}

TEST_F(VerifyJob, AChangedValueIsFoundByRecomputing) {
  falsify(run_.shard_path({}, 4, 8), "accuracy", 1, 0.123);
  EXPECT_TRUE(verify(0).problems.empty()) << "its hashes are right";
  expect_problem(verify(kAllCells),
                 {run_.shard_path({}, 4, 8), "at step 5", "accuracy at alpha 0.5", "0.123", "recomputed"});
}

TEST_F(VerifyJob, AChangedValueOfAnAnalysisToo) {
  falsify(run_.shard_path(shift_, 8, 10), "shift_norm", 1, -1, shift_);
  expect_problem(verify(kAllCells), {run_.shard_path(shift_, 8, 10), "at step 9", "shift_norm", "-1", "recomputed"});
}

TEST_F(VerifyJob, WhatIsStoredTwiceMustAgree) {
  merge_runs({run_}, {}, Holes::refuse, [](const std::string&) {});
  const std::string merged = run_.merged_path({});
  falsify(merged, "accuracy", 7, 0.123);
  expect_problem(verify(0), {merged, "at step 7", "accuracy", "0.123", run_.shard_path({}, 4, 8), "gradscape merge"});
  falsify(run_.shard_path({}, 0, 4), "loss_max", 2, 1e6);
  const auto problems = verify(0).problems;
  EXPECT_TRUE(std::any_of(problems.begin(), problems.end(), [&](const std::string& problem) {
    return problem.find(run_.shard_path({}, 0, 4)) == 0 && problem.find("loss_max") != std::string::npos;
  })) << ::testing::PrintToString(problems);
}

TEST_F(VerifyJob, HashesTellOfWhatNothingRepeats) {
  overwrite_dataset<double>(run_.trace_path(0, 4), "/seconds", {1, 2, 3, 4});
  expect_problem(verify(0), {run_.trace_path(0, 4), "/seconds"});
}

TEST_F(VerifyJob, WhatIsMissingOrRenamed) {
  std::filesystem::remove(run_.trace_path(4, 8));
  expect_problem(verify(0), {"4", "train --resume"});
  trained("again", with_shift(), true);
  run_ = RunDirectory(place_ / "again");
  std::filesystem::rename(run_.shard_path({}, 4, 8), run_.shard_path({}, 5, 8));
  expect_problem(verify(0), {run_.shard_path({}, 5, 8), "holds step 4", "renamed"});
}

/// As when a checkpoint came in between two sweeps.
TEST_F(VerifyJob, ShardsMayOverlap) {
  const std::string first = run_.shard_path({}, 0, 4);
  write_as(run_.shard_path({}, 0, 8), first, unite_rows(read_rows(first), read_rows(run_.shard_path({}, 4, 8))));
  const Verification found = verify(kAllCells);
  EXPECT_EQ(found.problems, std::vector<std::string>{});
  EXPECT_EQ(found.cells, 11U * 2U + 11U + 8U * 2U);
}

}  // namespace
}  // namespace gradscape::testing
