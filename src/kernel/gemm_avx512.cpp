// Compiled with AVX-512 (CMakeLists.txt); called only where the processor has it.
#include "gradscape/kernel/gemm_kernel.hpp"

namespace gradscape {
namespace {

struct Floats {
  using Scalar = float;
  using Type = __m512;
  static constexpr int kWidth = 16;
  static constexpr int kRows = 14;
  static __mmask16 mask(int n) { return static_cast<__mmask16>((1u << n) - 1); }
  static Type zero() { return _mm512_setzero_ps(); }
  static Type fill(float x) { return _mm512_set1_ps(x); }
  static Type load(const float* p) { return _mm512_loadu_ps(p); }
  static Type load(const float* p, int n) { return _mm512_maskz_loadu_ps(mask(n), p); }
  static void store(float* p, Type x) { _mm512_storeu_ps(p, x); }
  static void store(float* p, Type x, int n) { _mm512_mask_storeu_ps(p, mask(n), x); }
  static Type multiply_add(Type x, Type y, Type z) { return _mm512_fmadd_ps(x, y, z); }
};

struct Doubles {
  using Scalar = double;
  using Type = __m512d;
  static constexpr int kWidth = 8;
  static constexpr int kRows = 14;
  static __mmask8 mask(int n) { return static_cast<__mmask8>((1u << n) - 1); }
  static Type zero() { return _mm512_setzero_pd(); }
  static Type fill(double x) { return _mm512_set1_pd(x); }
  static Type load(const double* p) { return _mm512_loadu_pd(p); }
  static Type load(const double* p, int n) { return _mm512_maskz_loadu_pd(mask(n), p); }
  static void store(double* p, Type x) { _mm512_storeu_pd(p, x); }
  static void store(double* p, Type x, int n) { _mm512_mask_storeu_pd(p, mask(n), x); }
  static Type multiply_add(Type x, Type y, Type z) { return _mm512_fmadd_pd(x, y, z); }
};

}  // namespace

void multiply_avx512(const Product<float>& product) {
  // c [m, n], a [m, k], b [k, n] in panels
  multiply_with<Floats>(product);
}
void multiply_avx512(const Product<double>& product) {
  // c [m, n], a [m, k], b [k, n] in panels
  multiply_with<Doubles>(product);
}

}  // namespace gradscape
