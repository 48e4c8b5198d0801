#include "gradscape/landscape/surface_lines.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

LineSummary summarise_line(const std::vector<double>& x, const std::vector<double>& loss) {
  const auto zero = std::find(x.begin(), x.end(), 0.0), one = std::find(x.begin(), x.end(), 1.0);
  if (zero == x.end() || one == x.end()) return {kNan, kNan};
  const auto first = static_cast<std::size_t>(zero - x.begin()), last = static_cast<std::size_t>(one - x.begin());
  LineSummary found{0, 0};
  const auto raise = [](double& most, double value) {  // NaN stays: a barrier that cannot be told is not 0
    if (!std::isnan(most) && !(value <= most)) most = value;
  };
  double lowest = loss[first];
  for (std::size_t i = first; i <= last; ++i) {
    const double chord = (1 - x[i]) * loss[first] + x[i] * loss[last];
    raise(found.barrier, loss[i] - chord);
    raise(found.monotonicity, loss[i] - lowest);
    lowest = std::min(lowest, loss[i]);
  }
  return found;
}

void summarise_lines(Table& table) {
  const std::vector<double>& x = table.dimension("x").values;
  if (std::find(x.begin(), x.end(), 0.0) == x.end() || std::find(x.begin(), x.end(), 1.0) == x.end()) return;
  const auto line = [&](const std::string& of, std::size_t repeat, bool error) {
    const auto& all = table.variable(of).values;
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(repeat * x.size());
    std::vector<double> values(begin, begin + static_cast<std::ptrdiff_t>(x.size()));
    if (error)
      for (double& value : values) value = 1 - value;
    return summarise_line(x, values);
  };
  const auto add = [&](const std::string& name, const std::string& of, bool error) {
    if (table.find(of) == nullptr) return;
    const char* units = error ? "1" : "loss";
    Variable barrier{name + "barrier", units, "largest height over the chord from 0 to 1", {"repeat"}};
    Variable rise{name + "monotonicity",
                  units,
                  "largest rise from a point to a later one, from 0 to 1: 0 where it falls all along",
                  {"repeat"}};
    for (std::size_t repeat = 0; repeat < table.size(); ++repeat) {
      const LineSummary summary = line(of, repeat, error);
      barrier.values.push_back(summary.barrier);
      rise.values.push_back(summary.monotonicity);
    }
    table.variables.push_back(barrier);
    table.variables.push_back(rise);
  };
  add("", "loss", false);
  add("error_", "accuracy", true);
  add("test_", "test_loss", false);
  add("test_error_", "test_accuracy", true);
}

DoublingRange find_doubling(const std::vector<double>& x, const std::vector<double>& loss, double centre) {
  // From the centre outwards, through the points of one side.
  const auto side = [&](std::vector<std::size_t> outwards) {
    double at = 0, value = centre;
    for (const std::size_t i : outwards) {
      if (std::isnan(loss[i])) return kNan;
      if (loss[i] >= 2 * centre)
        return std::isinf(loss[i]) ? x[i] : at + (x[i] - at) * (2 * centre - value) / (loss[i] - value);
      at = x[i];
      value = loss[i];
    }
    return kNan;
  };
  std::vector<std::size_t> below, above;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] > 0) above.push_back(i);
    if (x[x.size() - 1 - i] < 0) below.push_back(x.size() - 1 - i);
  }
  return {side(below), side(above)};
}

}  // namespace gradscape
