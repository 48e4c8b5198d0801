// The file of a configuration, and what may have been meant where there is none.
#pragma once

#include <string>

namespace gradscape {

/// Its text. UsageError where the path is a folder or no file, with what to name in its place.
std::string read_configuration(const std::string& path);

}  // namespace gradscape
