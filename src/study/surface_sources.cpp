#include "gradscape/study/surface_sources.hpp"

#include <fstream>
#include <vector>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/store/checkpoint_file.hpp"
#include "gradscape/store/directions_file.hpp"
#include "gradscape/study/surface_directions.hpp"

namespace gradscape {
namespace {

/// Of a file's bytes.
std::string file_fingerprint(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(path, "cannot be read");
  Fingerprint hash;
  std::vector<char> part(1 << 20);
  while (file.read(part.data(), static_cast<std::streamsize>(part.size())), file.gcount() > 0)
    hash.add(part.data(), static_cast<std::size_t>(file.gcount()));
  return hash.hex();
}

/// The targets that the options name.
std::vector<std::string> targets_of(const SurfaceOptions& options) {
  if (!options.through.empty()) return split_list(options.through);
  std::vector<std::string> targets;
  for (const std::string& text : {options.x, options.y}) {
    if (text.empty()) continue;
    const SurfaceDirection direction = parse_surface_direction(text, "surface");
    if (direction.kind == SurfaceDirection::Kind::target) targets.push_back(direction.target);
  }
  return targets;
}

}  // namespace

std::string fingerprint_of_sources(const RunDirectory& run, const SurfaceOptions& options) {
  Fingerprint hash;
  try {
    const std::string& file = options.directions;
    if (!file.empty())
      hash.add(owner_of(file) == Owner::gradscape
                   ? read_direction_facts(open_published(file, "directions")).attributes["direction_fingerprint"]
                   : file_fingerprint(file));
    for (const std::string& target : targets_of(options)) {
      if (is_own_target(target) || is_mean_target(target)) continue;
      const RunAt at = find_target(run, target);
      const std::string path = at.directory.checkpoint_path(at.step);
      hash.add(read_checkpoint_info(open_published(path, "checkpoint")).theta_fingerprint);
    }
  } catch (const Error&) {
    return "";
  }
  return hash.hex();
}

}  // namespace gradscape
