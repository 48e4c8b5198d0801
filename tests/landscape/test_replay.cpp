// Replay takes a run's steps again, to the same bits, and says where it cannot.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradscape/landscape/replay.hpp"
#include "support/errors.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

using Recorded = std::map<std::int64_t, TraceRecord>;

Recorded by_step(const std::vector<TraceRecord>& trace) {
  Recorded recorded;
  for (const auto& record : trace) recorded[record.step] = record;
  return recorded;
}

template <class S>
class ReplayOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ReplayOf, Scalars);

TYPED_TEST(ReplayOf, FromTheMiddleGivesTheSameBits) {
  using S = TypeParam;
  for (const SmallRun& run : {mlp_run(9), vgg_run(3)}) {
    const auto process = run.process<S>();
    const auto trained = train_from(*process, process->initial_state());
    const std::int64_t first = run.train.steps / 2, last = run.train.steps - 1;
    auto state = trained.before[static_cast<std::size_t>(first)];
    // A process of its own, as in another program run.
    const auto again = run.process<S>();
    std::vector<TraceRecord> seen;
    EXPECT_TRUE(replay<S>(*again, state, last, by_step(trained.trace),
                          [&](const StepView<S>& view) { seen.push_back(view.record); }, {}));
    EXPECT_TRUE(same_state(state, trained.before[static_cast<std::size_t>(last)]));
    EXPECT_NO_THROW(require_same_state(state, trained.before[static_cast<std::size_t>(last)], "here"));
    ASSERT_EQ(static_cast<std::int64_t>(seen.size()), last - first);
    for (std::size_t i = 0; i < seen.size(); ++i)
      EXPECT_TRUE(same_record(seen[i], trained.trace[i + static_cast<std::size_t>(first)]));
  }
}

/// A finished run to replay with records that the test may falsify.
struct Finished {
  SmallRun run = mlp_run(6);
  std::unique_ptr<TrainingProcess<float>> process = run.process<float>();
  Training<float> trained = train_from(*process, process->initial_state());
  Recorded recorded = by_step(trained.trace);
  TrainingState<float> state = trained.before[2];
};

TEST(Replay, NamesTheFirstStepWhoseLossDiffers) {
  Finished f;
  const double loss = f.recorded[4].loss;
  const double falsified = std::nextafter(loss, 10.0);  // one bit
  f.recorded[4].loss = falsified;
  std::vector<std::int64_t> seen;
  const auto action = [&] {
    replay<float>(*f.process, f.state, 6, f.recorded,
                  [&](const StepView<float>& view) { seen.push_back(view.record.step); }, {});
  };
  expect_error(action, {"step 4", fmt::format("{}", loss), fmt::format("{}", falsified), "hint"});
  EXPECT_EQ(seen, (std::vector<std::int64_t>{2, 3})) << "the step that differs is not handed on";
}

TEST(Replay, ComparesAllThatIsRecordedButTime) {
  const std::pair<std::string, double TraceRecord::*> values[] = {{"accuracy", &TraceRecord::accuracy},
                                                                  {"lr", &TraceRecord::lr},
                                                                  {"grad_norm", &TraceRecord::grad_norm},
                                                                  {"theta_norm", &TraceRecord::theta_norm},
                                                                  {"update_norm", &TraceRecord::update_norm}};
  for (const auto& [name, value] : values) {
    Finished f;
    f.recorded[4].*value = 0;  // as of a lost sector
    expect_error([&] { replay<float>(*f.process, f.state, 6, f.recorded, {}, {}); },
                 {"step 4", "the " + name + " is ", "0 recorded"});
  }
  Finished f;
  f.recorded[4].seconds = 0;
  EXPECT_NO_THROW(replay<float>(*f.process, f.state, 6, f.recorded, {}, {}));
}

TEST(Replay, NamesAStepThatWasNotRecorded) {
  Finished f;
  f.recorded.erase(3);
  expect_error([&] { replay<float>(*f.process, f.state, 6, f.recorded, {}, {}); }, {"step 3 was not recorded"});
}

TEST(Replay, StopsWhenToldTo) {
  Finished f;
  int asked = 0;
  EXPECT_FALSE(replay<float>(*f.process, f.state, 6, f.recorded, {}, [&] { return ++asked <= 2; }));
  EXPECT_TRUE(same_state(f.state, f.trained.before[4]));
  EXPECT_TRUE(replay<float>(*f.process, f.state, 6, f.recorded, {}, [] { return true; })) << "and goes on from there";
  EXPECT_TRUE(same_state(f.state, f.trained.state));
}

TEST(Replay, OfNoStepsNeedsNoRecords) {
  Finished f;
  EXPECT_TRUE(replay<float>(*f.process, f.state, 2, {}, {}, {}));
  EXPECT_TRUE(same_state(f.state, f.trained.before[2]));
}

// A diverged run replays too: its NaN losses agree, whatever the NaN's sign, and so do its NaN weights.
TEST(Replay, NanEqualsNan) {
  SmallRun run = mlp_run(6);
  run.model.norm = "none";
  run.train.optimizer = "sgd";
  run.train.lr = 1e38;
  const auto process = run.process<float>();
  const auto trained = train_from(*process, process->initial_state());
  ASSERT_TRUE(std::isnan(trained.trace[5].loss));
  ASSERT_TRUE(std::isnan(trained.state.theta[0]));
  auto recorded = by_step(trained.trace);
  recorded[5].loss = std::copysign(kNan, std::signbit(recorded[5].loss) ? 1.0 : -1.0);
  auto state = process->initial_state();
  EXPECT_TRUE(replay<float>(*process, state, 6, recorded, {}, {}));
  EXPECT_NO_THROW(require_same_state(state, trained.state, "here"));
  recorded[5].loss = 1.0;
  state = process->initial_state();
  expect_error([&] { replay<float>(*process, state, 6, recorded, {}, {}); }, {"step 5", "nan replayed", "1 recorded"});
}

TEST(RequireSameState, NamesTheFirstElementThatDiffers) {
  const Finished f;
  const TrainingState<float>& stored = f.trained.before[3];
  ASSERT_EQ(stored.optimizer.names, (std::vector<std::string>{"exp_avg", "exp_avg_sq"}));
  const auto expect_named = [&](auto&& change, const std::vector<std::string>& words) {
    auto replayed = stored;
    change(replayed);
    std::vector<std::string> expected = words;
    expected.emplace_back("checkpoints/step-3");
    expect_error([&] { require_same_state(replayed, stored, "checkpoints/step-3"); }, expected);
  };
  const auto text = [](float value) { return fmt::format("{}", value); };
  expect_named([](auto& s) { s.theta[17] = 42.5f, s.theta[20] = 43.5f; },
               {"theta[17]", "42.5 replayed", text(stored.theta[17]) + " stored"});
  expect_named([](auto& s) { s.buffers[1] = 42.5f; }, {"buffers[1]", "42.5", text(stored.buffers[1])});
  expect_named([](auto& s) { s.optimizer.slots[0][5] = 42.5f; }, {"exp_avg[5]", "42.5"});
  expect_named([](auto& s) { s.optimizer.slots[1][6] = 42.5f; }, {"exp_avg_sq[6]", "42.5"});
  expect_named([](auto& s) { s.theta[3] = std::numeric_limits<float>::quiet_NaN(); }, {"theta[3]", "nan replayed"});
  expect_named([](auto& s) { s.theta.conservativeResize(s.theta.size() - 1); }, {"theta has"});
}

// "Agree in every bit": a zero of the other sign would make the next step's bits differ, a count of updates Adam's.
TEST(RequireSameState, KnowsSignedZerosAndCounts) {
  const Finished f;
  auto stored = f.trained.before[3];
  stored.theta[7] = 0.0f;
  auto replayed = stored;
  replayed.theta[7] = -0.0f;
  expect_error([&] { require_same_state(replayed, stored, "here"); }, {"theta[7]", "-0"});
  replayed = stored;
  ++replayed.optimizer.updates;
  expect_error([&] { require_same_state(replayed, stored, "here"); }, {"updates", "4", "3"});
  replayed = stored;
  ++replayed.step;
  expect_error([&] { require_same_state(replayed, stored, "here"); }, {"step", "4", "3"});
}

}  // namespace
}  // namespace gradscape::testing
