// Small convolutions with few multiplications (Winograd 1980; Lavin and Gray 2016): for the right matrices, the
// correlation of a tile d of an image with a 3×3 kernel w is
//
//     y = Aᵀ [ (G w Gᵀ) ⊙ (Bᵀ d B) ] A ,
//
// one product per element ("frequency") of ⊙. Over many tiles and channels these become one matrix product per
// frequency: M = V·U with V = Bᵀ d B, U = G w Gᵀ. As y is bilinear, the backward passes are the adjoint maps:
// dM = A dy Aᵀ, dU = Vᵀ dM, dV = dM Uᵀ, dw = Gᵀ dU G, dd = B dV Bᵀ. No kernel is flipped.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "gradscape/kernel/lanes.hpp"

namespace gradscape::winograd {

template <std::size_t Rows, std::size_t Columns>
using Constant = std::array<std::array<double, Columns>, Rows>;

/// F(4×4, 3×3): tiles of 6×6 pixels, which overlap by two, give 4×4 pixels with 36 products instead of 144. Toom-Cook
/// with the points 0, ±3/4, ±3/2 and ∞: the same cost as with 0, ±1, ±2, ∞ and a third to a half of its error. Each
/// matrix is a product of two, as points ±p share their even and odd parts: first these, then their sum and difference.
struct F4 {
  static constexpr const char* kName = "winograd 4×4";
  static constexpr double a = 0.75, b = 1.5, aa = a * a, bb = b * b;
  static constexpr std::size_t kTile = 6, kFrequencies = 6, kOutput = 4;
  static constexpr std::ptrdiff_t kOffset = -1;  // of a tile's first pixel from its first output pixel

  static constexpr Constant<6, 6> pairs = {{{1, 0, 0, 0, 0, 0},
                                            {0, 1, 1, 0, 0, 0},
                                            {0, 1, -1, 0, 0, 0},
                                            {0, 0, 0, 1, 1, 0},
                                            {0, 0, 0, 1, -1, 0},
                                            {0, 0, 0, 0, 0, 1}}};
  static constexpr Constant<6, 6> b_halves = {{{aa * bb, 0, -(aa + bb), 0, 1, 0},
                                               {0, 0, -bb, 0, 1, 0},
                                               {0, -a* bb, 0, a, 0, 0},
                                               {0, 0, -aa, 0, 1, 0},
                                               {0, -b* aa, 0, b, 0, 0},
                                               {0, aa* bb, 0, -(aa + bb), 0, 1}}};
  static constexpr double na = 1 / (2 * aa * (aa - bb)), nb = 1 / (2 * bb * (bb - aa));
  static constexpr Constant<6, 3> g_halves = {
      {{1 / (aa * bb), 0, 0}, {na, 0, na* aa}, {0, na* a, 0}, {nb, 0, nb* bb}, {0, nb* b, 0}, {0, 0, 1}}};
  static constexpr Constant<4, 6> a_halves = {
      {{1, 1, 0, 1, 0, 0}, {0, 0, a, 0, b, 0}, {0, aa, 0, bb, 0, 0}, {0, 0, a* aa, 0, b* bb, 1}}};
};

/// A 3×3 kernel on a whole image of 2×2 pixels, padded: in each direction the Toeplitz matrix [w1 w2; w0 w1] with three
/// products instead of four, so 9 instead of 36 (counting the padding) for the image. Coefficients are 0 and ±1 only.
struct Toeplitz {
  static constexpr const char* kName = "toeplitz 2×2";
  static constexpr std::size_t kTile = 2, kFrequencies = 3, kOutput = 2;
  static constexpr std::ptrdiff_t kOffset = 0;
  static constexpr Constant<3, 2> b_transposed = {{{1, 1}, {0, 1}, {1, 0}}};
  static constexpr Constant<3, 3> g = {{{0, 1, 0}, {0, -1, 1}, {1, -1, 0}}};
  static constexpr Constant<2, 3> a_transposed = {{{1, 1, 0}, {1, 0, 1}}};
};

/// A compile-time matrix as a type.
template <const auto& Values>
struct Matrix {
  static constexpr std::size_t kRows = Values.size();
  static constexpr std::size_t kColumns = Values[0].size();
  static constexpr double at(std::size_t row, std::size_t column) { return Values[row][column]; }
};

template <class M>
struct Transposed {
  static constexpr std::size_t kRows = M::kColumns;
  static constexpr std::size_t kColumns = M::kRows;
  static constexpr double at(std::size_t row, std::size_t column) { return M::at(column, row); }
};

/// The product Left·Right, never multiplied out.
template <class Left, class Right>
struct Chain {
  static constexpr std::size_t kRows = Left::kRows;
  static constexpr std::size_t kColumns = Right::kColumns;
};

template <class Left, class Right>
struct Transposed<Chain<Left, Right>> : Chain<Transposed<Right>, Transposed<Left>> {};

/// Bᵀ, G and Aᵀ of a form.
template <class Form>
struct Matrices;

template <>
struct Matrices<F4> {
  using BTransposed = Chain<Matrix<F4::pairs>, Matrix<F4::b_halves>>;
  using G = Chain<Matrix<F4::pairs>, Matrix<F4::g_halves>>;
  // Aᵀ sees the sum and difference of each pair: the transpose of `pairs`, which is symmetric.
  using ATransposed = Chain<Matrix<F4::a_halves>, Matrix<F4::pairs>>;
};

template <>
struct Matrices<Toeplitz> {
  using BTransposed = Matrix<Toeplitz::b_transposed>;
  using G = Matrix<Toeplitz::g>;
  using ATransposed = Matrix<Toeplitz::a_transposed>;
};

namespace detail {

/// Σ over columns from Column on of M(Row, Column)·x[Column], onto `sum`: zeros cost nothing, ±1 an addition.
template <class S, class M, std::size_t Row, std::size_t Column, bool Started, std::size_t Stride>
inline auto row_sum(const typename Lanes<S>::Vector* x, typename Lanes<S>::Vector sum) {
  if constexpr (Column == M::kColumns) {
    return sum;
  } else {
    constexpr double factor = M::at(Row, Column);
    if constexpr (factor == 0)
      return row_sum<S, M, Row, Column + 1, Started, Stride>(x, sum);
    else {
      const auto value = x[Column * Stride];
      if constexpr (!Started && factor == 1)
        sum = value;
      else if constexpr (!Started)
        sum = Lanes<S>::fill(static_cast<S>(factor)) * value;
      else if constexpr (factor == 1)
        sum = sum + value;
      else if constexpr (factor == -1)
        sum = sum - value;
      else
        sum = Lanes<S>::multiply_add(Lanes<S>::fill(static_cast<S>(factor)), value, sum);
      return row_sum<S, M, Row, Column + 1, true, Stride>(x, sum);
    }
  }
}

/// y [rows] = M·x with M [rows, columns] and x [columns]; elements of x and y are InStride and OutStride apart.
template <class S, class M, std::size_t InStride, std::size_t OutStride>
struct Apply {
  using Vector = typename Lanes<S>::Vector;
  static inline void to(const Vector* x, Vector* y) { rows(x, y, std::make_index_sequence<M::kRows>()); }

 private:
  template <std::size_t... Row>
  static inline void rows(const Vector* x, Vector* y, std::index_sequence<Row...>) {
    ((y[Row * OutStride] = row_sum<S, M, Row, 0, false, InStride>(x, Vector{})), ...);
  }
};

template <class S, class Left, class Right, std::size_t InStride, std::size_t OutStride>
struct Apply<S, Chain<Left, Right>, InStride, OutStride> {
  using Vector = typename Lanes<S>::Vector;
  static inline void to(const Vector* x, Vector* y) {
    Vector middle[Right::kRows];
    Apply<S, Right, InStride, 1>::to(x, middle);
    Apply<S, Left, 1, OutStride>::to(middle, y);
  }
};

template <class S, class Left, class Right, std::size_t InStride, std::size_t OutStride>
struct Apply<S, Transposed<Chain<Left, Right>>, InStride, OutStride>
    : Apply<S, Chain<Transposed<Right>, Transposed<Left>>, InStride, OutStride> {};

}  // namespace detail

/// y [m, m] = L·x·Lᵀ for x [n, n] and L [m, n], each element a vector of channels.
template <class S, class L>
inline void sandwich(const typename Lanes<S>::Vector* x, typename Lanes<S>::Vector* y) {
  // x [n, n], y [m, m], half [m, n]
  constexpr std::size_t n = L::kColumns;
  constexpr std::size_t m = L::kRows;
  typename Lanes<S>::Vector half[m * n];  // L·x
  for (std::size_t column = 0; column < n; ++column) detail::Apply<S, L, n, n>::to(x + column, half + column);
  for (std::size_t row = 0; row < m; ++row) detail::Apply<S, L, 1, 1>::to(half + row * n, y + row * m);
}

}  // namespace gradscape::winograd
