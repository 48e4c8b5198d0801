#include "gradscape/host/program_file.hpp"

#include <filesystem>
#include <system_error>

namespace gradscape {

namespace fs = std::filesystem;

std::string program_file(const std::string& name) {
  constexpr int kMostLevels = 3;  // build/release/gradscape, bin/gradscape
  std::error_code code;
  if (fs::exists(name, code)) return name;
  fs::path folder = fs::read_symlink("/proc/self/exe", code);
  for (int level = 0; level < kMostLevels && !code; ++level) {
    folder = folder.parent_path();
    if (fs::exists(folder / name, code)) return (folder / name).string();
  }
  return "";
}

}  // namespace gradscape
