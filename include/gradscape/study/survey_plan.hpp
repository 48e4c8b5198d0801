// What a survey consists of: the segments of a run that hold selected steps, one shard each.
#pragma once

#include <cstdint>
#include <vector>

#include "gradscape/config/experiment.hpp"
#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// A piece of training whose selected steps make one shard.
struct Segment {
  std::int64_t first = 0;
  std::int64_t last = 0;  // exclusive
  std::vector<std::int64_t> probed;
};

/// The checkpoints that a run of `total` steps will have at its end, where it has those of `steps` (ascending) now.
std::vector<std::int64_t> planned_checkpoints(std::vector<std::int64_t> steps, std::int64_t every, std::int64_t total);

/// The pieces between successive checkpoints that hold steps which `options` select; at the end of a finished run of
/// `total` steps the step after its last update is a piece of its own.
std::vector<Segment> plan_segments(const std::vector<std::int64_t>& checkpoints, const SweepOptions& options,
                                   std::int64_t total);

/// The pieces of a surface of so many points, in the order of work: as many as make some 128 shards.
std::vector<Segment> plan_points(std::size_t points);

/// Those of a surface that was begun, as its first shard that can be read says; none where there is none.
std::vector<Segment> plan_begun_surface(const RunDirectory& directory, const SurveyId& survey);

/// Whether the survey has steps: not a sweep with sweep.kind = "runs", whose band is across runs.
inline bool has_steps(const SurveyId& survey, const Experiment& experiment) {
  return survey.kind != "sweep" || experiment.sweep.kind != "runs";
}

/// The segments of a run for experiment.sweep, from its checkpoints alone: shards and data are not looked at. Error
/// where there is no checkpoint, UsageError where [sweep] selects steps that the run does not have.
std::vector<Segment> plan_survey(const RunDirectory& directory, const Experiment& experiment, const SurveyId& survey);

}  // namespace gradscape
