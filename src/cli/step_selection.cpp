#include "gradscape/cli/step_selection.hpp"

#include <fmt/format.h>

#include "gradscape/core/error.hpp"

namespace gradscape {

std::vector<FieldOverride> parse_steps(const std::string& text) {
  const std::vector<std::string> keys = {"sweep.first", "sweep.last", "sweep.every"};
  const std::vector<std::string> defaults = {"0", "-1", "1"};
  std::vector<FieldOverride> overrides;
  std::size_t start = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool given = start != std::string::npos;
    const std::size_t end = given ? text.find(':', start) : std::string::npos;
    std::string part = given ? text.substr(start, end - start) : "";
    if (part.empty() || (i == 1 && part == "end")) part = defaults[i];
    overrides.push_back({"--steps", keys[i], part});
    start = end == std::string::npos ? end : end + 1;
  }
  if (start != std::string::npos)
    throw UsageError("--steps", fmt::format("\"{}\" has more than three parts", abridge(text)),
                     "first:last:every, as in 0:1000:20");
  return overrides;
}

void select_steps(const std::string& text, Experiment& experiment) {
  for (const auto& [flag, field, value] : parse_steps(text)) set_field(*find_field(field), experiment, value, flag);
  check_experiment(experiment, "--steps");
}

}  // namespace gradscape
