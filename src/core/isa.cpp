#include "gradscape/core/isa.hpp"

#include <cpuid.h>

#include <cstring>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// AMD's Zen 4 (family 19h) has AVX-512 but executes it in two halves: no faster than AVX2 (measured).
bool gains_by_avx512() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  char vendor[13] = {};
  __get_cpuid(0, &eax, &ebx, &ecx, &edx);
  std::memcpy(vendor, &ebx, 4);
  std::memcpy(vendor + 4, &edx, 4);
  std::memcpy(vendor + 8, &ecx, 4);
  __get_cpuid(1, &eax, &ebx, &ecx, &edx);
  const unsigned family = ((eax >> 8) & 0xf) + ((eax >> 20) & 0xff);
  return !(std::strcmp(vendor, "AuthenticAMD") == 0 && family == 0x19);
}

Isa best() {
  return has_avx512() && gains_by_avx512() ? Isa::avx512 : Isa::avx2;
}

Isa& selected() {
  static Isa isa = best();
  return isa;
}

}  // namespace

const std::vector<std::string>& isa_names() {
  static const std::vector<std::string> list = {"auto", "avx2", "avx512"};
  return list;
}

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

void select_isa(const std::string& name) {
  if (name == "avx512" && !has_avx512())
    throw UsageError("--isa", "this processor has no AVX-512", "use --isa auto or --isa avx2; results are the same");
  check(name == "auto" || name == "avx2" || name == "avx512", "a name of isa_names()");
  selected() = name == "auto" ? best() : name == "avx512" ? Isa::avx512 : Isa::avx2;
}

Isa selected_isa() {
  return selected();
}

}  // namespace gradscape
