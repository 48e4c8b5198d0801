#include "gradscape/study/shard_judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "gradscape/core/same_value.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

/// The type of a survey's files: "grid" of a sweep.
std::string file_type(const SurveyId& survey) {
  return survey_kind(survey.kind).schema().kind;
}

/// Whether rows are training steps.
bool survey_of_steps(const Table& rows) {
  return rows.rows().name == "step";
}

/// Error unless the rows agree with the recorded training; which variables are compared depends on their kind.
void require_trained_so(const Table& rows, const SweepOptions& options, const WholeTrace& trace,
                        const std::string& path) {
  if (!survey_of_steps(rows)) return;
  const bool native = rows.kind != "grid" || options.precision == "native";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto step = static_cast<std::int64_t>(rows.rows().values[row]);
    const auto found = trace.steps.find(step);
    const auto fits = [&](const char* name, double TraceRecord::*value) {
      const Variable* variable = rows.find(name);
      return variable == nullptr || same_value(variable->values[row], found->second.*value);
    };
    if (found == trace.steps.end() || !fits("lr", &TraceRecord::lr) ||
        (native && !(fits("train_loss", &TraceRecord::loss) && fits("train_grad_norm", &TraceRecord::grad_norm))))
      throw Error(path, fmt::format("step {} is not as training recorded it", step));
  }
}

/// How many of the segment's steps rows hold.
std::size_t count_held(const Table& rows, const Segment& segment) {
  return static_cast<std::size_t>(std::count_if(segment.probed.begin(), segment.probed.end(), [&](std::int64_t step) {
    return rows.find_row(static_cast<double>(step)) < rows.size();
  }));
}

void add_steps(const SweepOptions& from, SweepOptions& to) {
  set_step_ranges(unite(step_ranges(to), step_ranges(from)), to);
}

}  // namespace

ShardJudge::ShardJudge(const RunDirectory& directory, SurveyId survey, const Experiment& settings,
                       std::string data_fingerprint, Settings whose)
    : directory_(directory), survey_(std::move(survey)), settings_(settings), data_(std::move(data_fingerprint)) {
  if (whose == Settings::of_shards) adopt_settings();
  std::set<Program> programs;
  std::string united;  // the configuration whose steps were united last
  for (const SegmentFile& shard : directory_.shard_files(survey_)) try {
      const h5::File file = peek_published(shard.path, file_type(survey_));
      const Program program = program_of(file);
      require_own(file);
      programs.insert(program);
      if (own_config_ == united) continue;
      united = own_config_;
      add_steps(parse_stored_experiment(united, shard.path).sweep, settings_.sweep);
    } catch (const Error& error) {  // check() tells of what is damaged
      if (!is_damage(error) && !foreign_) foreign_ = std::current_exception();
    }
  mixed_ = programs.size() > 1;
}

void ShardJudge::require_own(const h5::File& file) const {
  const Provenance origin = read_provenance(file);
  if (origin.config == own_config_ && origin.data_fingerprint == data_) return;
  require_same_run(origin, settings_, data_, file.path());
  const Experiment there = parse_stored_experiment(origin.config, file.path());
  std::vector<std::string> list;
  if (survey_.kind == "sweep") list = sweep_differences(settings_, there);
  if (survey_.kind == "surface") list = surface_differences(settings_, there);
  if (!list.empty())
    throw UsageError(
        file.path(), fmt::format("{} was made with other settings: {}", describe(survey_), fmt::join(list, "; ")),
        fmt::format("give this {0} another --name (with `gradscape {0}`), or delete the folder of the old one",
                    survey_.kind));
  own_config_ = origin.config;
}

void ShardJudge::require_shape(const Table& table, const std::string& path) const {
  if (survey_.kind == "sweep" && table.dimension("alpha").values != settings_.sweep.points())
    throw Error(path, "its multipliers are not those of its configuration");
  if (!shape_) {
    shape_ = without_rows(table);
    return;
  }
  if (!survey_of_steps(table) && shape_->attributes != table.attributes)
    throw ForeignFile(path, "is of another centre, other directions or other images than the rest",
                      "delete the folder of the surface's shards, or give another --name");
  if (const std::string difference = dimension_difference(*shape_, table); !difference.empty())
    throw UsageError(
        path, fmt::format("{} was made with other settings: {}", describe(survey_), difference),
        fmt::format("give another --name (with `gradscape {}`), or delete the folder of the old one", survey_.kind));
}

void ShardJudge::require_none_foreign() const {
  if (foreign_) std::rethrow_exception(foreign_);
  if (survey_.kind == "sweep" || !shape_) return;  // their settings are in their configurations
  for (const SegmentFile& shard : directory_.shard_files(survey_)) try {
      const h5::File file = open_published(shard.path, file_type(survey_));
      require_shape(read_shape(file, survey_kind(survey_.kind).schema()), shard.path);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
    }
}

ShardCheck ShardJudge::judge(const std::string& path, const Segment& segment, const WholeTrace* trace) const {
  if (!std::filesystem::exists(path)) return {};
  try {
    const SurveyKind& kind = survey_kind(survey_.kind);
    {
      const h5::File file = open_published(path, file_type(survey_));
      require_own(file);
      if (const std::string other = difference(this_program(), program_of(file)); mixed_ && !other.empty())
        throw Error(path, fmt::format("was computed by another program, as others were not: {}", other));
      if (trace != nullptr) require_this_program(file);
    }
    Table rows = read_table(path, kind.schema());
    require_shape(rows, path);
    if (kind.check != nullptr) kind.check(rows, path);
    if (rows.size() == 0) throw Error(path, "holds no step");
    for (const double step : {rows.rows().values.front(), rows.rows().values.back()})
      if (step < static_cast<double>(segment.first) || step >= static_cast<double>(segment.last))
        throw Error(path, fmt::format("holds step {}: it was renamed", step));
    if (trace != nullptr) require_trained_so(rows, settings_.sweep, *trace, path);
    const bool whole = count_held(rows, segment) == segment.probed.size();
    return {whole ? ShardState::whole : ShardState::incomplete, "", std::move(rows)};
  } catch (const AccessError&) {
    throw;
  } catch (const Error& error) {
    return {is_damage(error) ? ShardState::damaged : ShardState::foreign, error.what(), {}};
  }
}

ShardCheck ShardJudge::check(const Segment& segment) const {
  return judge(directory_.shard_path(survey_, segment.first, segment.last), segment, nullptr);
}

ShardCheck ShardJudge::begun(const Segment& segment, const WholeTrace& trace) const {
  ShardCheck all;
  for (const std::string& path : {directory_.shard_path(survey_, segment.first, segment.last),
                                  directory_.partial_path(survey_, segment.first, segment.last)}) {
    ShardCheck found = judge(path, segment, &trace);
    if (!found.problem.empty()) all.problem += (all.problem.empty() ? "" : "\n") + found.problem;
    if (found.rows.size() == 0) continue;
    all.rows = all.state == ShardState::absent ? std::move(found.rows) : unite_rows(all.rows, found.rows);
    all.state = ShardState::incomplete;
  }
  return all;
}

/// The [sweep] of the first shard that can be read, or partial one.
void ShardJudge::adopt_settings() {
  for (const auto& list : {directory_.shard_files(survey_), directory_.partial_files(survey_)})
    for (const SegmentFile& file : list) try {
        const Provenance origin = read_provenance(peek_published(file.path, file_type(survey_)));
        const Experiment made = parse_stored_experiment(origin.config, file.path);
        settings_.sweep = made.sweep;
        settings_.surface = made.surface;
        return;
      } catch (const AccessError&) {
        throw;
      } catch (const Error&) {  // damaged, or none of ours: another one may be whole
      }
}

}  // namespace gradscape
