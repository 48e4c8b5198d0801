#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/study/merge.hpp"
#include "support/errors.hpp"
#include "support/grids.hpp"
#include "support/h5_inspect.hpp"
#include "support/surveys.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

const auto kAll = [](std::int64_t) { return true; };

class Merge : public ::testing::Test {
 protected:
  void add_shard(std::int64_t first, std::int64_t last, const std::vector<std::int64_t>& steps,
                 const std::string& config = "config", const std::string& sweep = "main") {
    write_grid(run_.shard_path(sweep_id(sweep), first, last), {"grid", "name", "bn", config, "data", "print"},
               make_grid(steps));
  }
  TemporaryDirectory directory_;
  RunDirectory run_{directory_.path()};
};

TEST_F(Merge, UnitesShards) {
  add_shard(4, 6, {4, 5});
  add_shard(0, 4, {0, 1, 2, 3});
  add_shard(6, 7, {6}, "the last shard's config");
  const std::string path = merge_shards({run_, 6, kAll, 0}, sweep_id("main"));
  EXPECT_EQ(path, run_.merged_path(sweep_id("main")));
  expect_same_grid(read_grid(path), make_grid({0, 1, 2, 3, 4, 5, 6}));
  const Provenance origin = read_provenance(open_published(path, "grid"));
  EXPECT_EQ(origin.config, "the last shard's config") << "it knows best how long the run is";
  EXPECT_EQ(origin.variant, "bn");
  EXPECT_EQ(origin.data_fingerprint, "print");
}

TEST_F(Merge, ShardsHaveTheMultipliersOfTheirSweep) {
  MergeInput input{run_, 3, kAll, 0};
  add_shard(0, 2, {0, 1});
  add_shard(2, 4, {2, 3});
  input.multipliers = make_grid({}).multipliers;
  EXPECT_NO_THROW(merge_shards(input, sweep_id("main")));
  const std::string first = run_.shard_path(sweep_id("main"), 0, 2), second = run_.shard_path(sweep_id("main"), 2, 4);
  for (const std::string& path : {first, second}) {  // with zeros for multipliers, as of a lost sector, and no hash
    const std::string whole = read_bytes(path);
    make_format_1(path);
    overwrite_dataset<double>(path, "/alpha", {0, 0});
    expect_error([&] { merge_shards(input, sweep_id("main")); }, {path, "has the multipliers [0, 0]", "[0.5, 2]"});
    write_bytes(path, whole);
  }
}

TEST_F(Merge, OverlappingShardsCountOnce) {
  add_shard(0, 3, {0, 1, 2});  // before an interruption
  add_shard(0, 5, {0, 1, 2, 3, 4});
  add_shard(2, 5, {2, 3, 4});
  expect_same_grid(read_grid(merge_shards({run_, 4, kAll, 0}, sweep_id("main"))), make_grid({0, 1, 2, 3, 4}));
}

TEST_F(Merge, KeepsTheWantedStepsOnly) {
  add_shard(0, 10, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  const auto even = [](std::int64_t step) { return step % 2 == 0 && step >= 2; };
  expect_same_grid(read_grid(merge_shards({run_, 8, even, 0}, sweep_id("main"))), make_grid({2, 4, 6, 8}));
}

TEST_F(Merge, BatchesOfDifferentLengthAndAugmentationFitTogether) {
  Grid first = make_grid({0}), second = make_grid({1});
  first.records[0].batch_index = {7};
  first.records[0].augmentation = {{2, -1, true}};
  write_grid(run_.shard_path(sweep_id("main"), 0, 1), {}, first);
  write_grid(run_.shard_path(sweep_id("main"), 1, 2), {}, second);
  Grid both = first;
  both.records.push_back(second.records[0]);
  expect_same_grid(read_grid(merge_shards({run_, 1, kAll, 0}, sweep_id("main"))), both);
}

TEST_F(Merge, NamesTheHoles) {
  add_shard(0, 3, {0, 1, 2});
  add_shard(6, 9, {6, 7, 8});
  expect_error(
      [&] {
        merge_shards({run_, 10, kAll, 0}, sweep_id("main"));
      },
      {run_.root(), "\"main\" is not complete", "5 of 11 steps are missing", "3-5, 9-10", "--resume"});
  EXPECT_FALSE(std::filesystem::exists(run_.merged_path(sweep_id("main")))) << "no landscape with holes";
  const auto by_three = [](std::int64_t step) { return step % 3 == 0; };
  expect_error([&] { merge_shards({run_, 10, by_three, 0}, sweep_id("main")); }, {"2 of 4 steps are missing: 3, 9"});
}

TEST_F(Merge, NamesEveryHole) {
  std::string holes;
  for (std::int64_t step = 0; step < 40; step += 2) {
    add_shard(step, step + 1, {step});
    holes += (holes.empty() ? "" : ", ") + std::to_string(step + 1);
  }
  expect_error(
      [&] {
        merge_shards({run_, 39, kAll, 0}, sweep_id("main"));
      },
      {"20 of 40 steps are missing: " + holes + "\n"});
}

TEST_F(Merge, MarksHolesWhereAsked) {
  add_shard(0, 3, {0, 1, 2});
  add_shard(6, 8, {6, 7});
  write_grid(run_.partial_path(sweep_id("main"), 3, 6), {"grid", "name", "bn", "config", "data", "print"},
             make_grid({3}));
  add_shard(8, 9, {8});
  std::filesystem::resize_file(run_.shard_path(sweep_id("main"), 8, 9), 1000);
  const std::string path = merge_shards({run_, 8, kAll, 0}, sweep_id("main"), Holes::mark);
  const Grid merged = read_grid(path), whole = make_grid({0, 1, 2, 3, 4, 5, 6, 7, 8});
  ASSERT_EQ(merged.records.size(), 9U);
  for (std::size_t i = 0; i < 9; ++i) {
    const SweepRecord& record = merged.records[i];
    EXPECT_EQ(record.step, static_cast<std::int64_t>(i));
    if (i != 4 && i != 5 && i != 8) {
      EXPECT_EQ(row_difference(to_table(merged), i, to_table(whole), i), "") << i;
      continue;
    }
    EXPECT_TRUE(std::isnan(record.lr) && std::isnan(record.train_loss) && std::isnan(record.noise_floor));
    EXPECT_TRUE(record.batch_index.empty());
    for (const Cell& cell : record.cells) {
      EXPECT_EQ(cell.status, CellStatus::not_done);
      EXPECT_TRUE(std::isnan(cell.loss) && std::isnan(cell.grad_diff) && std::isnan(cell.beta));
    }
  }
  const auto low = h5::File::open(path).read<double>("/loss_min");
  EXPECT_TRUE(std::isnan(low[4]) && !std::isnan(low[3]));
}

TEST_F(Merge, SweepsAreApart) {
  add_shard(0, 2, {0, 1});
  add_shard(0, 1, {0}, "config", "fine");
  EXPECT_EQ(merge_shards({run_, 0, kAll, 0}, sweep_id("fine")), run_.merged_path(sweep_id("fine")));
  EXPECT_FALSE(std::filesystem::exists(run_.merged_path(sweep_id("main"))));
  expect_error([&] { merge_shards({run_, 1, kAll, 0}, sweep_id("coarse")); }, {run_.root(), "no shards", "\"coarse\""});
}

TEST_F(Merge, ADamagedShardIsAnErrorThatNamesIt) {
  add_shard(0, 2, {0, 1});
  add_shard(2, 4, {2, 3});
  write_bytes(run_.shard_path(sweep_id("main"), 2, 4),
              read_bytes(run_.shard_path(sweep_id("main"), 2, 4)).substr(0, 3000));
  expect_error([&] { merge_shards({run_, 3, kAll, 0}, sweep_id("main")); }, {run_.shard_path(sweep_id("main"), 2, 4)});
}

TEST(DescribeSteps, InWords) {
  EXPECT_EQ(describe_steps({}), "");
  EXPECT_EQ(describe_steps({4}), "4");
  EXPECT_EQ(describe_steps({0, 3, 4, 5, 6, 7, 12}), "0, 3-7, 12");
  EXPECT_EQ(describe_steps({1, 2}), "1-2");
  EXPECT_EQ(describe_steps({0, 2, 4, 6, 8, 10, 12, 14}), "0, 2, 4, 6, 8, 10, 12, 14");
  EXPECT_EQ(describe_steps({0, 2, 4, 6, 8, 10, 12, 14, 16, 18}), "0, 2, 4, 6, 8, 10, 12, 14, …");
}

}  // namespace
}  // namespace gradscape::testing
