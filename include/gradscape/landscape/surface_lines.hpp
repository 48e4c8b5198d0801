// What the loss along a line says in a number: barrier, monotonicity, where it doubles.
#pragma once

#include <vector>

#include "gradscape/core/table.hpp"

namespace gradscape {

/// max over x in [0, 1] of L(x) − ((1 − x)·L(0) + x·L(1)), and the largest rise max over i < j of L_j − L_i there; NaN
/// where x does not have both 0 and 1.
struct LineSummary {
  double barrier = 0;
  double monotonicity = 0;
};
LineSummary summarise_line(const std::vector<double>& x, const std::vector<double>& loss);
/// Adds these numbers to the table of lines [repeat, x], of the loss and the error (1 − accuracy), where x has 0 and 1.
void summarise_lines(Table& table);

/// Where the loss of a line reaches twice the centre's, `centre`, for the first time below and above 0: linear between
/// points. NaN where it does not, or is no number on the way.
struct DoublingRange {
  double below = 0;
  double above = 0;
};
DoublingRange find_doubling(const std::vector<double>& x, const std::vector<double>& loss, double centre);

}  // namespace gradscape
