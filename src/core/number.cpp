#include "gradscape/core/number.hpp"

#include <fmt/format.h>

#include <cmath>

namespace gradscape {

bool Range::contains(double value) const {
  return (open_min ? value > min : value >= min) && (open_max ? value < max : value <= max) &&
         !(without_zero && value == 0);
}

std::string Range::text() const {
  const bool below = std::isfinite(max);
  const bool above = std::isfinite(min);
  const auto bound = [](double value) { return value == kMostInteger ? "2^53" : fmt::format("{}", value); };
  const std::string low = fmt::format("{} {}", open_min ? ">" : ">=", bound(min));
  const std::string high = fmt::format("{} {}", open_max ? "<" : "<=", bound(max));
  if (above && below) return low + " and " + high;
  if (above) return low;
  return below ? high : without_zero ? "finite, not 0" : "finite";
}

}  // namespace gradscape
