// Eight floats or four doubles at once, for arithmetic that a compiler does not vectorise by itself.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <type_traits>

#include "gradscape/core/types.hpp"

namespace gradscape {

template <class S>
struct Lanes;

template <>
struct Lanes<float> {
  using Vector = __m256;
  static constexpr Index kCount = 8;
  static Vector fill(float x) { return _mm256_set1_ps(x); }
  static Vector load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(float* p, Vector x) { _mm256_storeu_ps(p, x); }
  /// Past the caches; p is aligned to 32 bytes, and _mm_sfence() comes before another thread may read.
  static void stream(float* p, Vector x) { _mm256_stream_ps(p, x); }
  /// x·y + z, rounded once.
  static Vector multiply_add(Vector x, Vector y, Vector z) { return _mm256_fmadd_ps(x, y, z); }
  /// x [8, 8]: row i of the result is column i of x.
  static void transpose(Vector (&x)[8]) {
    Vector pairs[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
      pairs[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
      pairs[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
      for (int j = 0; j < 2; ++j) {
        fours[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0x44);
        fours[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0xee);
      }
    for (int i = 0; i < 4; ++i) {
      x[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
      x[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
  }
};

template <>
struct Lanes<double> {
  using Vector = __m256d;
  static constexpr Index kCount = 4;
  static Vector fill(double x) { return _mm256_set1_pd(x); }
  static Vector load(const double* p) { return _mm256_loadu_pd(p); }
  static void store(double* p, Vector x) { _mm256_storeu_pd(p, x); }
  static void stream(double* p, Vector x) { _mm256_stream_pd(p, x); }
  static Vector multiply_add(Vector x, Vector y, Vector z) { return _mm256_fmadd_pd(x, y, z); }
  /// x [4, 4].
  static void transpose(Vector (&x)[4]) {
    const Vector a = _mm256_unpacklo_pd(x[0], x[1]), b = _mm256_unpackhi_pd(x[0], x[1]);
    const Vector c = _mm256_unpacklo_pd(x[2], x[3]), d = _mm256_unpackhi_pd(x[2], x[3]);
    x[0] = _mm256_permute2f128_pd(a, c, 0x20);
    x[1] = _mm256_permute2f128_pd(b, d, 0x20);
    x[2] = _mm256_permute2f128_pd(a, c, 0x31);
    x[3] = _mm256_permute2f128_pd(b, d, 0x31);
  }
};

/// The same lanes in double, for sums.
template <class S>
struct WideLanes {
  static constexpr int kParts = static_cast<int>(Lanes<S>::kCount) / 4;
  __m256d part[kParts];

  static WideLanes of(typename Lanes<S>::Vector x) {
    if constexpr (kParts == 1)
      return {{x}};
    else
      return {{_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))}};
  }
  static WideLanes load(const double* p) {
    WideLanes wide;
    for (int i = 0; i < kParts; ++i) wide.part[i] = _mm256_loadu_pd(p + 4 * i);
    return wide;
  }
  void store(double* p) const {
    for (int i = 0; i < kParts; ++i) _mm256_storeu_pd(p + 4 * i, part[i]);
  }
  WideLanes operator-(const WideLanes& other) const {
    WideLanes wide;
    for (int i = 0; i < kParts; ++i) wide.part[i] = part[i] - other.part[i];
    return wide;
  }
  void add(const WideLanes& x) {
    for (int i = 0; i < kParts; ++i) part[i] = part[i] + x.part[i];
  }
  /// += x·y, rounded once.
  void add_product(const WideLanes& x, const WideLanes& y) {
    for (int i = 0; i < kParts; ++i) part[i] = _mm256_fmadd_pd(x.part[i], y.part[i], part[i]);
  }
};

/// Calls body(i, count) for i = first, first + kCount, …, where `count` elements are left: a compile-time constant but
/// for the rest at the end, so that load_lanes and store_lanes are plain loads and stores elsewhere.
template <class S, class Body>
void for_lanes(Index first, Index last, Body&& body) {
  constexpr Index kCount = Lanes<S>::kCount;
  for (; first + kCount <= last; first += kCount) body(first, std::integral_constant<Index, kCount>());
  if (first < last) body(first, last - first);
}

/// Reads a vector of which only `count` elements may be touched; the others are 0.
template <class S>
typename Lanes<S>::Vector load_lanes(const S* p, Index count) {
  if (count >= Lanes<S>::kCount) return Lanes<S>::load(p);
  alignas(64) S buffer[Lanes<S>::kCount] = {};
  std::copy_n(p, count, buffer);
  return Lanes<S>::load(buffer);
}

template <class S>
void store_lanes(S* p, typename Lanes<S>::Vector x, Index count) {
  if (count >= Lanes<S>::kCount) return Lanes<S>::store(p, x);
  alignas(64) S buffer[Lanes<S>::kCount];
  Lanes<S>::store(buffer, x);
  std::copy_n(buffer, count, p);
}

}  // namespace gradscape
