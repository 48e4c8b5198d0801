// What `info` tells of a single file.
#pragma once

#include <string>

#include "gradscape/cli/info_page.hpp"

namespace gradscape {

/// Of one of the program's own HDF5 files: what it holds, and where it comes from. Error for any other.
void tell_h5(InfoPage& page, const std::string& path);

/// Weights of any program: what an import would meet.
void tell_safetensors(InfoPage& page, const std::string& path);

}  // namespace gradscape
