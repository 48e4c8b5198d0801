#include "gradscape/landscape/step_ranges.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "gradscape/core/error.hpp"
#include "gradscape/core/split.hpp"

namespace gradscape {
namespace {

std::int64_t number(const std::string& text, std::int64_t least, const char* what, const std::string& where) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size())
    throw UsageError(where, fmt::format("\"{}\" is no whole number for the {}", abridge(text), what),
                     "first:last:every, as in 0:1000:20");
  if (value < least)
    throw UsageError(where, fmt::format("the {} is {}", what, value), fmt::format("{} or more", least));
  return value;
}

StepRange parse_range(const std::string& text, const std::string& where) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() > 3)
    throw UsageError(where, fmt::format("\"{}\" has more than three parts", abridge(text)),
                     "first:last:every, as in 0:1000:20");
  StepRange range;
  if (parts.size() == 1 && parts[0].find('-', 1) != std::string::npos)
    throw UsageError(where, fmt::format("\"{}\" is no range", abridge(text)), "first:last:every, as in 0:1000:20");
  if (!parts[0].empty()) range.first = number(parts[0], 0, "first step", where);
  if (parts.size() == 1 && !parts[0].empty()) range.last = range.first;
  if (parts.size() > 1 && !parts[1].empty() && parts[1] != "end") range.last = number(parts[1], 0, "last step", where);
  if (parts.size() > 2 && !parts[2].empty()) range.every = number(parts[2], 1, "interval", where);
  if (range.last >= 0 && range.last < range.first)
    throw UsageError(where, fmt::format("the last step {} lies before the first, {}", range.last, range.first));
  return range;
}

bool contains(const StepRange& range, std::int64_t step) {
  return step >= range.first && (range.last < 0 || step <= range.last) && (step - range.first) % range.every == 0;
}

/// Whether every step of `inner` is one of `outer`.
bool lies_in(const StepRange& inner, const StepRange& outer) {
  const bool single = inner.first == inner.last;
  const bool ends = outer.last < 0 || (inner.last >= 0 && inner.last <= outer.last);
  return inner.first >= outer.first && ends && (inner.first - outer.first) % outer.every == 0 &&
         (single || inner.every % outer.every == 0);
}

std::string text_of(const StepRange& range) {
  if (range.first == range.last) return fmt::format("{}", range.first);
  return fmt::format("{}:{}:{}", range.first, range.last < 0 ? "end" : std::to_string(range.last), range.every);
}

}  // namespace

std::vector<StepRange> parse_step_ranges(const std::string& text, const std::string& where) {
  std::vector<StepRange> ranges;
  for (const std::string& part : split_list(text)) ranges.push_back(parse_range(part, where));
  if (ranges.empty()) throw UsageError(where, "there is no step in []", "first:last:every, as in 0:1000:20");
  return ranges;
}

std::vector<StepRange> step_ranges(const SweepOptions& options) {
  if (!options.steps.empty()) return parse_step_ranges(options.steps, "sweep.steps");
  return {{options.first, options.last, options.every}};
}

void set_step_ranges(const std::vector<StepRange>& ranges, SweepOptions& options) {
  check(!ranges.empty(), "ranges to select");
  const StepRange only = ranges.size() == 1 ? ranges.front() : StepRange{};
  options.first = only.first;
  options.last = only.last;
  options.every = only.every;
  options.steps.clear();
  if (ranges.size() == 1) return;
  std::vector<std::string> texts;
  for (const StepRange& range : ranges) texts.push_back(text_of(range));
  options.steps = fmt::format("{}", fmt::join(texts, ","));
}

std::vector<StepRange> unite(std::vector<StepRange> a, const std::vector<StepRange>& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::stable_sort(a.begin(), a.end(), [](const StepRange& x, const StepRange& y) {
    return std::pair(x.first, x.every) < std::pair(y.first, y.every);
  });
  std::vector<StepRange> all;
  for (std::size_t i = 0; i < a.size(); ++i) {
    bool covered = false;
    for (std::size_t k = 0; k < a.size(); ++k)
      covered = covered || (k != i && lies_in(a[i], a[k]) && (k < i || !lies_in(a[k], a[i])));
    if (!covered) all.push_back(a[i]);
  }
  return all;
}

bool is_selected(const SweepOptions& options, std::int64_t step, std::int64_t total) {
  if (step > total) return false;
  if (options.steps.empty()) return contains({options.first, options.last, options.every}, step);
  const auto ranges = step_ranges(options);
  return std::any_of(ranges.begin(), ranges.end(), [&](const StepRange& range) { return contains(range, step); });
}

std::int64_t last_step(const SweepOptions& options, std::int64_t total) {
  std::int64_t last = 0;
  for (const StepRange& range : step_ranges(options)) last = std::max(last, range.last < 0 ? total : range.last);
  return last;
}

}  // namespace gradscape
