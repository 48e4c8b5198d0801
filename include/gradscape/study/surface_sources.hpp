// What a surface's directions are made of beside the run, and whether it is still the same.
#pragma once

#include <string>

#include "gradscape/landscape/options.hpp"
#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// A hash of what lies outside of the run and may be another thing tomorrow: the weights of other runs that `options`
/// names, and the data of the file surface.directions. Empty where something of it is gone, which a surface whose
/// directions are made does not need again.
std::string fingerprint_of_sources(const RunDirectory& run, const SurfaceOptions& options);

}  // namespace gradscape
