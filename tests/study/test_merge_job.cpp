// Merging what runs hold, and what unites several runs.
#include <gtest/gtest.h>

#include <algorithm>

#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/merge_job.hpp"
#include "support/errors.hpp"
#include "support/study_runs.hpp"

namespace gradscape::testing {
namespace {

class MergeJob : public StudyRun {
 protected:
  std::vector<std::string> merge(const std::vector<RunDirectory>& runs, const SurveyId& id = {},
                                 Holes holes = Holes::refuse) {
    told_.clear();
    merge_runs(runs, id, holes, [&](const std::string& path) { told_.push_back(path); });
    return told_;
  }
  using Paths = std::vector<std::string>;

  Experiment experiment_ = small_experiment();
  Paths told_;
};

TEST_F(MergeJob, ARunsShardsInOrder) {
  experiment_.sweep.also = "shift";
  const RunDirectory run = trained("run", experiment_, true);
  for (const SurveyId& id : {SurveyId{}, SurveyId{"shift", "main"}}) {
    EXPECT_EQ(merge({run}, id), Paths{run.merged_path(id)});
    const Table merged = read_rows(run.merged_path(id), id);
    Table expected = without_rows(merged);
    for (const auto& segment : kSmallSegments) {
      const Table rows = read_rows(run.shard_path(id, segment[0], segment[1]), id);
      for (std::size_t row = 0; row < rows.size(); ++row) append_row(rows, row, expected);
    }
    EXPECT_EQ(merged.size(), 11U);
    EXPECT_EQ(difference_of(merged, expected), "");
  }
}

TEST_F(MergeJob, WhateverCanBeMergedIs) {
  const RunDirectory good = trained("good", experiment_, true), holed = copied(good, "holed"),
                     foreign = copied(good, "foreign");
  std::filesystem::remove(holed.shard_path({}, 4, 8));
  experiment_.train.seed = 8;
  std::filesystem::copy_file(trained("other", experiment_, true).shard_path({}, 4, 8), foreign.shard_path({}, 4, 8),
                             std::filesystem::copy_options::overwrite_existing);
  const std::string hole = holed.root() + ": sweep \"main\" is not complete";
  expect_error(
      [&] {
        merge({holed, good, foreign});
      },
      {"2 files cannot be merged", hole, "4-7", foreign.shard_path({}, 4, 8), "train.seed is 7 here and 8 there"});
  EXPECT_EQ(told_, Paths{good.merged_path({})});
  expect_error([&] { merge({holed}); }, {hole});
  EXPECT_EQ(merge({holed}, {}, Holes::mark), Paths{holed.merged_path({})});
  EXPECT_EQ(read_rows(holed.merged_path({})).size(), 11U);
}

TEST_F(MergeJob, SeedsAreUnited) {
  std::vector<RunDirectory> runs;
  for (const std::int64_t seed : {10, 9}) {
    experiment_.train.seed = seed;
    runs.push_back(trained("study/" + seed_folder(seed), experiment_, true));
  }
  const std::string united = place_ / "study/landscape.h5";
  EXPECT_EQ(merge(runs), (Paths{runs[0].merged_path({}), runs[1].merged_path({}), united}));
  const h5::File file = h5::File::open(united);
  EXPECT_EQ(file.read<std::int64_t>("/seed"), (std::vector<std::int64_t>{9, 10})) << "by number, not by name";
  std::vector<double> expected;
  for (const RunDirectory& run : {runs[1], runs[0]}) {
    const Table rows = read_rows(run.merged_path({}));
    const auto& values = rows.variable("loss").values;
    expected.insert(expected.end(), values.begin(), values.end());
  }
  EXPECT_EQ(file.read<double>("/loss"), expected);
  EXPECT_EQ(merge({runs[0]}), Paths{runs[0].merged_path({})}) << "one seed unites nothing";
  std::filesystem::remove(runs[0].shard_path({}, 4, 8));
  const std::string told = expect_error([&] { merge(runs); }, {runs[0].root(), "is not complete"});
  EXPECT_EQ(told.find("2 files"), std::string::npos) << "what cannot be merged is told of once: " << told;
  EXPECT_EQ(told_, Paths{runs[1].merged_path({})});
}

TEST_F(MergeJob, RunsThatDifferInMoreThanTheirSeedAreNotUnited) {
  std::vector<RunDirectory> runs;
  for (const std::int64_t seed : {9, 10}) {
    experiment_.train.seed = seed;
    experiment_.train.lr = 0.01 * static_cast<double>(seed);
    runs.push_back(trained("study/" + seed_folder(seed), experiment_, true));
  }
  expect_error([&] { merge(runs); }, {runs[1].root(), "no other seed of " + runs[0].root(), "train.lr is 0.09"});
  EXPECT_EQ(told_.size(), 2U);
  EXPECT_FALSE(std::filesystem::exists(place_ / "study/landscape.h5"));
}

TEST_F(MergeJob, RatesAreUnitedByTheirTraces) {
  experiment_.sweep.kind = "runs";
  experiment_.train.test_every = 5;
  std::vector<RunDirectory> runs;
  for (const char* rate : {"0.5", "0.0625"}) {
    experiment_.train.lr = std::stod(rate);
    runs.push_back(trained(std::string("study/lr-") + rate, experiment_));
  }
  EXPECT_EQ(merge(runs), Paths{place_ / "study/runs.h5"});
  const h5::File file = h5::File::open(place_ / "study/runs.h5");
  EXPECT_EQ(file.read<double>("/lr"), (std::vector<double>{0.0625, 0.5}));
  EXPECT_EQ(file.read<std::int64_t>("/test_step"), (std::vector<std::int64_t>{5, 10}));
  const auto slow = read_whole_trace(runs[1], 0, 11), fast = read_whole_trace(runs[0], 0, 11);
  std::vector<double> loss, least, largest;
  for (const WholeTrace* trace : {&slow, &fast})
    for (const auto& [step, record] : trace->steps) loss.push_back(record.loss);
  for (std::int64_t step = 0; step < 10; ++step) {
    least.push_back(std::min(slow.steps.at(step).loss, fast.steps.at(step).loss));
    largest.push_back(std::max(slow.steps.at(step).loss, fast.steps.at(step).loss));
  }
  EXPECT_EQ(file.read<double>("/loss"), loss);
  EXPECT_EQ(file.read<double>("/loss_min"), least);
  EXPECT_EQ(file.read<double>("/loss_max"), largest);
}

}  // namespace
}  // namespace gradscape::testing
