#pragma once

#include <string>

namespace gradscape {

/// The processor that the program runs on, as Linux names it.
struct CpuInfo {
  std::string name;    // "model name"; "unknown CPU" where Linux does not say
  std::string family;  // a number, or "?"
  std::string model;
  bool avx512 = false;  // has the foundation of AVX-512 (avx512f)

  /// "AMD EPYC (family 26 model 2, AVX-512)"
  std::string text() const;
};

/// Reads `path`, a file in the format of /proc/cpuinfo; never throws Error: what it does not say stays unknown.
CpuInfo read_cpu_info(const std::string& path = "/proc/cpuinfo");

}  // namespace gradscape
