#include "gradscape/kernel/gemm.hpp"

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/scratch.hpp"
#include "gradscape/host/isa.hpp"

namespace gradscape {
namespace {

/// Rows and columns of the second factor that are put into panels at a time: half a megabyte of float.
constexpr Index kPackedRows = 512;
constexpr Index kPackedColumns = 256;

template <class S>
void run(const Product<S>& product) {
  // c [m, n], a [m, k], b [k, n] in panels
  if (selected_isa() == Isa::avx512)
    multiply_avx512(product);
  else
    multiply_avx2(product);
}

/// Writes rows [0, rows) and columns [0, cols) of b into panels; element (l, j) of b is at b[l·row + j·column].
template <class S>
void pack(const S* b, Index rows, Index cols, Index row, Index column, S* panels) {
  // b [rows, cols], panels [cols/kPanel rounded up, rows, kPanel]
  for (Index j = 0; j < cols; j += kPanel<S>, panels += rows * kPanel<S>) {
    const Index width = std::min(kPanel<S>, cols - j);
    const S* from = b + j * column;
    if (column == 1) {
      for (Index l = 0; l < rows; ++l) {
        S* to = panels + l * kPanel<S>;
        for (Index i = 0; i < width; ++i) to[i] = from[l * row + i];
        for (Index i = width; i < kPanel<S>; ++i) to[i] = S{0};
      }
    } else {
      constexpr Index kSquare = 8;  // transposed in squares: both sides stay in the first cache
      for (Index l = 0; l < rows; l += kSquare)
        for (Index i = 0; i < kPanel<S>; ++i)
          for (Index r = l; r < std::min(l + kSquare, rows); ++r)
            panels[r * kPanel<S> + i] = i < width ? from[r * row + i * column] : S{0};
    }
  }
}

/// c (+)= a·b for b of any strides: parts of b are packed, part after part of k, so that each element stays one chain.
template <class S>
void multiply_strided(Product<S> p, const S* b, Index b_row, Index b_column) {
  // a [m, k], b [k, n], c [m, n]
  thread_local Scratch<S> scratch;
  if (p.k == 0 && !p.accumulate)
    for (Index i = 0; i < p.m; ++i) std::fill_n(p.c + i * p.c_row, p.n, S{0});
  S* panels = scratch.at_least(panels_size<S>(std::min(p.k, kPackedRows), std::min(p.n, kPackedColumns)));
  for (Index first = 0; first < p.k; first += kPackedRows) {
    const Index rows = std::min(kPackedRows, p.k - first);
    for (Index j = 0; j < p.n; j += kPackedColumns) {
      const Index cols = std::min(kPackedColumns, p.n - j);
      pack(b + first * b_row + j * b_column, rows, cols, b_row, b_column, panels);
      run<S>({p.m, cols, rows, p.a + first * p.a_column, p.a_row, p.a_column, panels, rows * kPanel<S>, p.c + j,
              p.c_row, p.accumulate || first > 0});
    }
  }
}

template <class S>
Product<S> product_of(Index k, const S* a, Index a_row, Index a_column, Block<S> c, Into into) {
  return {c.rows, c.cols, k, a, a_row, a_column, nullptr, 0, c.data, c.stride, into == Into::accumulate};
}

}  // namespace

template <class S>
void multiply_panels(Block<const S> a, const S* panels, Block<S> c, Into into) {
  // a [m, k], b [k, n] in panels, c [m, n]
  check(a.rows == c.rows, "factors fit");
  Product<S> product = product_of<S>(a.cols, a.data, a.stride, 1, c, into);
  product.panels = panels;
  product.panel_stride = a.cols * kPanel<S>;
  run(product);
}

template <class S>
void multiply(Block<const S> a, Block<const S> b, Block<S> c, Into into) {
  // a [m, k], b [k, n], c [m, n]
  check(a.rows == c.rows && a.cols == b.rows && b.cols == c.cols, "factors fit");
  multiply_strided(product_of<S>(a.cols, a.data, a.stride, 1, c, into), b.data, b.stride, Index{1});
}

template <class S>
void multiply_transposed_b(Block<const S> a, Block<const S> b, Block<S> c, Into into) {
  // a [m, k], b [n, k], c [m, n]
  check(a.rows == c.rows && a.cols == b.cols && b.rows == c.cols, "factors fit");
  multiply_strided(product_of<S>(a.cols, a.data, a.stride, 1, c, into), b.data, Index{1}, b.stride);
}

template <class S>
void multiply_transposed_a(Block<const S> a, Block<const S> b, Block<S> c, Into into) {
  // a [k, m], b [k, n], c [m, n]
  check(a.cols == c.rows && a.rows == b.rows && b.cols == c.cols, "factors fit");
  multiply_strided(product_of<S>(a.rows, a.data, 1, a.stride, c, into), b.data, b.stride, Index{1});
}

#define GRADSCAPE_INSTANTIATE(S)                                                          \
  template void multiply_panels<S>(Block<const S>, const S*, Block<S>, Into);             \
  template void multiply<S>(Block<const S>, Block<const S>, Block<S>, Into);              \
  template void multiply_transposed_b<S>(Block<const S>, Block<const S>, Block<S>, Into); \
  template void multiply_transposed_a<S>(Block<const S>, Block<const S>, Block<S>, Into);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
