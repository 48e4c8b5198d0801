#pragma once

#include <string>
#include <vector>

namespace gradscape {

/// What the cores reach with nothing but fused multiply-adds on registers.
struct FmaPeak {
  std::string isa;    // "avx2", "avx512"
  double gflops = 0;  // 10⁹ floating-point operations per second, two per multiply-add, all threads together
};

/// Measures the peak of every instruction set that the processor has, for scalar S, on parallel::threads() threads at
/// once; about 0.2 s each. The best of several trials counts: other work can only lower it.
template <class S>
std::vector<FmaPeak> measure_fma_peaks();

}  // namespace gradscape
