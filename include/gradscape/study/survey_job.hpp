#pragma once

#include <string>

#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/study/survey_plan.hpp"

namespace gradscape {

/// What is asked of a survey.
struct SurveyRequest {
  SurveyId id;
  SurveySettings settings = {};  // what is not given is as the survey's shards have it
};

/// Looks at the selected steps of `segments`, some or all that plan_survey() finds, by replaying each from its
/// checkpoint; writes one shard per segment. Shards that are there are left alone, and completed where they were made
/// for fewer steps. `experiment` is the run's stored configuration with [sweep] and data.path as wanted. Error where a
/// replayed step differs from the recorded one. On a signal (host/interrupt.hpp) finishes the step, saves the rows of
/// the segment as a partial shard, which the next call continues, and throws interruption().
/// Returns how many shards were made.
std::size_t survey_run(const SurveyRequest& request, const Experiment& experiment, const RunDirectory& directory,
                       const std::vector<Segment>& segments);

}  // namespace gradscape
