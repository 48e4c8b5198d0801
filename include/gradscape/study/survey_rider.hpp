#pragma once

#include <functional>
#include <limits>
#include <memory>

#include "gradscape/landscape/step_survey.hpp"
#include "gradscape/study/open_run.hpp"

namespace gradscape {

inline constexpr std::int64_t kNoStep = std::numeric_limits<std::int64_t>::max();

/// A survey that rides on training, first or replayed: sees every step, and makes rows of those that are wanted.
template <class S>
class SurveyRider {
 public:
  /// `next(step)`: the first wanted step from `step` on, or kNoStep.
  SurveyRider(std::unique_ptr<StepSurvey<S>> survey, std::function<std::int64_t(std::int64_t)> next)
      : survey_(std::move(survey)), next_(std::move(next)), rows_(survey_->begin()) {}

  StepSurvey<S>& survey() { return *survey_; }
  const Table& rows() const { return rows_; }
  /// Before another piece of training, which may lie before the last one.
  void clear() {
    rows_ = without_rows(rows_);
    ahead_ = -1;
  }

  void see(const StepView<S>& view) {
    const std::int64_t step = view.record.step;
    if (ahead_ < step) ahead_ = next_(step);
    if (ahead_ == step)
      survey_->add(view, rows_);
    else if (ahead_ != kNoStep && survey_->needs(ahead_) == step)
      survey_->prepare(view);
  }

  /// Before the first step, `begin`, is seen: shows the survey, by replay, the earlier step that it needs, as where
  /// work begins inside of a segment. False where a signal came.
  bool prepare(std::int64_t begin, OpenRun<S>& run) {
    const std::int64_t wanted = next_(begin);
    if (wanted == kNoStep) return true;
    const std::int64_t needed = survey_->needs(wanted);
    if (needed < 0 || needed >= begin) return true;
    return run.look_at(needed, [&](const StepView<S>& view) { survey_->prepare(view); });
  }

 private:
  std::unique_ptr<StepSurvey<S>> survey_;
  std::function<std::int64_t(std::int64_t)> next_;
  Table rows_;
  std::int64_t ahead_ = -1;  // the first wanted step from the last one seen on
};

}  // namespace gradscape
