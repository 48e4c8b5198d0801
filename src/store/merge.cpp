#include "gradscape/store/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
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

namespace {

/// Fields of a file's root that tell which program wrote it.
constexpr const char* kProgram[] = {"program_version", "git_revision", "compiler", "compiler_flags", "libraries"};

/// Error where a shard was computed by another program than the first one: their bits need not agree.
void require_same_program(const h5::File& shard, std::map<std::string, std::string>& first) {
  for (const char* field : kProgram) {
    const std::string found = shard.text_attribute("/", field);
    const std::string& expected = first.emplace(field, found).first->second;
    if (found != expected)
      throw Error(shard.path(),
                  fmt::format("was computed by another program: {} is \"{}\" there and \"{}\" in the first shard",
                              field, found, expected),
                  "delete the shards of one of the two; `gradscape sweep` computes them again");
  }
}

}  // namespace

std::string merge_shards(const RunDirectory& directory, const std::string& name, std::int64_t last,
                         const std::function<bool(std::int64_t)>& wanted) {
  std::optional<Provenance> provenance;
  GridShape shape;
  std::vector<std::string> paths;
  std::map<std::int64_t, std::size_t> source;  // step: the first shard that holds it
  std::map<std::string, std::string> program;
  for (const SegmentFile& shard : directory.shard_files(name)) {
    const h5::File file = open_published(shard.path, "grid");
    require_same_program(file, program);
    if (!provenance) {
      shape.multipliers = file.read<double>("/alpha");
      shape.direction = file.text_attribute("/", "direction");
      shape.precision = file.text_attribute("/", "probe_precision");
    }
    provenance = read_provenance(file);  // the last shard knows best how long the run is
    shape.batch = std::max(shape.batch, file.read<std::int32_t>("/sample").size());
    shape.augmented = shape.augmented || file.exists("/batch_flip");
    for (const std::int64_t step : file.read<std::int64_t>("/step"))
      if (wanted(step)) source.emplace(step, paths.size());
    paths.push_back(shard.path);
  }
  if (!provenance)
    throw Error(directory.root(), fmt::format("has no shards of a sweep named \"{}\"", name),
                "`gradscape sweep` makes them; `gradscape run` does so while training");

  std::vector<std::int64_t> missing;
  for (std::int64_t step = 0; step <= last; ++step)
    if (wanted(step) && !source.contains(step)) missing.push_back(step);
  if (!missing.empty())
    throw Error(directory.root(),
                fmt::format("sweep \"{}\" is not complete: {} of {} steps are missing: {}", name, missing.size(),
                            missing.size() + source.size(), describe_steps(missing)),
                "finish training with --resume where that is needed, then `gradscape sweep` computes what is missing");
  shape.records = source.size();
  const std::string path = directory.landscape_path(name);
  Provenance origin = *provenance;
  origin.file_type = "grid";
  publish_h5(path, origin, [&](h5::File& file) {
    GridWriter writer(file, shape);
    Grid grid;
    std::size_t open = paths.size();
    for (const auto& [step, shard] : source) {
      if (shard != open) grid = read_grid(paths[open = shard]);
      const auto record = std::lower_bound(grid.records.begin(), grid.records.end(), step,
                                           [](const SweepRecord& r, std::int64_t s) { return r.step < s; });
      if (record == grid.records.end() || record->step != step)
        throw Error(paths[shard], fmt::format("no longer holds step {}", step), "merge again");
      writer.add(*record);
    }
    writer.finish();
  });
  return path;
}

}  // namespace gradscape
