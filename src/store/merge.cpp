#include "gradscape/store/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>

#include "gradscape/core/error.hpp"
#include "gradscape/core/progress.hpp"
#include "gradscape/store/dimensions.hpp"

namespace gradscape {

std::string describe_steps(const std::vector<std::int64_t>& steps, std::size_t most_ranges, const char* separator) {
  std::string text;
  std::size_t ranges = 0;
  for (std::size_t i = 0; i < steps.size();) {
    std::size_t end = i;
    while (end + 1 < steps.size() && steps[end + 1] == steps[end] + 1) ++end;
    if (++ranges > most_ranges) return text + separator + "…";
    text += fmt::format("{}{}", ranges > 1 ? separator : "", steps[i]);
    if (end > i) text += fmt::format("-{}", steps[end]);
    i = end + 1;
  }
  return text;
}

namespace {

/// Fields of a file's root that tell which program wrote it.
constexpr const char* kProgram[] = {"program_version", "git_revision", "compiler", "compiler_flags", "libraries"};

using Program = std::map<std::string, std::string>;

/// Error where a shard was computed by another program than the first one: their bits need not agree.
void require_same_program(const h5::File& shard, Program& first) {
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

constexpr std::size_t kNoSource = std::numeric_limits<std::size_t>::max();

/// The shards of a sweep, and which holds what.
struct Sources {
  std::vector<std::string> paths;
  std::map<std::int64_t, std::size_t> steps;  // wanted step: the first shard that holds it, or kNoSource
  GridShape shape;
  Provenance provenance;  // the last shard's, which knows best how long the run is
  Program program;

  void add(const h5::File& shard, const std::function<bool(std::int64_t)>& wanted) {
    require_same_program(shard, program);
    if (paths.empty()) {
      shape.multipliers = shard.read<double>("/alpha");
      shape.direction = shard.text_attribute("/", "direction");
      shape.precision = shard.text_attribute("/", "probe_precision");
      if (shard.exists("/layer")) shape.layers = read_labels(shard, "layer");
    }
    provenance = read_provenance(shard);
    shape.batch = std::max(shape.batch, shard.read<std::int32_t>("/sample").size());
    shape.augmented = shape.augmented || shard.exists("/batch_flip");
    for (const std::int64_t step : shard.read<std::int64_t>("/step"))
      if (wanted(step)) steps.emplace(step, paths.size());
    paths.push_back(shard.path());
  }
};

/// Whether all of a shard can be read; says what is wrong where not.
bool is_whole(const std::string& path) {
  try {
    read_grid(path);
    return true;
  } catch (const Error& error) {
    say(fmt::format("{}\n  it is left out", error.what()));
    return false;
  }
}

/// Finds which shard holds which wanted step. `program` is what the shards of an earlier run were computed by.
Sources find_sources(const MergeInput& input, const std::string& name, Holes holes, const Program& program = {}) {
  const RunDirectory& directory = input.directory;
  std::vector<SegmentFile> files = directory.shard_files(name);
  if (holes == Holes::mark) {
    const auto partial = directory.partial_files(name);
    files.insert(files.end(), partial.begin(), partial.end());
    std::erase_if(files, [](const SegmentFile& file) { return !is_whole(file.path); });
  }
  if (files.empty())
    throw Error(directory.root(), fmt::format("has no shards of a sweep named \"{}\"", name),
                "`gradscape sweep` makes them; `gradscape run` does so while training");
  Sources sources;
  sources.program = program;
  for (const SegmentFile& file : files) sources.add(open_published(file.path, "grid"), input.wanted);
  std::vector<std::int64_t> missing;
  for (std::int64_t step = 0; step <= input.last; ++step)
    if (input.wanted(step) && sources.steps.emplace(step, kNoSource).second) missing.push_back(step);
  sources.shape.records = sources.steps.size();
  if (missing.empty()) return sources;
  const std::string found = fmt::format("sweep \"{}\" is not complete: {} of {} steps are missing: {}", name,
                                        missing.size(), sources.steps.size(), describe_steps(missing, missing.size()));
  if (holes == Holes::refuse)
    throw Error(directory.root(), found,
                "finish training with --resume where that is needed, then `gradscape sweep` computes what is missing; "
                "`gradscape merge --partial` makes a file that marks them as not done");
  say(fmt::format("{}: {}; they are marked as not done", directory.root(), found));
  return sources;
}

/// A step that is not done.
SweepRecord make_hole(std::int64_t step, std::size_t cells) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const Cell cell{kNone, kNone, kNone, kNone, kNone, kNone, kNone, CellStatus::not_done};
  return {step, kNone, kNone, kNone, kNone, std::vector<Cell>(cells, cell), {}, {}};
}

/// Writes the records step by step, with one shard in memory.
void write_sources(GridWriter& writer, const Sources& sources) {
  Grid grid;
  std::size_t open = kNoSource;
  for (const auto& [step, source] : sources.steps) {
    if (source == kNoSource) {
      writer.add(make_hole(step, sources.shape.multipliers.size()));
      continue;
    }
    if (source != open) grid = read_grid(sources.paths[open = source]);
    const auto record = std::lower_bound(grid.records.begin(), grid.records.end(), step,
                                         [](const SweepRecord& r, std::int64_t s) { return r.step < s; });
    if (record == grid.records.end() || record->step != step)
      throw Error(sources.paths[source], fmt::format("no longer holds step {}", step), "merge again");
    writer.add(*record);
  }
}

std::string publish_grid(const std::string& root, const std::string& name, const GridShape& shape,
                         const std::vector<Sources>& all) {
  const std::string path = RunDirectory(root).landscape_path(name);
  Provenance provenance = all.front().provenance;
  provenance.file_type = "grid";
  publish_h5(path, provenance, [&](h5::File& file) {
    GridWriter writer(file, shape);
    for (const Sources& sources : all) write_sources(writer, sources);
    writer.finish();
  });
  return path;
}

/// The steps that one has and the other has not.
std::vector<std::int64_t> step_differences(const Sources& a, const Sources& b) {
  std::vector<std::int64_t> here, there, list;
  for (const auto& [step, source] : a.steps) here.push_back(step);
  for (const auto& [step, source] : b.steps) there.push_back(step);
  std::set_symmetric_difference(here.begin(), here.end(), there.begin(), there.end(), std::back_inserter(list));
  return list;
}

}  // namespace

std::string merge_shards(const MergeInput& input, const std::string& name, Holes holes) {
  const Sources sources = find_sources(input, name, holes);
  return publish_grid(input.directory.root(), name, sources.shape, {sources});
}

std::string unite_seeds(const std::string& folder, const std::vector<MergeInput>& inputs, const std::string& name,
                        Holes holes) {
  check(!inputs.empty(), "seeds to unite");
  std::vector<Sources> all;
  GridShape shape;
  for (const MergeInput& input : inputs) {
    all.push_back(find_sources(input, name, holes, all.empty() ? Program{} : all.front().program));
    const Sources& sources = all.back();
    if (all.size() == 1) shape = sources.shape;
    if (const auto steps = step_differences(all.front(), sources); !steps.empty())
      throw Error(input.directory.root(),
                  fmt::format("does not hold the steps of {}: only one of them has {}", inputs.front().directory.root(),
                              describe_steps(steps)),
                  "give all seeds the same length and the same [sweep]");
    shape.batch = std::max(shape.batch, sources.shape.batch);
    shape.augmented = shape.augmented || sources.shape.augmented;
    shape.seeds.push_back(input.seed);
  }
  return publish_grid(folder, name, shape, all);
}

}  // namespace gradscape
