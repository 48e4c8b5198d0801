#pragma once

#include <cmath>

namespace gradscape {

/// Whether two numbers are the same result: equal, zeros of the same sign, or both NaN.
template <class T>
bool same_value(T a, T b) {
  return (a == b && std::signbit(a) == std::signbit(b)) || (std::isnan(a) && std::isnan(b));
}

}  // namespace gradscape
