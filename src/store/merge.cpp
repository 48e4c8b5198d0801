#include "gradscape/store/merge.hpp"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "gradscape/core/error.hpp"

namespace gradscape {

std::string describe_steps(const std::vector<std::int64_t>& steps) {
  constexpr std::size_t kMostRanges = 8;
  std::string text;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < steps.size();) {
    std::size_t end = i;
    while (end + 1 < steps.size() && steps[end + 1] == steps[end] + 1) ++end;
    if (++ranges > kMostRanges) return text + ", …";
    text += fmt::format("{}{}", ranges > 1 ? ", " : "", steps[i]);
    if (end > i) text += fmt::format("-{}", steps[end]);
    i = end + 1;
  }
  return text;
}

std::string merge_shards(const RunDirectory& directory, const std::string& name, std::int64_t last,
                         const std::function<bool(std::int64_t)>& wanted) {
  std::optional<Provenance> provenance;
  Grid merged;
  std::map<std::int64_t, SweepRecord> records;
  for (const SegmentFile& shard : directory.shard_files(name)) {
    const Provenance origin = read_provenance(open_published(shard.path, "grid"));
    Grid grid = read_grid(shard.path);
    if (!provenance) merged = {grid.multipliers, grid.direction, grid.precision, {}};
    provenance = origin;  // the last shard knows best how long the run is
    for (SweepRecord& record : grid.records)
      if (wanted(record.step)) records.emplace(record.step, std::move(record));
  }
  if (!provenance)
    throw Error(directory.root(), fmt::format("has no shards of a sweep named \"{}\"", name),
                "`gradscape sweep` makes them; `gradscape run` does so while training");

  std::vector<std::int64_t> missing;
  for (std::int64_t step = 0; step <= last; ++step)
    if (wanted(step) && !records.contains(step)) missing.push_back(step);
  if (!missing.empty())
    throw Error(directory.root(),
                fmt::format("sweep \"{}\" is not complete: {} of {} steps are missing: {}", name, missing.size(),
                            missing.size() + records.size(), describe_steps(missing)),
                "finish training with --resume where that is needed, then `gradscape sweep` computes what is missing");
  for (auto& [step, record] : records) merged.records.push_back(std::move(record));
  const std::string path = directory.landscape_path(name);
  write_grid(path, *provenance, merged);
  return path;
}

}  // namespace gradscape
