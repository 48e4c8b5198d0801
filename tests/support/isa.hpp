// Repeats a computation with every instruction set that this CPU has.
#pragma once

#include <fmt/format.h>

#include <string>

#include "gradscape/core/error.hpp"
#include "gradscape/host/isa.hpp"

namespace gradscape::testing {

/// Selects an instruction set for a scope, "auto" after it.
class WithIsa {
 public:
  explicit WithIsa(const std::string& name) { select_isa(name); }
  ~WithIsa() { select_isa("auto"); }
  WithIsa(const WithIsa&) = delete;
  WithIsa& operator=(const WithIsa&) = delete;
};

inline bool cpu_has(const std::string& isa) {
  try {
    const WithIsa scope(isa);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

/// body(name) under avx2 and, where the CPU has it, avx512.
template <class Body>
void for_each_isa(Body&& body) {
  for (const char* name : {"avx2", "avx512"}) {
    static const bool has_avx512 = cpu_has("avx512");
    if (name == std::string("avx512") && !has_avx512) {
      fmt::print("  no AVX-512 on this CPU: not tested\n");
      continue;
    }
    const WithIsa scope(name);
    body(name);
  }
}

}  // namespace gradscape::testing
