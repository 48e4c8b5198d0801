// Which steps of a run are looked at: ranges of them, in words and in numbers.
#pragma once

#include <string>
#include <vector>

#include "gradscape/landscape/options.hpp"

namespace gradscape {

/// Reads "0:20:1,40:400:20", ranges first:last:every separated by commas; parts may be empty (0, the run's end, 1),
/// last may be "end", and a number alone is a single step. UsageError naming `where`.
std::vector<StepRange> parse_step_ranges(const std::string& text, const std::string& where);

/// The ranges that [sweep] selects.
std::vector<StepRange> step_ranges(const SweepOptions& options);

/// Makes [sweep] select these: a single range by first, last and every, several by steps.
void set_step_ranges(const std::vector<StepRange>& ranges, SweepOptions& options);

/// Both, without ranges that lie in another.
std::vector<StepRange> unite(std::vector<StepRange> a, const std::vector<StepRange>& b);

/// Whether `options` select a step of a run of `total` steps.
bool is_selected(const SweepOptions& options, std::int64_t step, std::int64_t total);

/// The last step that they can select.
std::int64_t last_step(const SweepOptions& options, std::int64_t total);

}  // namespace gradscape
