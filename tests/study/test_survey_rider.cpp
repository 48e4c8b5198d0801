// What a survey is shown of training that it rides on.
#include <gtest/gtest.h>

#include "gradscape/study/survey_rider.hpp"
#include "support/errors.hpp"
#include "support/study_runs.hpp"

namespace gradscape::testing {
namespace {

using Steps = std::vector<std::int64_t>;

/// What a survey was shown. Each step needs the one at which its four begin, as noise floors do.
struct Shown {
  Steps prepared, added;
};

class Recorder : public StepSurvey<float> {
 public:
  explicit Recorder(Shown& shown) : shown_(shown) {}
  Table begin() const override { return {"recorded", {}, {step_dimension()}, {}}; }
  void add(const StepView<float>& view, Table& table) override {
    shown_.added.push_back(view.record.step);
    table.dimensions.front().values.push_back(static_cast<double>(view.record.step));
  }
  std::int64_t needs(std::int64_t step) const override {
    const std::int64_t at = step / 4 * 4;
    return at == step || (!shown_.prepared.empty() && shown_.prepared.back() == at) ? -1 : at;
  }
  void prepare(const StepView<float>& view) override { shown_.prepared.push_back(view.record.step); }

 private:
  Shown& shown_;
};

class Rider : public StudyRun {
 protected:
  SurveyRider<float> rider(const Steps& wanted) {
    return {std::make_unique<Recorder>(shown_), [wanted](std::int64_t step) {
              const auto next = std::lower_bound(wanted.begin(), wanted.end(), step);
              return next == wanted.end() ? kNoStep : *next;
            }};
  }
  void ride(SurveyRider<float>& rider, std::int64_t last) {
    while (state_.step < last) run_.process().advance(state_, [&](const StepView<float>& view) { rider.see(view); });
  }

  Shown shown_;
  RunDirectory directory_ = trained("run");
  OpenRun<float> run_{small_experiment(), directory_};
  TrainingState<float> state_ = run_.process().initial_state();
};

TEST_F(Rider, AddsWhatIsWantedAndPreparesWhatThatNeeds) {
  auto rider = this->rider({2, 3, 4, 9});
  ride(rider, 10);
  EXPECT_EQ(shown_.added, (Steps{2, 3, 4, 9}));
  EXPECT_EQ(shown_.prepared, (Steps{0, 8})) << "4 begins its own four, and nothing is wanted of 5 to 7";
  EXPECT_EQ(rider.rows().rows().values, (std::vector<double>{2, 3, 4, 9}));
  rider.clear();
  EXPECT_EQ(rider.rows().size(), 0U);
}

TEST_F(Rider, BegunInTheMiddleIsShownTheStepBeforeByReplay) {
  auto rider = this->rider({2, 7, 9});
  state_ = run_.checkpoint(4);
  ride(rider, 4);
  run_.process().advance(state_, {});
  run_.process().advance(state_, {});
  EXPECT_TRUE(rider.prepare(6, run_));
  EXPECT_EQ(shown_.prepared, Steps{4});
  ride(rider, 10);
  EXPECT_EQ(shown_.added, (Steps{7, 9}));
  EXPECT_EQ(shown_.prepared, (Steps{4, 8}));
}

TEST_F(Rider, PiecesMayComeInAnyOrder) {
  auto rider = this->rider({2, 9});
  state_ = run_.checkpoint(8);
  ride(rider, 10);
  rider.clear();
  state_ = run_.checkpoint(0);
  ride(rider, 4);
  EXPECT_EQ(shown_.added, (Steps{9, 2}));
  EXPECT_EQ(rider.rows().rows().values, std::vector<double>{2});
}

TEST_F(Rider, ReplaysNothingWithoutNeed) {
  std::filesystem::remove_all(directory_.root() + "/trace");  // so that a replay would fail
  for (const Steps& wanted : {Steps{}, Steps{2}, Steps{8}, Steps{9}}) {
    auto rider = this->rider(wanted);
    EXPECT_TRUE(rider.prepare(4, run_));  // of 9, step 8 is still to come
  }
  EXPECT_EQ(shown_.prepared, Steps{});
  auto rider = this->rider({7});
  expect_error([&] { rider.prepare(6, run_); }, {"step 4 was not recorded"});
}

}  // namespace
}  // namespace gradscape::testing
