// Merging the sweeps of runs, and of the seeds of a variant.
#pragma once

#include <string>
#include <vector>

#include "gradscape/study/merge.hpp"

namespace gradscape {

/// Merges the shards of sweep `name` of each run, and unites the seeds of runs where there are several; runs of
/// sweep.kind "runs", which have no shards, are united by unite_rates(). Prints the paths of the files made. Whatever
/// can be merged is, then Error tells of all that cannot be.
void merge_runs(const std::vector<RunDirectory>& runs, const std::string& name, Holes holes);

/// Unites the runs in folders seed-S of `folder`, whose landscape file this makes, and prints its path. Error as of
/// unite_seeds(), and where runs differ in more than train.seed.
void unite_runs(const std::string& folder, const std::string& name, Holes holes);

}  // namespace gradscape
