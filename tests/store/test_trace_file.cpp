#include <gtest/gtest.h>

#include <limits>

#include "gradscape/store/trace_file.hpp"
#include "support/errors.hpp"
#include "support/h5_inspect.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Steps [first, last) with values that tell every cell apart, and a test after `last` updates.
Trace make_trace(std::int64_t first, std::int64_t last) {
  Trace trace;
  for (std::int64_t step = first; step < last; ++step) {
    const auto x = static_cast<double>(step);
    trace.steps.push_back({step, x + 0.1, x + 0.2, x + 0.3, x + 0.4, x + 0.5, x + 0.6, x + 0.7});
  }
  const auto x = static_cast<double>(last);
  trace.tests.push_back({last, x + 0.8, x + 0.9});
  return trace;
}

void expect_same(const TraceRecord& a, const TraceRecord& b) {
  EXPECT_TRUE(same_record(a, b)) << a.step;
  EXPECT_TRUE(same_bits(a.seconds, b.seconds));
}

TEST(TraceFile, ComesBackBitForBit) {
  const TemporaryDirectory directory;
  const std::string path = directory / "trace.h5";
  Trace trace = make_trace(100, 105);
  trace.steps[1].loss = kNan;
  trace.steps[2].loss = kInfinity;
  trace.steps[2].grad_norm = -kInfinity;
  trace.steps[3].lr = 5e-324;
  trace.steps[3].accuracy = -0.0;
  trace.tests.push_back({107, kNan, 0.0});
  write_trace(path, {}, trace);
  const Trace back = read_trace(path);
  ASSERT_EQ(back.steps.size(), trace.steps.size());
  for (std::size_t i = 0; i < trace.steps.size(); ++i) expect_same(back.steps[i], trace.steps[i]);
  ASSERT_EQ(back.tests.size(), 2u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(back.tests[i].step, trace.tests[i].step);
    EXPECT_TRUE(same_bits(back.tests[i].loss, trace.tests[i].loss));
    EXPECT_TRUE(same_bits(back.tests[i].accuracy, trace.tests[i].accuracy));
  }
  EXPECT_EQ(open_published(path, "trace").text_attribute("/", "file_type"), "trace");
}

TEST(TraceFile, WithoutTestsOrSteps) {
  const TemporaryDirectory directory;
  const std::string path = directory / "trace.h5";
  Trace trace = make_trace(0, 3);
  trace.tests.clear();
  write_trace(path, {}, trace);
  EXPECT_EQ(read_trace(path).steps.size(), 3u);
  EXPECT_TRUE(read_trace(path).tests.empty());
  write_trace(path, {}, {});
  EXPECT_TRUE(read_trace(path).steps.empty());
}

// The names, units and dimensions that docs/format.md promises.
TEST(TraceFile, DescribesItself) {
  const TemporaryDirectory directory;
  const std::string path = directory / "trace.h5";
  write_trace(path, {}, make_trace(0, 4));
  const std::vector<std::pair<std::string, std::string>> steps = {
      {"/loss", "loss"},         {"/accuracy", "1"},         {"/lr", "1"},     {"/grad_norm", "loss/weight"},
      {"/theta_norm", "weight"}, {"/update_norm", "weight"}, {"/seconds", "s"}};
  for (const auto& [name, units] : steps) {
    const RawDataset dataset(path, name);
    EXPECT_EQ(dataset.shape(), h5::Shape{4}) << name;
    EXPECT_EQ(dataset.scales(0), std::vector<std::string>{"step"}) << name;
    EXPECT_EQ(dataset.text_attribute("units"), units) << name;
    EXPECT_FALSE(dataset.text_attribute("long_name").empty()) << name;
    EXPECT_TRUE(dataset.has_checksum()) << name;
  }
  for (const std::string name : {"/test_loss", "/test_accuracy"})
    EXPECT_EQ(RawDataset(path, name).scales(0), std::vector<std::string>{"test_step"}) << name;
  EXPECT_TRUE(RawDataset(path, "/step").is_scale());
  EXPECT_TRUE(RawDataset(path, "/test_step").is_scale());
  EXPECT_EQ(h5::File::open(path).type_name("/step"), "int64");
  EXPECT_EQ(h5::File::open(path).members("/").size(), 11u) << "and nothing else";
}

TEST(TraceFile, DamageInAnyVariableIsCaught) {
  const TemporaryDirectory directory;
  const std::string path = directory / "trace.h5";
  write_trace(path, {}, make_trace(0, 4));
  const std::string whole = read_bytes(path);
  std::vector<std::string> names;
  { names = h5::File::open(path).members("/"); }
  for (const auto& name : names) {
    write_bytes(path, whole);
    damage_dataset(path, "/" + name);
    expect_error([&] { read_trace(path); }, {path, "/" + name});
  }
}

TEST(TraceFile, VariablesMustFitTogether) {
  const TemporaryDirectory directory;
  const std::string path = directory / "trace.h5";
  Provenance origin;
  origin.file_type = "trace";
  publish_h5(path, origin, [](h5::File& file) { file.write("/step", std::vector<std::int64_t>{0, 1}); });
  expect_error([&] { read_trace(path); }, {path, "/loss"});
  publish_h5(path, origin, [](h5::File& file) {
    file.write("/step", std::vector<std::int64_t>{0, 1});
    file.write("/loss", std::vector<double>{1, 2, 3});
  });
  expect_error([&] { read_trace(path); }, {path, "loss", "lengths"});
}

TEST(WholeTrace, UnitesSegmentsOfARange) {
  const TemporaryDirectory directory;
  const RunDirectory run(directory.path());
  for (const auto& [first, last] : {std::pair{0, 5}, std::pair{5, 10}, std::pair{5, 8}, std::pair{10, 12}})
    write_trace(run.trace_path(first, last), {}, make_trace(first, last));  // [5, 8): before an interruption
  const WholeTrace all = read_whole_trace(run, 0, 12);
  ASSERT_EQ(all.steps.size(), 12u);
  const Trace expected = make_trace(0, 12);
  for (std::int64_t step = 0; step < 12; ++step)
    expect_same(all.steps.at(step), expected.steps[static_cast<std::size_t>(step)]);
  ASSERT_EQ(all.tests.size(), 4u);  // after 5, 8, 10 and 12 updates
  EXPECT_EQ(all.tests.at(12).loss, 12.8);

  const WholeTrace part = read_whole_trace(run, 4, 10);
  EXPECT_EQ(part.steps.size(), 6u);
  EXPECT_EQ(part.steps.begin()->first, 4);
  EXPECT_EQ(part.steps.rbegin()->first, 9);
  EXPECT_TRUE(read_whole_trace(run, 12, 20).steps.empty());
  EXPECT_TRUE(read_whole_trace(RunDirectory(directory / "nothing"), 0, 5).steps.empty());
}

TEST(WholeTrace, ReadsOnlyTheSegmentsItNeeds) {
  const TemporaryDirectory directory;
  const RunDirectory run(directory.path());
  write_trace(run.trace_path(0, 5), {}, make_trace(0, 5));
  write_trace(run.trace_path(5, 10), {}, make_trace(5, 10));
  write_bytes(run.trace_path(10, 15), "damaged");
  EXPECT_EQ(read_whole_trace(run, 0, 10).steps.size(), 10u);
  expect_error([&] { read_whole_trace(run, 0, 11); }, {run.trace_path(10, 15)});
}

}  // namespace
}  // namespace gradscape::testing
