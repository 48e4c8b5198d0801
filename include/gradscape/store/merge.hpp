#pragma once

#include <functional>
#include <string>

#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// Unites the shards of sweep `name` into one grid that holds every step for which `wanted` is true, and publishes it
/// as the run's landscape file, whose path is returned. The shards must belong together: the caller checks. Error
/// naming the missing steps where there are holes. `last` is the last step that can be wanted.
std::string merge_shards(const RunDirectory& directory, const std::string& name, std::int64_t last,
                         const std::function<bool(std::int64_t)>& wanted);

/// "0, 3-7, 12": step numbers in words.
std::string describe_steps(const std::vector<std::int64_t>& steps);

}  // namespace gradscape
