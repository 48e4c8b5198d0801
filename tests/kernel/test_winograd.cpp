// The small matrices of Winograd's forms against Toom and Cook's construction and a plain correlation.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "gradscape/kernel/winograd.hpp"
#include "support/hash_values.hpp"

namespace gradscape::testing {
namespace {

/// Row-major, small.
using Small = Eigen::Matrix<long double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// L·x·Lᵀ by the library, every lane with its own multiple of x, a power of two: the lanes must agree but for it.
template <class S, class L>
Small sandwich(const Small& x) {
  using Vector = typename Lanes<S>::Vector;
  constexpr Index kCount = Lanes<S>::kCount;
  constexpr std::size_t m = L::kRows, n = L::kColumns;
  Vector in[n * n], out[m * m];
  for (Index i = 0; i < x.size(); ++i) {
    S lanes[kCount];
    for (Index lane = 0; lane < kCount; ++lane)
      lanes[lane] = static_cast<S>(std::ldexp(x.data()[i], static_cast<int>(lane)));
    in[i] = Lanes<S>::load(lanes);
  }
  winograd::sandwich<S, L>(in, out);
  Small y(m, m);
  for (Index i = 0; i < y.size(); ++i) {
    S lanes[kCount];
    Lanes<S>::store(lanes, out[i]);
    y.data()[i] = lanes[0];
    for (Index lane = 1; lane < kCount; ++lane)
      EXPECT_EQ(lanes[lane], static_cast<S>(std::ldexp(lanes[0], static_cast<int>(lane))));
  }
  return y;
}

/// The matrix L itself, column by column.
template <class L>
Small matrix_of() {
  constexpr std::size_t m = L::kRows, n = L::kColumns;
  Small result(m, n);
  for (std::size_t column = 0; column < n; ++column) {
    Lanes<double>::Vector unit[n] = {}, image[m];
    unit[column] = Lanes<double>::fill(1);
    winograd::detail::Apply<double, L, 1, 1>::to(unit, image);
    for (std::size_t row = 0; row < m; ++row)
      result(static_cast<Index>(row), static_cast<Index>(column)) = image[row][0];
  }
  return result;
}

Small random_matrix(Index rows, Index cols, std::uint32_t seed) {
  Small x(rows, cols);
  for (Index i = 0; i < x.size(); ++i) x.data()[i] = hash_value(i, seed);
  return x;
}

/// Toom and Cook for four outputs and three taps: the products of polynomials are evaluated at `points` and at ∞.
struct Toom {
  std::vector<long double> points = {0, 0.75L, -0.75L, 1.5L, -1.5L};

  /// Coefficients of Π (x − p) over all points but number `without`.
  std::vector<long double> product(std::size_t without) const {
    std::vector<long double> c = {1};
    for (std::size_t j = 0; j < points.size(); ++j) {
      if (j == without) continue;
      c.insert(c.begin(), 0);
      for (std::size_t k = 0; k + 1 < c.size(); ++k) c[k] -= points[j] * c[k + 1];
    }
    return c;
  }

  Small b_transposed() const {
    Small b = Small::Zero(6, 6);
    for (Index row = 0; row < 6; ++row) {
      const auto c = product(static_cast<std::size_t>(row));
      for (std::size_t k = 0; k < c.size(); ++k) b(row, static_cast<Index>(k)) = c[k];
    }
    return b;
  }

  Small g() const {
    Small g = Small::Zero(6, 3);
    for (std::size_t j = 0; j < points.size(); ++j) {
      long double scale = 1;
      for (std::size_t l = 0; l < points.size(); ++l)
        if (l != j) scale *= points[j] - points[l];
      for (int k = 0; k < 3; ++k) g(static_cast<Index>(j), k) = std::pow(points[j], k) / scale;
    }
    g(5, 2) = 1;
    return g;
  }

  Small a_transposed() const {
    Small a = Small::Zero(4, 6);
    for (std::size_t j = 0; j < points.size(); ++j)
      for (int i = 0; i < 4; ++i) a(i, static_cast<Index>(j)) = std::pow(points[j], i);
    a(3, 5) = 1;
    return a;
  }
};

template <class Form>
using B = typename winograd::Matrices<Form>::BTransposed;
template <class Form>
using G = typename winograd::Matrices<Form>::G;
template <class Form>
using A = typename winograd::Matrices<Form>::ATransposed;

// The coefficients of B and A are short binary fractions; those of G are rounded, two or three times.
TEST(Winograd, F4IsToomCookWithItsPoints) {
  const Toom toom;
  EXPECT_EQ(matrix_of<B<winograd::F4>>(), toom.b_transposed());
  EXPECT_EQ(matrix_of<A<winograd::F4>>(), toom.a_transposed());
  const Small found = matrix_of<G<winograd::F4>>(), g = toom.g();
  EXPECT_TRUE(
      ((found - g).cwiseAbs().array() <= 2 * std::numeric_limits<double>::epsilon() * g.cwiseAbs().array()).all())
      << found;
}

/// Σ w[k, l]·d[i + k, j + l], zeros around the image where it is `padded`.
Small correlate(const Small& d, const Small& w, Index size, bool padded) {
  const Index offset = padded ? -1 : 0;
  Small y = Small::Zero(size, size);
  for (Index i = 0; i < size; ++i)
    for (Index j = 0; j < size; ++j)
      for (Index k = 0; k < 3; ++k)
        for (Index l = 0; l < 3; ++l) {
          const Index row = i + k + offset, column = j + l + offset;
          if (row < 0 || row >= d.rows() || column < 0 || column >= d.cols()) continue;
          y(i, j) += w(k, l) * d(row, column);
        }
  return y;
}

/// Aᵀ[(G w Gᵀ) ⊙ (Bᵀ d B)]A in S against the correlation. Every step of it rounds sums of up to six products: with some
/// thirty roundings on the way of any number, the error stays below 30 eps times the same expression of absolute
/// values.
template <class S, class Form>
void expect_correlation(const Small& b, const Small& g, const Small& a, bool padded) {
  const double eps = std::numeric_limits<S>::epsilon() / 2;
  double worst = 0;
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    const Small d = random_matrix(b.cols(), b.cols(), seed), w = random_matrix(3, 3, seed + 1000);
    const Small u = sandwich<S, G<Form>>(w), v = sandwich<S, B<Form>>(d);
    Small product = u.cwiseProduct(v);
    for (long double& value : product.reshaped()) value = static_cast<S>(value);
    const Small y = sandwich<S, A<Form>>(product);
    const Small expected = correlate(d, w, a.rows(), padded);
    const auto absolute = [](const Small& l, const Small& x) -> Small {
      return l.cwiseAbs() * x.cwiseAbs() * l.cwiseAbs().transpose();
    };
    const Small bound = 30 * eps * absolute(a, absolute(g, w).cwiseProduct(absolute(b, d)));
    for (Index i = 0; i < y.size(); ++i)
      EXPECT_LE(std::abs(y.data()[i] - expected.data()[i]), bound.data()[i]) << Form::kName;
    worst = std::max(worst, static_cast<double>((y - expected).norm() / expected.norm()));
  }
  fmt::print("  {}, {}: worst relative error {:.2g}\n", Form::kName, std::is_same_v<S, float> ? "float" : "double",
             worst);
}

TEST(Winograd, FormsAreCorrelations) {
  const Toom toom;
  expect_correlation<double, winograd::F4>(toom.b_transposed(), toom.g(), toom.a_transposed(), false);
  expect_correlation<float, winograd::F4>(toom.b_transposed(), toom.g(), toom.a_transposed(), false);
  const Small b = matrix_of<B<winograd::Toeplitz>>(), g = matrix_of<G<winograd::Toeplitz>>(),
              a = matrix_of<A<winograd::Toeplitz>>();
  expect_correlation<double, winograd::Toeplitz>(b, g, a, true);
  expect_correlation<float, winograd::Toeplitz>(b, g, a, true);
}

// Coefficients 0 and ±1: whole numbers stay whole.
TEST(Winograd, ToeplitzIsExactInWholeNumbers) {
  for (std::uint32_t seed = 1; seed <= 100; ++seed) {
    const auto whole = [](Small x) -> Small {
      for (long double& value : x.reshaped()) value = std::floor(value * 100);
      return x;
    };
    const Small d = whole(random_matrix(2, 2, seed)), w = whole(random_matrix(3, 3, seed + 1000));
    const Small product =
        sandwich<float, G<winograd::Toeplitz>>(w).cwiseProduct(sandwich<float, B<winograd::Toeplitz>>(d));
    EXPECT_EQ((sandwich<float, A<winograd::Toeplitz>>(product)), correlate(d, w, 2, true));
  }
}

/// ⟨L x Lᵀ, y⟩ = ⟨x, Lᵀ y L⟩, to some ten roundings of the terms' size.
template <class S, class L>
void expect_adjoint(const char* name) {
  const double eps = std::numeric_limits<S>::epsilon() / 2;
  for (std::uint32_t seed = 1; seed <= 50; ++seed) {
    const Small x = random_matrix(L::kColumns, L::kColumns, seed), y = random_matrix(L::kRows, L::kRows, seed + 1000);
    const Small lx = sandwich<S, L>(x), ly = sandwich<S, winograd::Transposed<L>>(y);
    const Small l = matrix_of<L>().cwiseAbs();
    const long double size = (l * x.cwiseAbs() * l.transpose()).cwiseProduct(y.cwiseAbs()).sum();
    EXPECT_LE(std::abs(lx.cwiseProduct(y).sum() - x.cwiseProduct(ly).sum()), 10 * eps * size) << name;
  }
}

TEST(Winograd, TransposedMapsAreAdjoint) {
  expect_adjoint<double, B<winograd::F4>>("F4, B");
  expect_adjoint<double, G<winograd::F4>>("F4, G");
  expect_adjoint<double, A<winograd::F4>>("F4, A");
  expect_adjoint<float, B<winograd::F4>>("F4, B");
  expect_adjoint<float, G<winograd::F4>>("F4, G");
  expect_adjoint<float, A<winograd::F4>>("F4, A");
  expect_adjoint<double, B<winograd::Toeplitz>>("Toeplitz, B");
  expect_adjoint<double, G<winograd::Toeplitz>>("Toeplitz, G");
  expect_adjoint<double, A<winograd::Toeplitz>>("Toeplitz, A");
  expect_adjoint<float, B<winograd::Toeplitz>>("Toeplitz, B");
  expect_adjoint<float, G<winograd::Toeplitz>>("Toeplitz, G");
  expect_adjoint<float, A<winograd::Toeplitz>>("Toeplitz, A");
}

}  // namespace
}  // namespace gradscape::testing
