#include "gradscape/host/isa.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// The parts that the kernels need, on the CPU and enabled by the operating system.
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

Isa fastest() {
  return has_avx512() ? Isa::avx512 : Isa::avx2;
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
