#include "gradscape/cli/partial_shard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "gradscape/cli/run_access.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/progress.hpp"
#include "gradscape/store/grid_file.hpp"

namespace gradscape {
namespace {

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

void require_fit(const Grid& grid, const std::string& path, const Segment& segment, const SweepOptions& options,
                 const WholeTrace& trace) {
  const auto& records = grid.records;
  const bool begins = records.size() <= segment.probed.size() &&
                      std::equal(records.begin(), records.end(), segment.probed.begin(),
                                 [](const SweepRecord& record, std::int64_t step) { return record.step == step; });
  if (!begins || grid.multipliers != options.multipliers)
    throw Error(path, "does not begin the segment's probed steps");
  for (const SweepRecord& record : records) {
    const auto found = trace.steps.find(record.step);
    const bool fits = found != trace.steps.end() && same(record.lr, found->second.lr) &&
                      (options.precision != "native" || (same(record.train_loss, found->second.loss) &&
                                                         same(record.train_grad_norm, found->second.grad_norm)));
    if (!fits) throw Error(path, fmt::format("step {} is not as training recorded it", record.step));
  }
}

}  // namespace

std::vector<SweepRecord> read_partial_shard(const std::string& path, const Segment& segment, const std::string& sweep,
                                            const Experiment& experiment, const Provenance& provenance,
                                            const WholeTrace& trace) {
  if (!std::filesystem::exists(path)) return {};
  try {
    const h5::File file = open_published(path, "grid");
    require_shard_of_sweep(read_provenance(file), path, sweep, experiment, provenance.data_fingerprint);
    require_this_program(file);
    Grid grid = read_grid(path);
    require_fit(grid, path, segment, experiment.sweep, trace);
    return std::move(grid.records);
  } catch (const Error& error) {
    say(fmt::format("{}\n  it is ignored, and the segment is probed from its beginning", error.what()));
    return {};
  }
}

}  // namespace gradscape
