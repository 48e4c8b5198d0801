#include "gradscape/study/merge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>

#include "gradscape/core/error.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/sources.hpp"
#include "gradscape/store/table_file.hpp"

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

/// Error unless a shard's table is about what the first one's is.
void require_same_shape(const Table& first, const Table& table, const std::string& where) {
  if (first.kind == "grid")
    require_multipliers(table.dimension("alpha").values, first.dimension("alpha").values, where);
  if (const std::string difference = dimension_difference(first, table); !difference.empty())
    throw Error(where, "is about other things than the first shard: " + difference);
}

/// The shards of a survey, and which holds what.
struct Shards {
  std::vector<std::string> paths;
  std::map<std::int64_t, std::size_t> steps;  // wanted step: the first shard that holds it, or kNoSource
  Table schema;
  Provenance provenance;  // the last shard's, which knows best how long the run is
  Program program;
  std::vector<std::string> left_out;  // what is wrong with damaged shards

  void add(const h5::File& shard, const MergeInput& input, const SurveyKind& kind) {
    Provenance origin = read_provenance(shard);
    require_same_program(shard.path(), program_of(shard), program);
    if (paths.empty()) {
      schema = without_rows(read_shape(shard, kind.schema()));
      if (!input.multipliers.empty())
        require_multipliers(schema.dimension("alpha").values, input.multipliers, shard.path());
    }
    provenance = std::move(origin);
    widen_schema(
        shard.path(), [&](const std::string& name) { return shard.exists("/" + name); },
        [&](const std::string& name) { return shard.shape("/" + name).front(); }, kind);
    for (const std::int64_t step : shard.read<std::int64_t>("/" + schema.rows().name))
      if (input.wanted(step)) steps.emplace(step, paths.size());
    paths.push_back(shard.path());
  }

  /// Makes room for what another table, or shard, has and this one has not: longer batches, moved images.
  template <class Has, class Size>
  void widen_schema(const std::string& where, const Has& has, const Size& size, const SurveyKind& kind) {
    for (Dimension& dimension : schema.dimensions)
      if (dimension.ragged)
        for (std::size_t i = dimension.size(); i < size(dimension.name); ++i)
          dimension.values.push_back(static_cast<double>(i));
    const Table all = kind.schema();
    for (const Variable& variable : all.variables)
      if (variable.absent == Absent::dropped && schema.find(variable.name) == nullptr && has(variable.name)) {
        for (const std::string& name : variable.dimensions)
          if (std::none_of(schema.dimensions.begin(), schema.dimensions.end(),
                           [&](const Dimension& dimension) { return dimension.name == name; }))
            throw Error(where, fmt::format("has {}, which the first shard has not", variable.name));
        schema.variables.push_back(variable);
      }
  }
};

/// A shard whose data turned out to be damaged while they were copied.
struct DamagedShard {
  std::string path;
  std::string problem;
};

/// Damaged shards found so far, and what is wrong with them.
using Damaged = std::map<std::string, std::string>;

/// Patterns of a survey's shards, relative to a run's directory or to that of the runs `runs` ("seed-*/").
std::vector<std::string> shard_patterns(const SurveyId& survey, Holes holes, const std::string& runs = "") {
  const std::string folder = runs + survey.kind + "/" + survey.name;
  std::vector<std::string> patterns = {folder + "/segment-*.h5"};
  if (holes == Holes::mark) patterns.push_back(folder + "/partial/segment-*.h5");
  return patterns;
}

/// Finds which shard holds which wanted step, and counts all of them among `sources`. Damaged shards are left out: what
/// they held is in another file, or is missing. `program` is what the shards of an earlier run were computed by.
Shards find_shards(const MergeInput& input, const SurveyId& survey, Holes holes, const Damaged& damaged,
                   Sources& sources, const Program& program = {}) {
  const RunDirectory& directory = input.directory;
  std::vector<SegmentFile> files = directory.shard_files(survey);
  if (holes == Holes::mark) {
    const auto partial = directory.partial_files(survey);
    files.insert(files.end(), partial.begin(), partial.end());
  }
  const SurveyKind& kind = survey_kind(survey.kind);
  const std::string file_type = kind.schema().kind;
  Shards shards;
  shards.program = program;
  const auto leave_out = [&](const std::string& problem) {
    shards.left_out.push_back(problem);
    say(fmt::format("{}\n  it is left out", problem));
  };
  for (const SegmentFile& file : files) try {
      const h5::File shard = peek_published(file.path, file_type);
      sources.add(shard);
      if (const auto known = damaged.find(file.path); known != damaged.end())
        leave_out(known->second);
      else
        shards.add(shard, input, kind);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      leave_out(error.what());
    }
  if (shards.paths.empty())
    throw Error(
        directory.root(),
        fmt::format("has no {}shards of a {} named \"{}\"", files.empty() ? "" : "whole ", survey.kind, survey.name),
        fmt::format("`gradscape {}` makes them{}", survey.kind,
                    survey.kind == "sweep" ? "; `gradscape run` does so while training" : ""));
  std::vector<std::int64_t> missing;
  for (std::int64_t step = 0; step <= input.last; ++step)
    if (input.wanted(step) && shards.steps.emplace(step, kNoSource).second) missing.push_back(step);
  if (missing.empty()) return shards;
  for (const std::string& path : shards.paths) try {  // one that passes for another's has steps that it should not
      open_published(path, file_type);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      leave_out(error.what());
    }
  const std::string found =
      fmt::format("{} is not complete: {} of {} {} are missing: {}", describe(survey), missing.size(),
                  shards.steps.size(), kind.of_steps() ? "steps" : "points", describe_steps(missing, missing.size()));
  if (holes == Holes::refuse)
    throw Error(directory.root(),
                found + (shards.left_out.empty() ? "" : fmt::format("\n{}", fmt::join(shards.left_out, "\n"))),
                fmt::format("finish training with --resume where that is needed, then `gradscape {}` computes what is "
                            "missing; `gradscape merge --partial` makes a file that marks them as not done",
                            survey.kind));
  say(fmt::format("{}: {}; they are marked as not done", directory.root(), found));
  return shards;
}

/// Writes the rows step by step, with one shard in memory.
template <class Writer>
void write_shards(Writer& writer, const Shards& sources, const SurveyKind& kind) {
  Table table;
  std::size_t open = kNoSource;
  const auto read = [&](std::size_t source) {
    const std::string& path = sources.paths[open = source];
    try {
      table = read_table(path, kind.schema());
      if (kind.check != nullptr) kind.check(table, path);
      require_same_shape(sources.schema, table, path);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      throw DamagedShard{path, error.what()};
    }
  };
  for (auto step = sources.steps.begin(); step != sources.steps.end();) {
    if (step->second == kNoSource) {
      writer.add_hole(static_cast<double>((step++)->first));
      continue;
    }
    if (step->second != open) read(step->second);
    const std::size_t first = table.find_row(static_cast<double>(step->first));
    std::size_t last = first;  // as many rows as follow each other here and there
    while (last < table.size() && step != sources.steps.end() && step->second == open &&
           table.rows().values[last] == static_cast<double>(step->first))
      ++last, ++step;
    if (last == first)
      throw Error(sources.paths[open], fmt::format("no longer holds step {}", step->first), "merge again");
    writer.add(table, first, last);
  }
}

/// Collects rows in the order in which TableWriter gets them.
class RowCollector {
 public:
  explicit RowCollector(const Table& schema) : rows_(without_rows(schema)) {}
  void add(const Table& from, std::size_t first, std::size_t last) {
    for (std::size_t row = first; row < last; ++row) append_row(from, row, rows_);
  }
  void add_hole(double) {}  // what is not there is not done
  const Table& rows() const { return rows_; }

 private:
  Table rows_;
};

/// Publishes a surface, which is small enough to be in memory.
void publish_unfolded(const std::string& path, const Shards& shards, const SurveyKind& kind, const Sources& sources) {
  RowCollector collector(shards.schema);
  write_shards(collector, shards, kind);
  write_table(path, shards.provenance, kind.unfold(collector.rows()), &sources);
}

void publish_merged(const std::string& path, const Table& schema, const std::vector<std::int64_t>& seeds,
                    const std::vector<Shards>& all, const SurveyKind& kind, const Sources& sources) {
  Provenance provenance = all.front().provenance;
  provenance.file_type = schema.kind;
  publish_h5(path, provenance, [&](h5::File& file) {
    sources.write(file);
    TableWriter writer(file, schema, all.front().steps.size(), seeds);
    for (const Shards& shards : all) write_shards(writer, shards, kind);
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

std::string merge_shards(const MergeInput& input, const SurveyId& survey, Holes holes) {
  return without_damaged([&](const Damaged& damaged) {
    Sources sources(shard_patterns(survey, holes));
    const Shards shards = find_shards(input, survey, holes, damaged, sources);
    const std::string path = input.directory.merged_path(survey);
    if (const SurveyKind& kind = survey_kind(survey.kind); kind.of_steps())
      publish_merged(path, shards.schema, {}, {shards}, kind, sources);
    else
      publish_unfolded(path, shards, kind, sources);
    return path;
  });
}

std::string unite_seeds(const std::string& folder, const std::vector<MergeInput>& inputs, const SurveyId& survey,
                        Holes holes) {
  check(!inputs.empty(), "seeds to unite");
  const SurveyKind& kind = survey_kind(survey.kind);
  return without_damaged([&](const Damaged& damaged) {
    Sources sources(shard_patterns(survey, holes, "seed-*/"));
    std::vector<Shards> all;
    std::vector<std::int64_t> seeds;
    for (const MergeInput& input : inputs) {
      all.push_back(find_shards(input, survey, holes, damaged, sources, all.empty() ? Program{} : all.front().program));
      const Shards& shards = all.back();
      if (const auto steps = step_differences(all.front(), shards); !steps.empty())
        throw Error(input.directory.root(),
                    fmt::format("does not hold the steps of {}: only one of them has {}",
                                inputs.front().directory.root(), describe_steps(steps)),
                    "give all seeds the same length and the same [sweep]");
      const Table& schema = shards.schema;
      all.front().widen_schema(
          shards.paths.front(), [&](const std::string& name) { return schema.find(name) != nullptr; },
          [&](const std::string& name) { return schema.dimension(name).size(); }, kind);
      seeds.push_back(input.seed);
    }
    const std::string path = RunDirectory(folder).merged_path(survey);
    publish_merged(path, all.front().schema, seeds, all, kind, sources);
    return path;
  });
}

}  // namespace gradscape
