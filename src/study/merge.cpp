#include "gradscape/study/merge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>

#include "gradscape/core/error.hpp"
#include "gradscape/file/dimensions.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/store/sources.hpp"

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

/// ForeignFile where a shard was computed by another program than the first one: their bits need not agree.
void require_same_program(const std::string& shard, const Program& program, Program& first) {
  if (first.empty()) first = program;
  for (const auto& [field, found] : program)
    if (const std::string& expected = first.at(field); found != expected)
      throw ForeignFile(shard,
                        fmt::format("was computed by another program: {} is \"{}\" there and \"{}\" in the first shard",
                                    field, found, expected),
                        "`gradscape sweep` computes again what another program than it has computed");
}

constexpr std::size_t kNoSource = std::numeric_limits<std::size_t>::max();

void require_multipliers(const std::vector<double>& found, const std::vector<double>& expected,
                         const std::string& where) {
  if (found != expected)
    throw Error(where, fmt::format("has the multipliers [{}], those of its sweep are [{}]", fmt::join(found, ", "),
                                   fmt::join(expected, ", ")));
}

/// The shards of a sweep, and which holds what.
struct Shards {
  std::vector<std::string> paths;
  std::map<std::int64_t, std::size_t> steps;  // wanted step: the first shard that holds it, or kNoSource
  GridShape shape;
  Provenance provenance;  // the last shard's, which knows best how long the run is
  Program program;
  std::vector<std::string> left_out;  // what is wrong with damaged shards

  void add(const h5::File& shard, const MergeInput& input) {
    Provenance origin = read_provenance(shard);
    require_same_program(shard.path(), program_of(shard), program);
    if (paths.empty()) {
      shape.multipliers = shard.read<double>("/alpha");
      if (!input.multipliers.empty()) require_multipliers(shape.multipliers, input.multipliers, shard.path());
      shape.direction = shard.text_attribute("/", "direction");
      shape.precision = shard.text_attribute("/", "probe_precision");
      if (shard.exists("/layer")) shape.layers = read_labels(shard, "layer");
    }
    provenance = std::move(origin);
    shape.batch = std::max(shape.batch, shard.read<std::int32_t>("/sample").size());
    shape.augmented = shape.augmented || shard.exists("/batch_flip");
    for (const std::int64_t step : shard.read<std::int64_t>("/step"))
      if (input.wanted(step)) steps.emplace(step, paths.size());
    paths.push_back(shard.path());
  }
};

/// A shard whose data turned out to be damaged while they were copied.
struct DamagedShard {
  std::string path;
  std::string problem;
};

/// Damaged shards found so far, and what is wrong with them.
using Damaged = std::map<std::string, std::string>;

/// Below a run's directory.
std::vector<std::string> shard_patterns(const std::string& name, Holes holes, const std::string& folder = "") {
  std::vector<std::string> patterns = {folder + "sweep/" + name + "/segment-*.h5"};
  if (holes == Holes::mark) patterns.push_back(folder + "sweep/" + name + "/partial/segment-*.h5");
  return patterns;
}

/// Finds which shard holds which wanted step, and counts all of them among `sources`. Damaged shards are left out: what
/// they held is there once more, or is missing. `program` is what the shards of an earlier run were computed by.
Shards find_shards(const MergeInput& input, const std::string& name, Holes holes, const Damaged& damaged,
                   Sources& sources, const Program& program = {}) {
  const RunDirectory& directory = input.directory;
  std::vector<SegmentFile> files = directory.shard_files(name);
  if (holes == Holes::mark) {
    const auto partial = directory.partial_files(name);
    files.insert(files.end(), partial.begin(), partial.end());
  }
  Shards shards;
  shards.program = program;
  const auto leave_out = [&](const std::string& problem) {
    shards.left_out.push_back(problem);
    say(fmt::format("{}\n  it is left out", problem));
  };
  for (const SegmentFile& file : files) try {
      const h5::File shard = peek_published(file.path, "grid");
      sources.add(shard);
      if (const auto known = damaged.find(file.path); known != damaged.end())
        leave_out(known->second);
      else
        shards.add(shard, input);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      leave_out(error.what());
    }
  if (shards.paths.empty())
    throw Error(directory.root(),
                fmt::format("has no {}shards of a sweep named \"{}\"", files.empty() ? "" : "whole ", name),
                "`gradscape sweep` makes them; `gradscape run` does so while training");
  std::vector<std::int64_t> missing;
  for (std::int64_t step = 0; step <= input.last; ++step)
    if (input.wanted(step) && shards.steps.emplace(step, kNoSource).second) missing.push_back(step);
  shards.shape.records = shards.steps.size();
  if (missing.empty()) return shards;
  const std::string found = fmt::format("sweep \"{}\" is not complete: {} of {} steps are missing: {}", name,
                                        missing.size(), shards.steps.size(), describe_steps(missing, missing.size()));
  if (holes == Holes::refuse)
    throw Error(directory.root(),
                found + (shards.left_out.empty() ? "" : fmt::format("\n{}", fmt::join(shards.left_out, "\n"))),
                "finish training with --resume where that is needed, then `gradscape sweep` computes what is missing; "
                "`gradscape merge --partial` makes a file that marks them as not done");
  say(fmt::format("{}: {}; they are marked as not done", directory.root(), found));
  return shards;
}

/// A step that is not done.
SweepRecord make_hole(std::int64_t step, std::size_t cells) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const Cell cell{kNone, kNone, kNone, kNone, kNone, kNone, kNone, CellStatus::not_done};
  return {step, kNone, kNone, kNone, kNone, std::vector<Cell>(cells, cell), {}, {}};
}

/// Writes the records step by step, with one shard in memory.
void write_shards(GridWriter& writer, const Shards& sources) {
  Grid grid;
  std::size_t open = kNoSource;
  for (const auto& [step, source] : sources.steps) {
    if (source == kNoSource) {
      writer.add(make_hole(step, sources.shape.multipliers.size()));
      continue;
    }
    if (source != open) try {
        grid = read_grid(sources.paths[open = source]);
        require_multipliers(grid.multipliers, sources.shape.multipliers, sources.paths[source]);
      } catch (const Error& error) {
        if (!is_damage(error)) throw;
        throw DamagedShard{sources.paths[source], error.what()};
      }
    const auto record = std::lower_bound(grid.records.begin(), grid.records.end(), step,
                                         [](const SweepRecord& r, std::int64_t s) { return r.step < s; });
    if (record == grid.records.end() || record->step != step)
      throw Error(sources.paths[source], fmt::format("no longer holds step {}", step), "merge again");
    writer.add(*record);
  }
}

void publish_grid(const std::string& path, const GridShape& shape, const std::vector<Shards>& all,
                  const Sources& sources) {
  Provenance provenance = all.front().provenance;
  provenance.file_type = "grid";
  publish_h5(path, provenance, [&](h5::File& file) {
    sources.write(file);
    GridWriter writer(file, shape);
    for (const Shards& shards : all) write_shards(writer, shards);
    writer.finish();
  });
}

/// Calls merge(damaged) until no shard turns out to be damaged that was taken for whole. Each round knows one more.
template <class Merge>
std::string without_damaged(Merge&& merge) {
  Damaged damaged;
  while (true) try {
      return merge(damaged);
    } catch (const DamagedShard& shard) {
      damaged.emplace(shard.path, shard.problem);
    }
}

/// The steps that one has and the other has not.
std::vector<std::int64_t> step_differences(const Shards& a, const Shards& b) {
  std::vector<std::int64_t> here, there, list;
  for (const auto& [step, source] : a.steps) here.push_back(step);
  for (const auto& [step, source] : b.steps) there.push_back(step);
  std::set_symmetric_difference(here.begin(), here.end(), there.begin(), there.end(), std::back_inserter(list));
  return list;
}

}  // namespace

std::string merge_shards(const MergeInput& input, const std::string& name, Holes holes) {
  return without_damaged([&](const Damaged& damaged) {
    Sources sources(shard_patterns(name, holes));
    const Shards shards = find_shards(input, name, holes, damaged, sources);
    const std::string path = input.directory.landscape_path(name);
    publish_grid(path, shards.shape, {shards}, sources);
    return path;
  });
}

std::string unite_seeds(const std::string& folder, const std::vector<MergeInput>& inputs, const std::string& name,
                        Holes holes) {
  check(!inputs.empty(), "seeds to unite");
  return without_damaged([&](const Damaged& damaged) {
    Sources sources(shard_patterns(name, holes, "seed-*/"));
    std::vector<Shards> all;
    GridShape shape;
    for (const MergeInput& input : inputs) {
      all.push_back(find_shards(input, name, holes, damaged, sources, all.empty() ? Program{} : all.front().program));
      const Shards& shards = all.back();
      if (all.size() == 1) shape = shards.shape;
      if (const auto steps = step_differences(all.front(), shards); !steps.empty())
        throw Error(input.directory.root(),
                    fmt::format("does not hold the steps of {}: only one of them has {}",
                                inputs.front().directory.root(), describe_steps(steps)),
                    "give all seeds the same length and the same [sweep]");
      shape.batch = std::max(shape.batch, shards.shape.batch);
      shape.augmented = shape.augmented || shards.shape.augmented;
      shape.seeds.push_back(input.seed);
    }
    const std::string path = RunDirectory(folder).landscape_path(name);
    publish_grid(path, shape, all, sources);
    return path;
  });
}

}  // namespace gradscape
