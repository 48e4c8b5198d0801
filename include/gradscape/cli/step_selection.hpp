#pragma once

#include <string>
#include <vector>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

inline constexpr const char* kStepsHelp =
    "first:last:every, inclusive; parts may be empty, last may be \"end\" (default: the run's [sweep])";

/// A flag's value for a field of the stored configuration.
struct FieldOverride {
  std::string flag;
  std::string field;
  std::string text;
};

/// Splits first:last:every of --steps into values of sweep.first, .last and .every; an empty part stands for 0, the
/// run's end, and 1, "end" as the last step for the run's end.
std::vector<FieldOverride> parse_steps(const std::string& text);

/// Sets the experiment's [sweep] to the steps of --steps. UsageError where they make no sense.
void select_steps(const std::string& text, Experiment& experiment);

}  // namespace gradscape
