#pragma once

#include <string>
#include <vector>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

inline constexpr const char* kStepsHelp =
    "first:last:every (inclusive, each may be left out, last may be \"end\"), a step, or a list of them";

/// A flag's value for a field of the stored configuration.
struct FieldOverride {
  std::string flag;
  std::string field;
  std::string text;
};

/// --steps as values of sweep.first, .last, .every and .steps (landscape/step_ranges.hpp). UsageError where it makes no
/// sense.
std::vector<FieldOverride> parse_steps(const std::string& text);

}  // namespace gradscape
