#pragma once

#include <optional>

#include "gradscape/study/survey_plan.hpp"
#include "gradscape/study/task_share.hpp"

namespace gradscape {

/// Works out a surface of a run: shards of its points, in the order of work, all of them or a task's share. Shards that
/// are there are left alone. `experiment`: the run's stored configuration with [surface] and data.path as wanted.
/// On a signal (host/interrupt.hpp) finishes the point, saves those of the piece, which the next call continues, and
/// throws interruption(). UsageError where the shards there were made with other settings. Returns how many shards were
/// made.
std::size_t surface_run(const SurveyId& id, const Experiment& experiment, const RunDirectory& directory,
                        const std::optional<TaskShare>& task);

/// The [surface] with which a surface's shards were made; nothing where there is none that can be read.
std::optional<SurfaceOptions> stored_surface(const RunDirectory& directory, const SurveyId& id);

}  // namespace gradscape
