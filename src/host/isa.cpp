#include "gradscape/host/isa.hpp"

#include <cpuid.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// The parts that the kernels need, on the CPU and enabled by the operating system.
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

/// AMD's family 0x19 (of which Zen 4 has AVX-512) computes 512 bits in two halves: nothing is gained.
bool is_double_pumped() {
  unsigned int eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0) return false;
  char vendor[12];
  std::memcpy(vendor, &ebx, 4);
  std::memcpy(vendor + 4, &edx, 4);
  std::memcpy(vendor + 8, &ecx, 4);
  if (std::memcmp(vendor, "AuthenticAMD", 12) != 0 || __get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const unsigned int base = (eax >> 8) & 0xf;
  const unsigned int family = base == 0xf ? base + ((eax >> 20) & 0xff) : base;
  return family == 0x19;
}

Isa fastest() {
  return has_avx512() && !is_double_pumped() ? Isa::avx512 : Isa::avx2;
}

Isa& selection() {
  static Isa isa = fastest();
  return isa;
}

}  // namespace

const std::vector<std::string>& isa_names() {
  static const std::vector<std::string> list = {"auto", "avx2", "avx512"};
  return list;
}

void select_isa(const std::string& name) {
  if (name == "auto") {
    selection() = fastest();
  } else if (name == "avx2") {
    selection() = Isa::avx2;
  } else if (name == "avx512") {
    if (!has_avx512())
      throw UsageError("--isa", "this CPU has no AVX-512 (F, BW, DQ and VL)",
                       "auto chooses what it has; results have the same bits");
    selection() = Isa::avx512;
  } else {
    throw UsageError("--isa", fmt::format("there is no instruction set \"{}\"", abridge(name)),
                     fmt::format("allowed: {}", fmt::join(isa_names(), " | ")));
  }
}

Isa selected_isa() {
  return selection();
}

}  // namespace gradscape
