// Which instruction set the kernels use. It decides about speed, never about bits.
#pragma once

#include <string>
#include <vector>

namespace gradscape {

enum class Isa { avx2, avx512 };

/// Names that select_isa() takes: auto, avx2, avx512.
const std::vector<std::string>& isa_names();

/// Chooses the instruction set for all later computing. "auto": AVX-512 where the CPU has it (F, BW, DQ, VL), else
/// AVX2. UsageError for an unknown name, and for "avx512" on a CPU without it.
void select_isa(const std::string& name);

/// The choice made last; before any, that of "auto".
Isa selected_isa();

}  // namespace gradscape
