#include "gradscape/study/run_at.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "gradscape/core/error.hpp"

namespace gradscape {

RunAt find_run_at(const std::string& text) {
  const std::size_t at = text.rfind('@');
  std::string place = text;
  std::optional<std::int64_t> step;
  if (at != std::string::npos && !std::filesystem::exists(text)) {
    place = text.substr(0, at);
    const std::string word = text.substr(at + 1);
    std::int64_t number = 0;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (code == std::errc() && end == word.data() + word.size() && number >= 0)
      step = number;
    else if (word != "last")
      throw UsageError(text, fmt::format("\"{}\" is no step", abridge(word)), "RUN_DIR@STEP or RUN_DIR@last");
  }
  const std::vector<RunDirectory> runs = find_runs(place);
  if (runs.size() != 1)
    throw UsageError(place, fmt::format("holds {} runs", runs.size()), "name one of them: " + runs.front().root());
  const auto steps = runs.front().checkpoint_steps();
  if (steps.empty()) throw Error(place, "has no checkpoint", "`gradscape train` makes them");
  if (!step) return {runs.front(), steps.back()};
  if (std::find(steps.begin(), steps.end(), *step) == steps.end()) {
    const auto near = std::min_element(steps.begin(), steps.end(), [&](std::int64_t a, std::int64_t b) {
      return std::abs(a - *step) < std::abs(b - *step);
    });
    throw UsageError(place, fmt::format("has no checkpoint of step {}", *step),
                     fmt::format("the nearest is {}", *near));
  }
  return {runs.front(), *step};
}

}  // namespace gradscape
