#include "gradscape/cost/fma_peak.hpp"

#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <type_traits>

#include "gradscape/core/parallel.hpp"

namespace gradscape {
namespace {

/// Independent chains of multiply-adds: latency times units is 8 to 10 on the processors of the last ten years, and 12
/// sums with two constants fit into the 16 registers of AVX2.
constexpr int kChains = 12;
constexpr int kTrials = 8;
constexpr double kTrialSeconds = 0.02;
/// Pieces per thread and trial, handed out as they are finished.
constexpr std::int64_t kPieces = 4;

using Kernel = void (*)(std::int64_t rounds);

// Unrolled at every optimisation level: else the sums would live in memory.
#define GRADSCAPE_EACH_CHAIN _Pragma("GCC unroll 12") for (int i = 0; i < kChains; ++i)

// One function per vector type; the target attribute admits the instructions in this function only. Values stay near 1.
// The empty asm statements hide from the compiler what the sums start with (else it would see that all chains are the
// same one) and use every sum in full, so that none of the work can be left out.
#define GRADSCAPE_FMA_KERNEL(name, isa, Vector, set, multiply_add)        \
  __attribute__((target(isa), noinline)) void name(std::int64_t rounds) { \
    const Vector factor = set(0.75);                                      \
    const Vector term = set(0.25);                                        \
    Vector sums[kChains];                                                 \
    GRADSCAPE_EACH_CHAIN {                                                \
      sums[i] = set(1);                                                   \
      asm volatile("" : "+v"(sums[i]));                                   \
    }                                                                     \
    for (std::int64_t round = 0; round < rounds; ++round)                 \
      GRADSCAPE_EACH_CHAIN sums[i] = multiply_add(sums[i], factor, term); \
    GRADSCAPE_EACH_CHAIN asm volatile("" ::"v"(sums[i]));                 \
  }

GRADSCAPE_FMA_KERNEL(avx2_float, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)
GRADSCAPE_FMA_KERNEL(avx2_double, "avx2,fma", __m256d, _mm256_set1_pd, _mm256_fmadd_pd)
GRADSCAPE_FMA_KERNEL(avx512_float, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
GRADSCAPE_FMA_KERNEL(avx512_double, "avx512f", __m512d, _mm512_set1_pd, _mm512_fmadd_pd)
#undef GRADSCAPE_FMA_KERNEL
#undef GRADSCAPE_EACH_CHAIN

template <class Work>
double seconds_of(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double measure(Kernel kernel, std::size_t vector_bytes, std::size_t scalar_bytes) {
  // Rounds of a piece, from the speed of one thread; what comes before has woken the units up.
  std::int64_t rounds = 1 << 14;
  while (seconds_of([&] { kernel(rounds); }) < kTrialSeconds / kPieces) rounds *= 2;
  const std::int64_t pieces = kPieces * parallel::threads();
  const double flops = 2.0 * kChains * static_cast<double>(vector_bytes / scalar_bytes) * static_cast<double>(rounds) *
                       static_cast<double>(pieces);
  double best = 0;
  for (int trial = 0; trial < kTrials; ++trial)
    best = std::max(best, flops / seconds_of([&] { parallel::for_each(pieces, [&](Index) { kernel(rounds); }); }));
  return best / 1e9;
}

}  // namespace

template <class S>
std::vector<FmaPeak> measure_fma_peaks() {
  constexpr bool is_float = std::is_same_v<S, float>;
  std::vector<FmaPeak> peaks = {{"avx2", measure(is_float ? avx2_float : avx2_double, 32, sizeof(S))}};
  if (__builtin_cpu_supports("avx512f"))
    peaks.push_back({"avx512", measure(is_float ? avx512_float : avx512_double, 64, sizeof(S))});
  return peaks;
}

template std::vector<FmaPeak> measure_fma_peaks<float>();
template std::vector<FmaPeak> measure_fma_peaks<double>();

}  // namespace gradscape
