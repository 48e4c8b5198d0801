// The matrix product for one instruction set. This header is compiled once for AVX2 and once for AVX-512 and is chosen
// at run time; so it includes nothing whose inline functions the linker might share between the two.
//
// Every element of the result is one chain of fused multiply-adds in the order of k, whatever the width of the vectors
// and the size of the blocks: so both kernels give the same bits.
#pragma once

#include <immintrin.h>

#include <cstddef>

namespace gradscape {

/// Columns of a panel: 128 bytes, two lines of cache, for either type.
template <class S>
inline constexpr std::ptrdiff_t kPanel = 128 / static_cast<std::ptrdiff_t>(sizeof(S));

/// c [m, n] = a [m, k] · b [k, n], or c += a·b.
template <class S>
struct Product {
  std::ptrdiff_t m, n, k;
  const S* a;  // element (i, l) at a[i·a_row + l·a_column]; one of the two strides is 1
  std::ptrdiff_t a_row, a_column;
  const S* panels;              // element (l, j) at panels[(j / kPanel)·panel_stride + l·kPanel + j % kPanel]
  std::ptrdiff_t panel_stride;  // kPanel times the rows that the panels hold; columns beyond n hold any number
  S* c;
  std::ptrdiff_t c_row;
  bool accumulate;
};

void multiply_avx2(const Product<float>& product);
void multiply_avx2(const Product<double>& product);
void multiply_avx512(const Product<float>& product);
void multiply_avx512(const Product<double>& product);

namespace {  // one copy per instruction set

/// Rows of k taken at a time: a panel's part of them, 32 KiB, stays in the first cache while it meets every row of a.
constexpr std::ptrdiff_t kDepth = 256;

/// A block of c, Rows × Vectors·V::kWidth, in registers. The last vector has `last` columns.
template <class V, int Rows, int Vectors, bool ByRows>
void multiply_block(std::ptrdiff_t k, const typename V::Scalar* a, std::ptrdiff_t a_stride, const typename V::Scalar* b,
                    typename V::Scalar* c, std::ptrdiff_t c_row, int last, bool accumulate) {
  // a [Rows, k]; b [k, (Vectors − 1)·kWidth + last], its rows kPanel apart; c [Rows, as many columns]
  typename V::Type sum[Rows][Vectors];
  const bool whole = last == V::kWidth;
  for (int r = 0; r < Rows; ++r)  // c will be there when the sums are
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(c + r * c_row + v * V::kWidth, 1);
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      if (!accumulate)
        sum[r][v] = V::zero();
      else if (v + 1 < Vectors || whole)
        sum[r][v] = V::load(c + r * c_row + v * V::kWidth);
      else
        sum[r][v] = V::load(c + r * c_row + v * V::kWidth, last);
    }
  // Rows are addressed from two places, so that few registers hold all their distances.
  const typename V::Scalar* a8 = a + 8 * a_stride;
  for (std::ptrdiff_t l = 0; l < k; ++l) {
    typename V::Type row[Vectors];
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) row[v] = V::load(b + v * V::kWidth);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      const typename V::Type x = V::fill(ByRows ? (r < 8 ? a[r * a_stride] : a8[(r - 8) * a_stride]) : a[r]);
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) sum[r][v] = V::multiply_add(x, row[v], sum[r][v]);
    }
    b += kPanel<typename V::Scalar>;
    a += ByRows ? 1 : a_stride;
    a8 += ByRows ? 1 : a_stride;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) {
      if (v + 1 < Vectors || whole)
        V::store(c + r * c_row + v * V::kWidth, sum[r][v]);
      else
        V::store(c + r * c_row + v * V::kWidth, sum[r][v], last);
    }
}

template <class V>
using BlockFunction = void (*)(std::ptrdiff_t, const typename V::Scalar*, std::ptrdiff_t, const typename V::Scalar*,
                               typename V::Scalar*, std::ptrdiff_t, int, bool);

/// The functions for 1 … V::kRows rows.
template <class V, int Vectors, bool ByRows, int Rows = V::kRows>
struct Blocks : Blocks<V, Vectors, ByRows, Rows - 1> {
  constexpr Blocks() { this->of[Rows] = multiply_block<V, Rows, Vectors, ByRows>; }
};
template <class V, int Vectors, bool ByRows>
struct Blocks<V, Vectors, ByRows, 0> {
  BlockFunction<V> of[V::kRows + 1] = {};
};

template <class V, bool ByRows>
void multiply_blocks(const Product<typename V::Scalar>& p) {
  // c [m, n], a [m, k], b [k, n] in panels
  static constexpr Blocks<V, 1, ByRows> kOne;
  static constexpr Blocks<V, 2, ByRows> kTwo;
  constexpr std::ptrdiff_t kColumns = 2 * V::kWidth;
  constexpr std::ptrdiff_t kWide = kPanel<typename V::Scalar>;
  const std::ptrdiff_t a_stride = ByRows ? p.a_row : p.a_column;
  const std::ptrdiff_t blocks = (p.m + V::kRows - 1) / V::kRows;
  for (std::ptrdiff_t first = 0; first < p.k; first += kDepth) {
    const std::ptrdiff_t depth = p.k - first < kDepth ? p.k - first : kDepth;
    for (std::ptrdiff_t j = 0; j < p.n; j += kColumns) {
      const std::ptrdiff_t columns = p.n - j < kColumns ? p.n - j : kColumns;
      const bool one = columns <= V::kWidth;
      const int last = static_cast<int>(one ? columns : columns - V::kWidth);
      const auto* of = one ? kOne.of : kTwo.of;
      const auto* b = p.panels + j / kWide * p.panel_stride + j % kWide + first * kWide;
      for (std::ptrdiff_t block = 0; block < blocks; ++block) {  // of nearly equal heights: no thin rest
        const std::ptrdiff_t i = block * p.m / blocks;
        const std::ptrdiff_t rows = (block + 1) * p.m / blocks - i;
        of[rows](depth, p.a + i * p.a_row + first * p.a_column, a_stride, b, p.c + i * p.c_row + j, p.c_row, last,
                 p.accumulate || first > 0);
      }
    }
  }
}

template <class V>
void multiply_with(const Product<typename V::Scalar>& p) {
  // c [m, n], a [m, k], b [k, n] in panels
  if (p.a_column == 1)
    multiply_blocks<V, true>(p);
  else
    multiply_blocks<V, false>(p);
}

}  // namespace
}  // namespace gradscape
