#pragma once

#include <cmath>
#include <limits>

namespace gradscape {

/// The least and the largest of some numbers: NaN is skipped, infinities are kept; NaN until a number comes.
struct Extremes {
  double min = std::numeric_limits<double>::quiet_NaN();
  double max = std::numeric_limits<double>::quiet_NaN();

  void add(double value) {
    min = std::fmin(min, value);
    max = std::fmax(max, value);
  }
};

}  // namespace gradscape
