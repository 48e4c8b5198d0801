#include "gradscape/cli/step_selection.hpp"

#include <string>

#include "gradscape/landscape/step_ranges.hpp"

namespace gradscape {

std::vector<FieldOverride> parse_steps(const std::string& text) {
  SweepOptions options;
  set_step_ranges(parse_step_ranges(text, "--steps"), options);
  return {{"--steps", "sweep.first", std::to_string(options.first)},
          {"--steps", "sweep.last", std::to_string(options.last)},
          {"--steps", "sweep.every", std::to_string(options.every)},
          {"--steps", "sweep.steps", options.steps}};
}

}  // namespace gradscape
