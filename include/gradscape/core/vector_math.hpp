// Algebra on flat vectors: parallel, in fixed order, with sums in double (docs/design.md, idea 4).
#pragma once

#include "gradscape/core/types.hpp"

namespace gradscape {

/// ‖a‖₂, ‖a − b‖₂ and ⟨a, b⟩, accumulated in double. Sizes must agree.
template <class S>
double norm(const Vector<S>& a);
template <class S>
double distance(const Vector<S>& a, const Vector<S>& b);
template <class S>
double dot(const Vector<S>& a, const Vector<S>& b);

/// ‖a‖₂ and ‖a − b‖₂ of elements [begin, end).
template <class S>
double norm(const Vector<S>& a, Index begin, Index end);
template <class S>
double distance(const Vector<S>& a, const Vector<S>& b, Index begin, Index end);

/// ‖a‖₂, ‖a − b‖₂ and ⟨a, b⟩ in one pass over both.
struct Comparison {
  double norm = 0;
  double distance = 0;
  double dot = 0;
};
template <class S>
Comparison compare(const Vector<S>& a, const Vector<S>& b);

/// out = a + scale · b, with scale rounded to S first and each element rounded after the product and after the sum.
template <class S>
void add_scaled(const Vector<S>& a, double scale, const Vector<S>& b, Vector<S>& out);

}  // namespace gradscape
