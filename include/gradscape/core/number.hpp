// Numbers in texts: how they are read and printed, and which are admitted.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace gradscape {

inline constexpr double kMostInteger = 9007199254740992.0;  // 2^53: exact in a double, as all below it

/// Admitted numbers.
struct Range {
  double min;
  double max;
  bool open_min = false;
  bool open_max = false;
  bool without_zero = false;

  bool contains(double value) const;
  /// "> 0", ">= 0 and <= 1", "finite, not 0"
  std::string text() const;
};

/// A value to print: NaN without a sign, which means nothing and would show as "-nan".
inline double printable(double value) {
  return std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value;
}

/// Whether the whole text is a number of this type, which then is in `value`; a sign + is admitted.
template <class T>
bool parse_number(const std::string& text, T& value) {
  const char* first = text.data() + (text.starts_with('+') && !text.starts_with("+-") ? 1 : 0);
  const char* last = text.data() + text.size();
  const auto [end, code] = std::from_chars(first, last, value);
  return code == std::errc() && end == last;
}

}  // namespace gradscape
