// Which vector instructions the matrix kernels use. Results have the same bits under all of them.
#pragma once

#include <string>
#include <vector>

namespace gradscape {

enum class Isa { avx2, avx512 };

/// "auto" and the instruction sets, in the order to show them.
const std::vector<std::string>& isa_names();

/// Selects by name, for the whole process. "auto" (the default): AVX-512 where the processor has it and gains by it.
/// UsageError where the processor does not have what is asked for.
void select_isa(const std::string& name);

Isa selected_isa();

/// Whether the processor has the AVX-512 instructions that the kernels use (F, BW, DQ, VL).
bool has_avx512();

}  // namespace gradscape
