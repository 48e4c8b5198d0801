#include "gradscape/cost/run_rate.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

std::vector<double> recorded_steps(const RunDirectory& directory) {
  std::vector<double> steps;
  for (const SegmentFile& segment : directory.trace_files()) {
    const h5::File file = open_published(segment.path, "trace");
    // Files of older programs do not say: then as many as here.
    const bool known = file.has_attribute("/seconds", "threads");
    const auto threads =
        static_cast<double>(known ? file.integer_attribute("/seconds", "threads") : std::int64_t{parallel::threads()});
    for (const TraceRecord& record : read_trace(segment.path).steps) steps.push_back(threads * record.seconds);
  }
  return steps;
}

}  // namespace

double recorded_step_cpu(const std::string& place, const Experiment& experiment) {
  std::string problems;
  for (const RunDirectory& directory : find_runs(place)) {
    const auto differences = cost_differences(experiment, read_stored_experiment(directory));
    std::vector<double> steps;
    if (differences.empty()) steps = recorded_steps(directory);
    if (!steps.empty()) {
      const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
      std::nth_element(steps.begin(), middle, steps.end());
      return *middle;
    }
    problems += fmt::format("\n  {}: {}", directory.root(),
                            differences.empty() ? "has no trace" : fmt::format("{}", fmt::join(differences, "; ")));
  }
  throw Error(place, "no run there takes the planned run's training steps:" + problems,
              "train a few steps of the same configuration where the study shall run, or --rate-from bench");
}

}  // namespace gradscape
