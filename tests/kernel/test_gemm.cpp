// Matrix products against their definition, bit by bit: each element is one chain of std::fma in the order of k.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "gradscape/kernel/gemm.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"
#include "support/isa.hpp"

namespace gradscape::testing {
namespace {

/// A matrix with `padding` elements behind each row and kGuard on both sides, all NaN but for the matrix itself.
template <class S>
class Padded {
 public:
  Padded(Index rows, Index cols, Index padding, std::uint32_t seed)
      : rows_(rows), cols_(cols), stride_(cols + padding) {
    values_.assign(static_cast<std::size_t>(rows * stride_ + 2 * kGuard), std::numeric_limits<S>::quiet_NaN());
    // A quotient has all digits, so that no sum is exact and every order of additions shows.
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < cols; ++j) {
        const Index place = i * cols + j;
        at(i, j) = static_cast<S>(hash_value(place, seed) / (1.5 + hash_value(place, seed + 1)));
      }
  }

  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  S& at(Index i, Index j) { return values_[static_cast<std::size_t>(kGuard + i * stride_ + j)]; }
  S at(Index i, Index j) const { return values_[static_cast<std::size_t>(kGuard + i * stride_ + j)]; }

  Block<S> block() { return {values_.data() + kGuard, rows_, cols_, stride_}; }
  Block<const S> block() const { return {values_.data() + kGuard, rows_, cols_, stride_}; }
  /// Rows [row, row + rows) and columns [col, col + cols).
  Block<S> part(Index row, Index rows, Index col, Index cols) {
    return {values_.data() + kGuard + row * stride_ + col, rows, cols, stride_};
  }
  Block<const S> part(Index row, Index rows, Index col, Index cols) const {
    return {values_.data() + kGuard + row * stride_ + col, rows, cols, stride_};
  }

  /// Everything, guards and padding too.
  bool operator==(const Padded& other) const {
    return values_.size() == other.values_.size() &&
           std::memcmp(values_.data(), other.values_.data(), values_.size() * sizeof(S)) == 0;
  }

 private:
  static constexpr Index kGuard = 40;
  Index rows_, cols_, stride_;
  std::vector<S> values_;
};

enum class Kind { plain, transposed_a, transposed_b, panels };
constexpr Kind kKinds[] = {Kind::plain, Kind::transposed_a, Kind::transposed_b, Kind::panels};

/// b's rows [first, last) as panels, the columns beyond b's filled with NaN.
template <class S>
std::vector<S> panels_of(const Padded<S>& b, Index first, Index last) {
  const Index rows = last - first;
  std::vector<S> panels(static_cast<std::size_t>(panels_size<S>(rows, b.cols())), std::numeric_limits<S>::quiet_NaN());
  for (Index l = 0; l < rows; ++l)
    for (Index j = 0; j < b.cols(); ++j)
      panels[static_cast<std::size_t>((j / kPanel<S> * rows + l) * kPanel<S> + j % kPanel<S>)] = b.at(first + l, j);
  return panels;
}

/// The factors of one product, stored as its function wants them.
template <class S>
struct Factors {
  Kind kind;
  Index m, n, k;
  Padded<S> a, b;

  Factors(Kind kind_of, Index rows, Index cols, Index depth, Index padding, std::uint32_t seed)
      : kind(kind_of),
        m(rows),
        n(cols),
        k(depth),
        a(kind == Kind::transposed_a ? k : m, kind == Kind::transposed_a ? m : k, padding, seed),
        b(kind == Kind::transposed_b ? n : k, kind == Kind::transposed_b ? k : n, padding / 2, seed + 10) {}

  S left(Index i, Index l) const { return kind == Kind::transposed_a ? a.at(l, i) : a.at(i, l); }
  S right(Index l, Index j) const { return kind == Kind::transposed_b ? b.at(j, l) : b.at(l, j); }

  void define(Padded<S>& c, Into into) const {
    for (Index i = 0; i < m; ++i)
      for (Index j = 0; j < n; ++j) {
        S sum = into == Into::accumulate ? c.at(i, j) : S{0};
        for (Index l = 0; l < k; ++l) sum = std::fma(left(i, l), right(l, j), sum);
        c.at(i, j) = sum;
      }
  }

  void run(Padded<S>& c, Into into) const { run_part(c, 0, m, 0, n, 0, k, into); }

  /// Of c the block [i0, i1) × [j0, j1), of the chain the part [l0, l1). j0 begins a panel.
  void run_part(Padded<S>& c, Index i0, Index i1, Index j0, Index j1, Index l0, Index l1, Into into) const {
    const Block<S> target = c.part(i0, i1 - i0, j0, j1 - j0);
    const auto part_a =
        kind == Kind::transposed_a ? a.part(l0, l1 - l0, i0, i1 - i0) : a.part(i0, i1 - i0, l0, l1 - l0);
    const auto part_b =
        kind == Kind::transposed_b ? b.part(j0, j1 - j0, l0, l1 - l0) : b.part(l0, l1 - l0, j0, j1 - j0);
    switch (kind) {
      case Kind::plain:
        return multiply<S>(part_a, part_b, target, into);
      case Kind::transposed_a:
        return multiply_transposed_a<S>(part_a, part_b, target, into);
      case Kind::transposed_b:
        return multiply_transposed_b<S>(part_a, part_b, target, into);
      case Kind::panels: {
        const auto panels = panels_of(b, l0, l1);
        return multiply_panels<S>(part_a, panels.data() + j0 * (l1 - l0), target, into);
      }
    }
  }
};

template <class S>
std::string name_of(const Factors<S>& f) {
  return fmt::format("kind {}, {}×{}×{}", static_cast<int>(f.kind), f.m, f.n, f.k);
}

template <class S>
class Gemm : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Gemm, Scalars);

/// Also shows that nothing outside of c's block is written (it would differ) and no padding read (it is NaN).
template <class S>
void expect_definition(Kind kind, Index m, Index n, Index k, Index padding, std::uint32_t seed) {
  const Factors<S> factors(kind, m, n, k, padding, seed);
  for (const Into into : {Into::overwrite, Into::accumulate}) {
    if (k == 0 && kind == Kind::panels && into == Into::overwrite) continue;  // there are no panels to speak of
    const Padded<S> before(m, n, padding / 3, seed + 20);
    Padded<S> expected = before;
    factors.define(expected, into);
    for_each_isa([&](const char* isa) {
      Padded<S> found = before;
      factors.run(found, into);
      EXPECT_TRUE(found == expected) << isa << ", " << name_of(factors) << (into == Into::accumulate ? ", +=" : "");
    });
  }
}

// Every number of rows and columns that a block of the kernels can have, and what is left over of several.
TYPED_TEST(Gemm, EveryTailIsTheDefinition) {
  using S = TypeParam;
  for (Index m = 1; m <= 30; ++m)
    for (Index n = 1; n <= 35; ++n) {
      const auto seed = static_cast<std::uint32_t>(100 * (35 * m + n));
      expect_definition<S>(kKinds[(m + n) % 4], m, n, 1 + (m * n) % 7, n % 5, seed);
      expect_definition<S>(kKinds[(m + n + 2) % 4], m, n, 1 + (m + n) % 7, n % 3 * 7, seed);
    }
}

// Around the sizes at which parts are taken: 256 and 512 of k, 256 of the columns.
TYPED_TEST(Gemm, EveryDepthIsTheDefinition) {
  using S = TypeParam;
  std::uint32_t seed = 1;
  for (const Kind kind : kKinds)
    for (const Index k : {0, 1, 2, 3, 8, 31, 255, 256, 257, 300, 511, 512, 513, 777, 1025}) {
      seed += 50;
      expect_definition<S>(kind, 1 + seed % 23, 1 + seed % 67, k, seed % 9, seed);
    }
  for (const Kind kind : kKinds)
    for (const Index n : {255, 256, 257, 300, 513}) expect_definition<S>(kind, 7, n, 520, 3, seed += 50);
  for (const Kind kind : kKinds) expect_definition<S>(kind, 200, 40, 33, 1, seed += 50);
}

// The last digit of a sum shows its order: with another order, or two roundings per step, bits differ.
TYPED_TEST(Gemm, TheDefinitionIsToldFromOtherOrders) {
  using S = TypeParam;
  const Factors<S> factors(Kind::plain, 8, 40, 64, 3, 1);
  Padded<S> chain(8, 40, 2, 30), backwards = chain, rounded_twice = chain;
  factors.define(chain, Into::overwrite);
  for (Index i = 0; i < 8; ++i)
    for (Index j = 0; j < 40; ++j) {
      S sum = 0, twice = 0;
      for (Index l = 64; l-- > 0;) sum = std::fma(factors.left(i, l), factors.right(l, j), sum);
      for (Index l = 0; l < 64; ++l) {
        const S product = factors.left(i, l) * factors.right(l, j);
        twice += product;
      }
      backwards.at(i, j) = sum;
      rounded_twice.at(i, j) = twice;
    }
  EXPECT_FALSE(chain == backwards);
  EXPECT_FALSE(chain == rounded_twice);
}

TYPED_TEST(Gemm, CuttingAProductChangesNoBit) {
  using S = TypeParam;
  constexpr Index kM = 43, kN = 3 * kPanel<S> + 5, kK = 601;
  std::uint32_t seed = 1;
  for (const Kind kind : kKinds) {
    const Factors<S> factors(kind, kM, kN, kK, 6, seed += 50);
    const Padded<S> before(kM, kN, 4, seed + 20);
    for (const Into into : {Into::overwrite, Into::accumulate})
      for_each_isa([&](const char* isa) {
        SCOPED_TRACE(isa + (": " + name_of(factors)));
        Padded<S> whole = before;
        factors.run(whole, into);
        for (const Index row : {1, 6, 13, 14, 29}) {
          Padded<S> cut = before;
          factors.run_part(cut, 0, row, 0, kN, 0, kK, into);
          factors.run_part(cut, row, kM, 0, kN, 0, kK, into);
          EXPECT_TRUE(cut == whole) << "rows at " << row;
        }
        for (const Index column : {Index{1}, kPanel<S>, kPanel<S> + 3, 2 * kPanel<S>}) {
          if (kind == Kind::panels && column % kPanel<S> != 0) continue;
          Padded<S> cut = before;
          factors.run_part(cut, 0, kM, 0, column, 0, kK, into);
          factors.run_part(cut, 0, kM, column, kN, 0, kK, into);
          EXPECT_TRUE(cut == whole) << "columns at " << column;
        }
        for (const Index depth : {1, 100, 256, 400, 512, 600}) {
          Padded<S> cut = before;
          factors.run_part(cut, 0, kM, 0, kN, 0, depth, into);
          factors.run_part(cut, 0, kM, 0, kN, depth, kK, Into::accumulate);
          EXPECT_TRUE(cut == whole) << "k at " << depth;
        }
      });
  }
}

// NaN and infinities stay in the rows and columns they belong to; −0 and tiny numbers are not lost.
TYPED_TEST(Gemm, SpecialNumbersAreTheDefinitions) {
  using S = TypeParam;
  constexpr S kInf = std::numeric_limits<S>::infinity(), kNan = std::numeric_limits<S>::quiet_NaN();
  constexpr S kTiny = std::numeric_limits<S>::denorm_min();
  for (const Kind kind : kKinds) {
    Factors<S> factors(kind, 17, 37, 21, 2, 7);
    Index place = 0;
    for (const S special : {kInf, -kInf, kNan, S{0}, -S{0}, kTiny, std::numeric_limits<S>::max()}) {
      factors.a.at(3 + place % 5, 2 + place) = special;
      factors.b.at(1 + place, 4 + place % 3) = special;
      ++place;
    }
    Padded<S> expected(17, 37, 1, 40), found = expected;
    factors.define(expected, Into::accumulate);
    for_each_isa([&](const char* isa) {
      Padded<S> c = found;
      factors.run(c, Into::accumulate);
      Index nan = 0, finite = 0;
      for (Index i = 0; i < 17; ++i)
        for (Index j = 0; j < 37; ++j) {
          const S x = c.at(i, j), y = expected.at(i, j);
          EXPECT_TRUE(std::isnan(y) ? std::isnan(x) : same_bits(x, y)) << isa << ", " << name_of(factors);
          nan += std::isnan(y);
          finite += std::isfinite(y);
        }
      EXPECT_GT(nan, 0);
      EXPECT_GT(finite, 0);
    });
  }
}

TYPED_TEST(Gemm, FactorsThatDoNotFitAreInternalErrors) {
  using S = TypeParam;
  Padded<S> a(3, 4, 0, 1), b(4, 5, 0, 2), c(3, 5, 0, 3), wrong(3, 4, 0, 4);
  const auto left = std::as_const(a).block(), right = std::as_const(b).block();
  EXPECT_NO_THROW(multiply<S>(left, right, c.block()));
  EXPECT_THROW(multiply<S>(left, right, wrong.block()), std::logic_error);
  EXPECT_THROW(multiply<S>(right, left, c.block()), std::logic_error);
  EXPECT_THROW(multiply_transposed_a<S>(left, right, c.block()), std::logic_error);
  EXPECT_THROW(multiply_transposed_b<S>(left, right, c.block()), std::logic_error);
  EXPECT_THROW(multiply_panels<S>(right, b.block().data, c.block(), Into::overwrite), std::logic_error);
}

}  // namespace
}  // namespace gradscape::testing
