#pragma once

#include <functional>
#include <string>

#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// What becomes of wanted steps that no shard holds: an error that names them all, or cells of status not_done whose
/// numbers are NaN.
enum class Holes { refuse, mark };

/// A survey of one run, to be merged.
struct MergeInput {
  RunDirectory directory;
  std::int64_t last = 0;                     // the last step that can be wanted
  std::function<bool(std::int64_t)> wanted;  // the steps that the grid must hold
  std::int64_t seed = 0;                     // of the run, for unite_seeds()
  std::vector<double> multipliers = {};      // of a sweep, that its configuration names; none: not known
};

/// Unites the shards of a survey into one table, and publishes it as the run's merged file, whose path is returned. The
/// shards must belong together: the caller checks. Memory does not depend on the number of shards, and by some bytes
/// only on the number of steps. Error where a shard is damaged, has other multipliers or dimensions than it should or
/// was computed by another program than the first (the field is named), and where there is none. Holes::mark leaves
/// damaged shards out, saying so, and takes what partial shards hold too.
std::string merge_shards(const MergeInput& input, const SurveyId& survey, Holes holes = Holes::refuse);

/// Unites the shards of runs that differ in their seed alone (the caller checks) into one table with a leading
/// dimension seed, and publishes it as the merged file of `folder`. Errors as for merge_shards(), and where the runs'
/// steps or programs differ.
std::string unite_seeds(const std::string& folder, const std::vector<MergeInput>& inputs, const SurveyId& survey,
                        Holes holes = Holes::refuse);

/// "0, 3-7, 12": step numbers in words, those beyond `most_ranges` ranges as "…".
std::string describe_steps(const std::vector<std::int64_t>& steps, std::size_t most_ranges = 8,
                           const char* separator = ", ");

}  // namespace gradscape
