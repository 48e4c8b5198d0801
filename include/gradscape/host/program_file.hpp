#pragma once

#include <string>

namespace gradscape {

/// The path of a file that comes with the program ("configs/quickstart.toml"): as named where it is there in the
/// working directory, else beside the executable, in a build tree or an installation. Empty where it is in neither.
std::string program_file(const std::string& name);

}  // namespace gradscape
