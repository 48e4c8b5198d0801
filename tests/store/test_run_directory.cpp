#include <fmt/format.h>
#include <gtest/gtest.h>

#include "gradscape/host/process_identity.hpp"
#include "gradscape/store/run_directory.hpp"
#include "support/errors.hpp"
#include "support/surveys.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

namespace fs = std::filesystem;

/// An empty file, with the folders on the way.
void touch(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  write_bytes(path, "");
}

// docs/format.md
TEST(RunDirectory, NamesFilesAsDocumented) {
  const RunDirectory run("runs/x");
  EXPECT_EQ(run.root(), "runs/x");
  EXPECT_EQ(run.config_path(), "runs/x/config.toml");
  EXPECT_EQ(run.checkpoint_path(500), "runs/x/checkpoints/step-00000500.h5");
  EXPECT_EQ(run.checkpoint_path(1'234'567'890), "runs/x/checkpoints/step-1234567890.h5");
  EXPECT_EQ(run.trace_path(0, 500), "runs/x/trace/segment-00000000-00000500.h5");
  EXPECT_EQ(run.shard_path(sweep_id("main"), 1000, 1001), "runs/x/sweep/main/segment-00001000-00001001.h5");
  EXPECT_EQ(run.partial_path(sweep_id("main"), 500, 1000), "runs/x/sweep/main/partial/segment-00000500-00001000.h5");
  EXPECT_EQ(run.merged_path(sweep_id("main")), "runs/x/landscape.h5");
  EXPECT_EQ(run.merged_path(sweep_id("fine")), "runs/x/landscape-fine.h5");
}

TEST(RunDirectory, ListsWhatIsThereInOrderOfSteps) {
  const TemporaryDirectory directory;
  const RunDirectory run(directory.path());
  EXPECT_FALSE(run.holds_run());
  EXPECT_TRUE(run.checkpoint_steps().empty());
  EXPECT_TRUE(run.trace_files().empty());
  EXPECT_TRUE(run.surveys().empty());

  // Numbers past eight digits sort as numbers, not as texts.
  for (const std::int64_t step :
       {std::int64_t{1'000'000'000}, std::int64_t{0}, std::int64_t{99'999'999}, std::int64_t{7}})
    touch(run.checkpoint_path(step));
  touch(run.trace_path(500, 1000));
  touch(run.trace_path(0, 500));
  touch(run.trace_path(500, 700));
  touch(run.shard_path(sweep_id("main"), 0, 500));
  touch(run.shard_path(sweep_id("fine"), 500, 501));
  touch(run.config_path());
  EXPECT_FALSE(run.holds_run()) << "files of these names may be anybody's";
  run.mark();
  EXPECT_TRUE(run.holds_run());
  EXPECT_EQ(run.checkpoint_steps(), (std::vector<std::int64_t>{0, 7, 99'999'999, 1'000'000'000}));
  std::vector<std::pair<std::int64_t, std::int64_t>> traces;
  for (const SegmentFile& file : run.trace_files()) {
    traces.emplace_back(file.first, file.last);
    EXPECT_EQ(file.path, run.trace_path(file.first, file.last));
  }
  EXPECT_EQ(traces, (std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 500}, {500, 700}, {500, 1000}}));
  EXPECT_EQ(run.surveys(), (std::vector<SurveyId>{sweep_id("fine"), sweep_id("main")}));
  ASSERT_EQ(run.shard_files(sweep_id("fine")).size(), 1u);
  EXPECT_EQ(run.shard_files(sweep_id("fine"))[0].first, 500);
  EXPECT_TRUE(run.shard_files(sweep_id("coarse")).empty());
}

TEST(RunDirectory, PartialShardsAreNoShards) {
  const TemporaryDirectory directory;
  const RunDirectory run(directory.path());
  for (const auto& path : {run.shard_path(sweep_id("main"), 0, 5), run.partial_path(sweep_id("main"), 5, 9),
                           run.partial_path(sweep_id("main"), 9, 12)})
    touch(path);
  EXPECT_EQ(run.surveys(), std::vector<SurveyId>{sweep_id("main")});
  ASSERT_EQ(run.shard_files(sweep_id("main")).size(), 1u);
  ASSERT_EQ(run.partial_files(sweep_id("main")).size(), 2u);
  EXPECT_EQ(run.partial_files(sweep_id("main"))[0].path, run.partial_path(sweep_id("main"), 5, 9));
  run.remove_beyond(9);
  ASSERT_EQ(run.partial_files(sweep_id("main")).size(), 1u);
  EXPECT_EQ(run.partial_files(sweep_id("main"))[0].last, 9);
  EXPECT_EQ(run.shard_files(sweep_id("main")).size(), 1u);
}

TEST(RunDirectory, OverlooksTemporaryAndForeignFiles) {
  const TemporaryDirectory directory;
  const RunDirectory run(directory.path());
  touch(run.checkpoint_path(3));
  for (const char* name : {".step-00000004.h5.tmp-123", "step-00000005.h5~", "step-.h5", "best.h5", "step-00000006.txt",
                           "my-step-00000007.h5"})
    touch(run.root() + "/checkpoints/" + name);
  touch(run.trace_path(0, 3));
  for (const char* name :
       {".segment-00000003-00000006.h5.tmp-9", "segment-00000003.h5", "segment-00000003-00000006.h5.bak"})
    touch(run.root() + "/trace/" + name);
  EXPECT_EQ(run.checkpoint_steps(), std::vector<std::int64_t>{3});
  ASSERT_EQ(run.trace_files().size(), 1u);
}

TEST(RunDirectory, RemovesTheRunAndNothingElse) {
  const TemporaryDirectory directory;
  const RunDirectory run(directory.path());
  for (const auto& path :
       {run.config_path(), run.checkpoint_path(0), run.trace_path(0, 5), run.shard_path(sweep_id("main"), 0, 5),
        run.partial_path(sweep_id("main"), 5, 9), run.merged_path(sweep_id("main")), run.merged_path(sweep_id("fine")),
        run.root() + "/shift.h5", run.root() + "/theorem.partial.h5"})
    touch(path);
  run.mark();
  for (const char* name : {"notes.txt", "figure.png", "landscape.png", "other/config.toml"}) touch(directory / name);
  run.remove_run();
  EXPECT_EQ(all_names(directory.path()),
            (std::vector<std::string>{"figure.png", "landscape.png", "notes.txt", "other", "other/config.toml"}));
  EXPECT_FALSE(run.holds_run());
  EXPECT_NO_THROW(run.remove_run()) << "nothing to remove is no mistake";
}

/// A run without data.
void make_run(const std::string& folder) {
  touch(folder + "/config.toml");
  RunDirectory(folder).mark();
}

// Temporary files of the living and of unknown processes stay, those of the dead go.
TEST(RunDirectory, RemovesRemainsOfTheDead) {
  const TemporaryDirectory directory;
  const RunDirectory run(directory.path());
  const std::string space = this_process().space, host = this_process().host;
  const std::string dead = fmt::format(".step-00000004.h5.tmp-{}-{}-{}-0badcafe", host, space, 4'000'000);
  const std::string living = ".step-00000008.h5.tmp-" + process_suffix();
  const std::string elsewhere = ".step-00000009.h5.tmp-elsewhere-0123456789abcdef-12-0badcafe";
  const std::string long_ago = ".step-00000010.h5.tmp-elsewhere-0123456789abcdef-12-0badcafe";
  for (const auto& name : {dead, living, elsewhere, long_ago}) touch(directory / "checkpoints/" + name);
  fs::last_write_time(directory / "checkpoints/" + long_ago, fs::file_time_type::clock::now() - std::chrono::hours(25));
  touch(directory / "sweep/main/partial/" + dead);
  run.remove_remains();
  EXPECT_EQ(all_names(directory / "checkpoints"), (std::vector<std::string>{living, elsewhere}));
  EXPECT_TRUE(all_names(directory / "sweep/main/partial").empty());
}

TEST(FindRuns, TakesARunOrAFolderOfRuns) {
  const TemporaryDirectory directory;
  make_run(directory / "study/none");
  make_run(directory / "study/bn");
  make_run(directory / "study/.hidden");
  touch(directory / "study/config.toml");  // the study's own
  touch(directory / "study/empty/file");
  const auto study = find_runs(directory / "study");
  ASSERT_EQ(study.size(), 2u);
  EXPECT_EQ(study[0].root(), directory / "study/bn");
  EXPECT_EQ(study[1].root(), directory / "study/none");
  const auto one = find_runs(directory / "study/bn");
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].root(), directory / "study/bn");
  expect_error([&] { find_runs(directory / "study/empty"); }, {directory / "study/empty", "holds no run"});
  expect_error([&] { find_runs(directory / "nowhere"); }, {directory / "nowhere", "does not exist"});
}

TEST(RunDirectory, FindsSeedsBelowVariants) {
  TemporaryDirectory directory;
  for (const std::string place :
       {"bn/seed-2", "bn/seed-10", "bn-2", "none/seed-1", "none/seed-1/deeper", "a/b/too-deep"}) {
    make_run(directory / place);
  }
  std::vector<std::string> found;
  for (const RunDirectory& run : find_runs(directory.path()))
    found.push_back(run.root().substr(directory.path().size() + 1));
  EXPECT_EQ(found, (std::vector<std::string>{"bn/seed-10", "bn/seed-2", "bn-2", "none/seed-1"}));
  EXPECT_EQ(seed_of_folder("x/seed-7"), 7);
  EXPECT_EQ(seed_of_folder("x/seed-7/"), std::nullopt);
  for (const char* name : {"seed-", "seed-07", "seed-7x", "seeds-7", "seed--"})
    EXPECT_EQ(seed_of_folder(name), std::nullopt);
}

}  // namespace
}  // namespace gradscape::testing
