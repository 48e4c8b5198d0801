#include "gradscape/host/cpu_info.hpp"

#include <fmt/format.h>

#include <fstream>

namespace gradscape {

std::string CpuInfo::text() const {
  return fmt::format("{} (family {} model {}, {})", name, family, model, avx512 ? "AVX-512" : "no AVX-512");
}

CpuInfo read_cpu_info(const std::string& path) {
  CpuInfo info{"unknown CPU", "?", "?", __builtin_cpu_supports("avx512f") != 0};
  std::ifstream file(path);
  // Lines are "key<tabs>: value", the first processor's first, a blank line after each.
  for (std::string line; std::getline(file, line) && !line.empty();) {
    const std::size_t colon = line.find(": ");
    if (colon == std::string::npos || colon + 2 == line.size()) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::string value = line.substr(colon + 2);
    if (key == "model name") info.name = value;
    if (key == "cpu family") info.family = value;
    if (key == "model") info.model = value;
  }
  return info;
}

}  // namespace gradscape
