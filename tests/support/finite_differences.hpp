// Derivatives by central differences, to hold against backward passes.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <string>

#include "gradscape/core/types.hpp"

namespace gradscape::testing {

/// Central difference of fourth order: f' + O(h⁴ f⁽⁵⁾/30) + O(1.5 · rounding error of f / h).
template <class Function>
double slope(Function&& f, double& x, double h) {
  const double start = x;
  const auto at = [&](double shift) {
    x = start + shift;
    return f();
  };
  const auto near = at(h) - at(-h);
  const auto far = at(2 * h) - at(-2 * h);
  x = start;
  return static_cast<double>((8 * near - far) / (12 * h));
}

/// The entry whose difference quotient is farthest from the gradient.
struct WorstEntry {
  double error = 0;  // |quotient − gradient| / max|gradient|
  Index index = -1;
  double quotient = 0;
  double gradient = 0;
  Index checked = 0;

  std::string text() const {
    return fmt::format("{} entries, worst [{}]: quotient {:.6g}, gradient {:.6g}, relative error {:.2g}", checked,
                       index, quotient, gradient, error);
  }
};

/// Entries first, first + every, … < last of `at`, against `gradient`. f() reads `at`, which is left as it was.
template <class Function>
void check_entries(Function&& f, Vector<double>& at, const Vector<double>& gradient, Index first, Index last,
                   Index every, double h, WorstEntry& worst) {
  const double scale = gradient.cwiseAbs().maxCoeff();
  for (Index i = first; i < last; i += every) {
    const double quotient = slope(f, at[i], h);
    const double error = std::abs(quotient - gradient[i]) / (scale > 0 ? scale : 1.0);
    ++worst.checked;
    const bool worse = !(error <= worst.error) && !std::isnan(worst.error);  // a NaN is the worst, and fails any bound
    if (worst.index >= 0 && !worse) continue;
    worst = {error, i, quotient, gradient[i], worst.checked};
  }
}

}  // namespace gradscape::testing
