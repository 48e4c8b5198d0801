// What built this program: recorded in every file it writes.
#pragma once

#include <string>

namespace gradscape {

struct BuildInfo {
  std::string version;       // 0.1.0
  std::string git_revision;  // 12 hex digits, "-dirty" appended where sources differ from the commit
  std::string compiler;      // GNU 12.2.0
  std::string flags;
  std::string libraries;  // Eigen and HDF5 with their versions
};

const BuildInfo& build_info();

}  // namespace gradscape
