// Merging the sweeps of runs, and of the seeds of a variant.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gradscape/study/merge.hpp"

namespace gradscape {

/// Called with the path of each file that was made.
using TellPath = std::function<void(const std::string&)>;

/// Merges the shards of a survey of each run, and unites the seeds of runs where there are several sweeps; runs of
/// sweep.kind "runs", which have no shards, are united by unite_rates(). Everything that can be merged is merged; then
/// Error lists what could not be.
void merge_runs(const std::vector<RunDirectory>& runs, const SurveyId& survey, Holes holes, const TellPath& tell);

/// Unites the runs in folders seed-S of `folder`, whose merged file this makes. Error as for unite_seeds(), and where
/// runs differ in more than train.seed.
void unite_runs(const std::string& folder, const SurveyId& survey, Holes holes, const TellPath& tell);

}  // namespace gradscape
