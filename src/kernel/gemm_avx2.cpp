#include "gradscape/kernel/gemm_kernel.hpp"

namespace gradscape {
namespace {

alignas(32) constexpr int kMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(32) constexpr long long kLongMask[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

struct Floats {
  using Scalar = float;
  using Type = __m256;
  static constexpr int kWidth = 8;
  static constexpr int kRows = 6;
  static __m256i mask(int n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + 8 - n)); }
  static Type zero() { return _mm256_setzero_ps(); }
  static Type fill(float x) { return _mm256_set1_ps(x); }
  static Type load(const float* p) { return _mm256_loadu_ps(p); }
  static Type load(const float* p, int n) { return _mm256_maskload_ps(p, mask(n)); }
  static void store(float* p, Type x) { _mm256_storeu_ps(p, x); }
  static void store(float* p, Type x, int n) { _mm256_maskstore_ps(p, mask(n), x); }
  static Type multiply_add(Type x, Type y, Type z) { return _mm256_fmadd_ps(x, y, z); }
};

struct Doubles {
  using Scalar = double;
  using Type = __m256d;
  static constexpr int kWidth = 4;
  static constexpr int kRows = 6;
  static __m256i mask(int n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLongMask + 4 - n)); }
  static Type zero() { return _mm256_setzero_pd(); }
  static Type fill(double x) { return _mm256_set1_pd(x); }
  static Type load(const double* p) { return _mm256_loadu_pd(p); }
  static Type load(const double* p, int n) { return _mm256_maskload_pd(p, mask(n)); }
  static void store(double* p, Type x) { _mm256_storeu_pd(p, x); }
  static void store(double* p, Type x, int n) { _mm256_maskstore_pd(p, mask(n), x); }
  static Type multiply_add(Type x, Type y, Type z) { return _mm256_fmadd_pd(x, y, z); }
};

}  // namespace

void multiply_avx2(const Product<float>& product) {
  // c [m, n], a [m, k], b [k, n] in panels
  multiply_with<Floats>(product);
}
void multiply_avx2(const Product<double>& product) {
  // c [m, n], a [m, k], b [k, n] in panels
  multiply_with<Doubles>(product);
}

}  // namespace gradscape
