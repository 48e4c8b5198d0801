#pragma once

#include <functional>
#include <string>

#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// What becomes of wanted steps that no shard holds: an error that names them all, or cells of status not_done whose
/// numbers are NaN.
enum class Holes { refuse, mark };

/// Unites the shards of sweep `name` into one grid that holds every step for which `wanted` is true, and publishes it
/// as the run's landscape file, whose path is returned. The shards must belong together: the caller checks. `last` is
/// the last step that can be wanted. Memory does not depend on the number of shards, and by some bytes only on the
/// number of steps.
/// Error where a shard is damaged or was computed by another program than the first (the field is named), and where
/// there is none. Holes::mark leaves damaged shards out, saying so, and takes what partial shards hold too.
std::string merge_shards(const RunDirectory& directory, const std::string& name, std::int64_t last,
                         const std::function<bool(std::int64_t)>& wanted, Holes holes = Holes::refuse);

/// "0, 3-7, 12": step numbers in words, those beyond `most_ranges` ranges as "…".
std::string describe_steps(const std::vector<std::int64_t>& steps, std::size_t most_ranges = 8,
                           const char* separator = ", ");

}  // namespace gradscape
