#include "gradscape/study/survey_plan.hpp"

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {

std::vector<Segment> plan_segments(const std::vector<std::int64_t>& checkpoints, const SweepOptions& options,
                                   std::int64_t total) {
  std::vector<Segment> segments;
  const auto add = [&](std::int64_t first, std::int64_t last) {
    Segment segment{first, last, {}};
    for (std::int64_t step = first; step < last; ++step)
      if (is_selected(options, step, total)) segment.probed.push_back(step);
    if (!segment.probed.empty()) segments.push_back(segment);
  };
  for (std::size_t i = 0; i + 1 < checkpoints.size(); ++i) add(checkpoints[i], checkpoints[i + 1]);
  if (checkpoints.back() == total) add(total, total + 1);
  return segments;
}

std::vector<Segment> plan_points(std::size_t points) {
  constexpr std::size_t kShards = 128;
  const std::size_t size = std::max<std::size_t>(1, (points + kShards - 1) / kShards);
  std::vector<Segment> segments;
  for (std::size_t first = 0; first < points; first += size) {
    Segment segment{static_cast<std::int64_t>(first), static_cast<std::int64_t>(std::min(points, first + size)), {}};
    for (std::int64_t key = segment.first; key < segment.last; ++key) segment.probed.push_back(key);
    segments.push_back(segment);
  }
  return segments;
}

std::vector<Segment> plan_begun_surface(const RunDirectory& directory, const SurveyId& survey) {
  const Table schema = survey_kind(survey.kind).schema();
  for (const auto& list : {directory.shard_files(survey), directory.partial_files(survey)})
    for (const SegmentFile& shard : list) try {
        return plan_points(surface_size(read_shape(open_published(shard.path, schema.kind), schema)));
      } catch (const Error& error) {  // another one may be whole
        if (!is_damage(error)) throw;
      }
  return {};
}

std::vector<std::int64_t> planned_checkpoints(std::vector<std::int64_t> steps, std::int64_t every, std::int64_t total) {
  if (steps.empty()) steps.push_back(0);
  for (std::int64_t step = (steps.back() / every + 1) * every; step < total; step += every) steps.push_back(step);
  if (steps.back() < total) steps.push_back(total);
  return steps;
}

std::vector<Segment> plan_survey(const RunDirectory& directory, const Experiment& experiment, const SurveyId& survey) {
  const std::int64_t total = total_steps(experiment.train, last_checkpoint(directory).steps_per_epoch);
  require_first_checkpoint(directory);
  require_within_run(experiment.sweep, total);
  if (!has_steps(survey, experiment)) return {};
  return plan_segments(directory.checkpoint_steps(), experiment.sweep, total);
}

}  // namespace gradscape
