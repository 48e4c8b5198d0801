#include "gradscape/core/vector_math.hpp"

#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"

namespace gradscape {
namespace {

/// Σ term(i): eight interleaved partial sums per chunk, so that the compiler can use vectors without reordering.
template <class Term>
double ordered_sum(Index size, Term&& term) {
  constexpr Index kLanes = 8;
  return parallel::sum_chunks(size, parallel::kElementwiseChunk, [&](Index first, Index last) {
    double lanes[kLanes] = {};
    Index i = first;
    for (; i + kLanes <= last; i += kLanes)
      for (Index lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
    double sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
    for (; i < last; ++i) sum += term(i);
    return sum;
  });
}

struct Sums {
  double squares = 0;
  double differences = 0;
  double products = 0;
  Sums& operator+=(const Sums& other) {
    squares += other.squares;
    differences += other.differences;
    products += other.products;
    return *this;
  }
};

}  // namespace

template <class S>
double norm(const Vector<S>& a) {
  return norm(a, 0, a.size());
}

template <class S>
double distance(const Vector<S>& a, const Vector<S>& b) {
  check(a.size() == b.size(), "vectors of one size");
  return distance(a, b, 0, a.size());
}

template <class S>
double norm(const Vector<S>& a, Index begin, Index end) {
  const S* x = a.data() + begin;
  return std::sqrt(ordered_sum(end - begin, [x](Index i) {
    const double value = static_cast<double>(x[i]);
    return value * value;
  }));
}

template <class S>
double distance(const Vector<S>& a, const Vector<S>& b, Index begin, Index end) {
  const S* x = a.data() + begin;
  const S* y = b.data() + begin;
  return std::sqrt(ordered_sum(end - begin, [x, y](Index i) {
    const double value = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    return value * value;
  }));
}

template <class S>
double dot(const Vector<S>& a, const Vector<S>& b) {
  check(a.size() == b.size(), "vectors of one size");
  const S* x = a.data();
  const S* y = b.data();
  return ordered_sum(a.size(), [x, y](Index i) { return static_cast<double>(x[i]) * static_cast<double>(y[i]); });
}

template <class S>
Comparison compare(const Vector<S>& a, const Vector<S>& b) {
  check(a.size() == b.size(), "vectors of one size");
  const S* x = a.data();
  const S* y = b.data();
  constexpr Index kLanes = 8;
  const Sums sums = parallel::sum_chunks(a.size(), parallel::kElementwiseChunk, [&](Index first, Index last) {
    double squares[kLanes] = {}, differences[kLanes] = {}, products[kLanes] = {};
    const auto add = [&](Index lane, Index i) {
      const double u = static_cast<double>(x[i]);
      const double v = static_cast<double>(y[i]);
      squares[lane] += u * u;
      differences[lane] += (u - v) * (u - v);
      products[lane] += u * v;
    };
    Index i = first;
    for (; i + kLanes <= last; i += kLanes)
      for (Index lane = 0; lane < kLanes; ++lane) add(lane, i + lane);
    for (Index lane = 0; i < last; ++i, ++lane) add(lane, i);
    Sums sum;
    for (Index lane = 0; lane < kLanes; ++lane) sum += {squares[lane], differences[lane], products[lane]};
    return sum;
  });
  return {std::sqrt(sums.squares), std::sqrt(sums.differences), sums.products};
}

template <class S>
void add_scaled(const Vector<S>& a, double scale, const Vector<S>& b, Vector<S>& out) {
  check(a.size() == b.size(), "vectors of one size");
  out.resize(a.size());
  const S factor = static_cast<S>(scale);
  const S* x = a.data();
  const S* y = b.data();
  S* z = out.data();
  parallel::for_chunks(a.size(), parallel::kElementwiseChunk, [=](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) z[i] = x[i] + factor * y[i];
  });
}

#define GRADSCAPE_INSTANTIATE(S)                                                 \
  template double norm<S>(const Vector<S>&, Index, Index);                       \
  template double distance<S>(const Vector<S>&, const Vector<S>&, Index, Index); \
  template double norm<S>(const Vector<S>&);                                     \
  template double distance<S>(const Vector<S>&, const Vector<S>&);               \
  template double dot<S>(const Vector<S>&, const Vector<S>&);                    \
  template Comparison compare<S>(const Vector<S>&, const Vector<S>&);            \
  template void add_scaled<S>(const Vector<S>&, double, const Vector<S>&, Vector<S>&);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
