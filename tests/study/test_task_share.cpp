// Which task is meant, and what each of several takes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "gradscape/study/survey_plan.hpp"
#include "gradscape/study/task_share.hpp"
#include "support/errors.hpp"
#include "support/hash_values.hpp"

namespace gradscape::testing {
namespace {

using Variables = std::map<std::string, std::string>;

Environment environment(const Variables& variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

/// "index/count"
std::string task(const std::string& text, const Variables& variables = {}) {
  const TaskShare share = parse_task(text, environment(variables));
  return fmt::format("{}/{}", share.index, share.count);
}

const Variables kOpenMpi{{"OMPI_COMM_WORLD_RANK", "2"}, {"OMPI_COMM_WORLD_SIZE", "5"}};
const Variables kPmi{{"PMI_RANK", "3"}, {"PMI_SIZE", "6"}};
const Variables kSrun{{"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "4"}};
const Variables kBatchScript{{"SLURM_PROCID", "0"}};

Variables array(const char* id, const char* min, const char* max, const char* step, const char* count) {
  return {{"SLURM_ARRAY_TASK_ID", id},
          {"SLURM_ARRAY_TASK_MIN", min},
          {"SLURM_ARRAY_TASK_MAX", max},
          {"SLURM_ARRAY_TASK_STEP", step},
          {"SLURM_ARRAY_TASK_COUNT", count}};
}

Variables operator+(Variables a, const Variables& b) {
  a.insert(b.begin(), b.end());
  return a;
}

TEST(ParseTask, TakesAShare) {
  EXPECT_EQ(task("0/1"), "0/1");
  EXPECT_EQ(task("0/7"), "0/7");
  EXPECT_EQ(task("6/7"), "6/7");
  EXPECT_EQ(task("1/3", kOpenMpi), "1/3") << "what is said counts before what a launcher set";
}

TEST(ParseTask, RefusesWhatIsNoShare) {
  for (const char* text : {"", "/", "1", "1/", "/3", "a/3", "1/b", "1/3/5", "1 /3", "1/3 ", "0x1/3", "1.0/3", "AUTO",
                           "99999999999/3", "1/99999999999", "+1/3"})
    expect_error<UsageError>([&] { task(text); }, {"--task", fmt::format("\"{}\"", text), "i/n"});
  for (const char* text : {"3/3", "-1/3", "7/3"})
    expect_error<UsageError>([&] { task(text); }, {"--task", "no task", "0/3", "2/3"});
  for (const char* text : {"0/0", "0/-2"}) expect_error<UsageError>([&] { task(text); }, {"--task", "1 or more"});
}

TEST(TaskOfEnvironment, ReadsEachLauncher) {
  EXPECT_EQ(task("auto", kOpenMpi), "2/5");
  EXPECT_EQ(task("auto", kPmi), "3/6");
  EXPECT_EQ(task("auto", kSrun), "1/4");
  EXPECT_EQ(task("auto", array("5", "0", "7", "1", "8")), "5/8");
  EXPECT_EQ(task("auto", array("1", "1", "3", "1", "3")), "0/3") << "an array may count from 1";
}

// As Slurm 22.05 sets them for --array=1-7:3: the identifiers are 1, 4 and 7, and the count is 3.
TEST(TaskOfEnvironment, ReadsAnArrayWithSteps) {
  EXPECT_EQ(task("auto", array("1", "1", "7", "3", "3")), "0/3");
  EXPECT_EQ(task("auto", array("4", "1", "7", "3", "3")), "1/3");
  EXPECT_EQ(task("auto", array("7", "1", "7", "3", "3")), "2/3");
}

TEST(TaskOfEnvironment, RefusesAnArrayWithGaps) {
  for (const char* id : {"2", "3", "5"})  // --array=2,3,5
    expect_error<UsageError>([&] { task("auto", array(id, "2", "5", "1", "3")); },
                             {"gaps", "--task $SLURM_ARRAY_TASK_ID/n"});
  expect_error<UsageError>([&] { task("auto", array("2", "1", "7", "3", "3")); }, {"--task auto"});
  expect_error<UsageError>([&] { task("auto", array("1", "1", "7", "0", "3")); }, {"--task auto"});
}

// Under mpirun in a batch script every rank has SLURM_PROCID=0, and so has the script of every array task.
TEST(TaskOfEnvironment, AsksInOneOrder) {
  const Variables tasks = array("4", "1", "7", "3", "3");
  EXPECT_EQ(task("auto", kOpenMpi + kBatchScript), "2/5");
  EXPECT_EQ(task("auto", kOpenMpi + kSrun), "2/5");
  EXPECT_EQ(task("auto", kOpenMpi + kPmi), "2/5");
  EXPECT_EQ(task("auto", kOpenMpi + tasks), "2/5");
  EXPECT_EQ(task("auto", kPmi + tasks), "3/6");
  EXPECT_EQ(task("auto", kPmi + kSrun), "3/6");
  EXPECT_EQ(task("auto", tasks + kBatchScript), "1/3");
  EXPECT_EQ(task("auto", tasks + kSrun), "1/3");
}

TEST(TaskOfEnvironment, ALauncherOfOneTaskGivesWay) {
  const Variables one_rank{{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}};
  const Variables one_pmi{{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}};
  EXPECT_EQ(task("auto", one_rank), "0/1");
  EXPECT_EQ(task("auto", one_rank + array("2", "0", "3", "1", "4")), "2/4");
  EXPECT_EQ(task("auto", one_pmi + array("2", "0", "3", "1", "4")), "2/4");
  EXPECT_EQ(task("auto", one_rank + kSrun), "1/4");
  EXPECT_EQ(task("auto", array("9", "9", "9", "1", "1") + kSrun), "0/1") << "an array of one is an array";
  EXPECT_EQ(task("auto", {{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}}), "0/1");
}

TEST(TaskOfEnvironment, NamesTheVariablesWhereNoneIsSet) {
  for (const Variables& variables : {Variables{}, kBatchScript})
    expect_error<UsageError>([&] { task("auto", variables); },
                             {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "--task i/n"});
}

TEST(TaskOfEnvironment, RefusesHalvesAndText) {
  expect_error<UsageError>(
      [] {
        task("auto", {{"OMPI_COMM_WORLD_RANK", "1"}});
      },
      {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"});
  expect_error<UsageError>([] { task("auto", {{"PMI_RANK", "1"}}); }, {"PMI_SIZE"});
  expect_error<UsageError>([] { task("auto", {{"SLURM_ARRAY_TASK_ID", "1"}}); }, {"SLURM_ARRAY_TASK_MIN"});
  expect_error<UsageError>([] { task("auto", {{"PMI_RANK", "first"}, {"PMI_SIZE", "2"}}); }, {"PMI_RANK", "first"});
  expect_error<UsageError>(
      [] {
        task("auto", {{"PMI_RANK", "2"}, {"PMI_SIZE", "2"}});
      },
      {"PMI_RANK", "no task 2 of 2"});
}

TEST(AssignTasks, EqualSegmentsAreDealtEvenly) {
  EXPECT_EQ(assign_tasks({4, 4, 4, 4, 4, 4}, 3), (std::vector<int>{0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(assign_tasks({4, 4, 4}, 1), (std::vector<int>{0, 0, 0}));
  EXPECT_EQ(assign_tasks({5, 5, 5}, 3), (std::vector<int>{0, 1, 2}));
  for (int segments = 1; segments <= 40; ++segments)
    for (int tasks = 1; tasks <= 45; ++tasks) {
      const auto assigned = assign_tasks(std::vector<std::int64_t>(segments, 7), tasks);
      for (int i = 0; i < tasks; ++i)
        EXPECT_LE(std::count(assigned.begin(), assigned.end(), i), (segments + tasks - 1) / tasks);
    }
}

TEST(AssignTasks, BalancesByCostNotByNumber) {
  EXPECT_EQ(assign_tasks({90, 10, 10, 10, 10, 10, 10, 10, 10, 10}, 2),
            (std::vector<int>{0, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
}

TEST(AssignTasks, KeepsOrderAndItsBound) {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    std::vector<std::int64_t> costs(1 + hash32(0, seed) % 60);
    for (std::size_t i = 0; i < costs.size(); ++i) costs[i] = hash32(static_cast<Index>(i + 1), seed) % 50;
    const int tasks = 1 + static_cast<int>(hash32(99, seed) % 20);
    const auto assigned = assign_tasks(costs, tasks);
    ASSERT_EQ(assigned.size(), costs.size());
    EXPECT_TRUE(std::is_sorted(assigned.begin(), assigned.end()));
    EXPECT_GE(assigned.front(), 0);
    EXPECT_LT(assigned.back(), tasks);
    const double part = static_cast<double>(std::accumulate(costs.begin(), costs.end(), std::int64_t{0})) / tasks;
    const auto dearest = static_cast<double>(*std::max_element(costs.begin(), costs.end()));
    std::vector<double> load(tasks);
    for (std::size_t i = 0; i < costs.size(); ++i) load[assigned[i]] += static_cast<double>(costs[i]);
    EXPECT_LE(*std::max_element(load.begin(), load.end()), part + dearest);
  }
}

TEST(AssignTasks, TakesWhatCostsNothing) {
  EXPECT_TRUE(assign_tasks({}, 3).empty());
  EXPECT_EQ(assign_tasks({0, 0}, 3), (std::vector<int>{0, 0}));
  EXPECT_EQ(assign_tasks({5, 0}, 2), (std::vector<int>{1, 1}));
  EXPECT_EQ(assign_tasks({1'000'000'000'000, 1'000'000'000'000}, 100'000), (std::vector<int>{25'000, 75'000}));
}

TEST(PlanSegments, HoldsTheProbedStepsBetweenCheckpoints) {
  SweepOptions options;
  options.first = 2;
  options.every = 4;  // 2, 6, 10
  const auto plan = [&](const std::vector<std::int64_t>& checkpoints, std::int64_t total) {
    std::vector<std::vector<std::int64_t>> found;
    for (const Segment& segment : plan_segments(checkpoints, options, total)) {
      found.push_back({segment.first, segment.last});
      found.back().insert(found.back().end(), segment.probed.begin(), segment.probed.end());
    }
    return found;
  };
  using Plan = std::vector<std::vector<std::int64_t>>;
  EXPECT_EQ(plan({0, 5, 6, 10}, 10), (Plan{{0, 5, 2}, {6, 10, 6}, {10, 11, 10}})) << "[5, 6) holds no probed step";
  EXPECT_EQ(plan({0, 10}, 10), (Plan{{0, 10, 2, 6}, {10, 11, 10}}));
  EXPECT_EQ(plan({0, 5, 6, 10}, 20), (Plan{{0, 5, 2}, {6, 10, 6}})) << "training is not at its end";
  EXPECT_EQ(plan({0}, 20), Plan{});
}

}  // namespace
}  // namespace gradscape::testing
