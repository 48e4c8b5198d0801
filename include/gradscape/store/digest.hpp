#pragma once

#include <string>

namespace gradscape {

/// Reads every dataset of a gradscape file. Error where one cannot be read or is not what was written.
void check_content(const std::string& path);

/// Hash of the data in a gradscape file: names, types, extents and values of all datasets but wall times (`seconds`).
/// Provenance is left out, so that two programs or machines that computed the same bits give the same digest.
std::string content_digest(const std::string& path);

/// The digest of every gradscape file below a directory, in order of their relative paths.
std::string directory_digest(const std::string& path);

}  // namespace gradscape
