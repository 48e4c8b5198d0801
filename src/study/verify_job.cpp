#include "gradscape/study/verify_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <random>

#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/same_value.hpp"
#include "gradscape/file/folder.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/digest.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/open_run.hpp"
#include "gradscape/study/run_state.hpp"
#include "gradscape/study/shard_judge.hpp"
#include "gradscape/study/surface_run.hpp"
#include "gradscape/study/survey_rider.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

/// A cell of a sweep, or a row of another survey.
struct DrawnCell {
  SurveyId survey;
  std::string shard;
  std::int64_t step = 0;
};

Error stopped(const RunDirectory& directory) {
  return interruption(directory.root(), "nothing was changed", "call it again");
}

template <class S>
class Verifier {
 public:
  Verifier(const RunDirectory& directory, const Experiment& experiment)
      : directory_(directory),
        run_(experiment, directory),
        experiment_(run_.experiment()),
        data_(run_.data_fingerprint()),
        process_(run_.process()) {}

  Verification run(std::int64_t cells) {
    check_files();
    attempt([&] { require_first_checkpoint(directory_); });
    for (const std::int64_t step : directory_.checkpoint_steps()) attempt([&] { check_checkpoint(step); });
    attempt([&] { check_trace(); });
    for (const std::string& path : directory_.derived_files()) attempt([&] { require_fresh(path); });
    for (const SurveyId& survey : directory_.surveys()) {
      attempt([&] { check_survey(survey); });
      if (fs::exists(directory_.merged_path(survey))) attempt([&] { check_merged(survey); });
    }
    check_cells(cells);
    return found_;
  }

 private:
  /// Runs a check; its Error becomes a problem, once.
  template <class Check>
  void attempt(Check&& check) {
    if (interrupted()) throw stopped(directory_);
    try {
      check();
    } catch (const Error& error) {
      if (error.exit_code() == ExitCode::interrupted || error.exit_code() == ExitCode::preempted) throw;
      const bool told =
          std::find(found_.problems.begin(), found_.problems.end(), error.what()) != found_.problems.end();
      if (!told) found_.problems.emplace_back(error.what());
    }
  }

  /// Reading all of a file compares every hash.
  void check_files() {
    const std::vector<std::string> paths = files_below(directory_.root(), ".h5");
    Progress progress("read files", static_cast<std::int64_t>(paths.size()));
    for (const std::string& path : paths) {
      attempt([&] {
        check_content(path);
        require_same_run(read_provenance(open_published(path, "")), experiment_, data_, path);
      });
      progress.update(static_cast<std::int64_t>(++found_.files), fs::path(path).filename().string());
    }
  }

  void check_checkpoint(std::int64_t step) {
    const std::string path = directory_.checkpoint_path(step);
    const TrainingState<S> state = run_.checkpoint(step);
    const h5::File file = open_published(path, "checkpoint");
    const CheckpointInfo info = read_checkpoint_info(file);
    if (const std::string here = fingerprint(state.theta); here != info.theta_fingerprint)
      throw Error(path,
                  fmt::format("its parameters have the fingerprint {}, and it says {}", here, info.theta_fingerprint));
    const Standardisation& pixels = process_.standardisation();
    const TrainOptions train = parse_experiment(read_provenance(file).config, path).train;
    const auto per_epoch = static_cast<std::int64_t>(process_.steps_per_epoch());
    const bool fits = info.standardisation.mean == pixels.mean && info.standardisation.deviation == pixels.deviation &&
                      info.steps_per_epoch == per_epoch &&
                      (train.imported || info.total_steps == total_steps(train, per_epoch)) &&
                      info.parameters == static_cast<std::int64_t>(state.theta.size());
    if (!fits) throw Error(path, "its standardisation or its numbers of steps and parameters are not those of its run");
  }

  /// Every step up to the last checkpoint is recorded; damaged files were reported when all were read.
  void check_trace() {
    if (process_.imported()) return;
    for (const TraceHole& hole : find_trace_holes(directory_, directory_.checkpoint_steps()))
      if (hole.damaged.empty())
        found_.problems.push_back(hole.problem + "\n  hint: `gradscape train --resume` makes it again");
  }

  /// Shards of one survey have one set of settings and hold the steps that their names say.
  void check_survey(const SurveyId& survey) {
    const ShardJudge judge(directory_, survey, experiment_, data_, Settings::of_shards);
    attempt([&] { judge.require_none_foreign(); });
    for (const SegmentFile& shard : directory_.shard_files(survey))
      attempt([&] {
        const Table table = require_table(shard.path, survey, judge.settings());
        for (const double step : table.rows().values)
          if (step < static_cast<double>(shard.first) || step >= static_cast<double>(shard.last))
            throw Error(shard.path, fmt::format("holds {} {}: it was renamed", table.rows().name, step));
      });
  }

  /// Error where what a survey's file says twice differs: its bands from its cells, its multipliers from its settings.
  static Table require_table(const std::string& path, const SurveyId& survey, const Experiment& settings) {
    const SurveyKind& kind = survey_kind(survey.kind);
    Table table = read_table(path, kind.schema());
    if (kind.check != nullptr) kind.check(table, path);
    if (survey.kind != "sweep") return table;
    if (const auto& multipliers = table.dimension("alpha").values; multipliers != settings.sweep.points())
      throw Error(path, fmt::format("has the multipliers [{}], those of its sweep are [{}]",
                                    fmt::join(multipliers, ", "), fmt::join(settings.sweep.points(), ", ")));
    return table;
  }

  /// A merged file holds what the shards hold. Steps without a shard are the business of `status`.
  void check_merged(const SurveyId& survey) {
    const std::string path = directory_.merged_path(survey);
    if (!survey_kind(survey.kind).of_steps()) return check_unfolded(survey, path);
    const Table merged = require_table(path, survey, settings_of_shards(survey));
    Table hole = without_rows(merged);
    append_hole(0, hole);
    for (const SegmentFile& shard : directory_.shard_files(survey))
      attempt([&] {
        const Table rows = read_table(shard.path, survey_kind(survey.kind).schema());
        for (std::size_t row = 0; row < rows.size(); ++row) {
          const double step = rows.rows().values[row];
          const std::size_t there = merged.find_row(step);
          if (there == merged.size()) continue;
          hole.dimensions.front().values[0] = step;
          if (row_difference(merged, there, hole, 0).empty()) continue;
          if (const auto difference = row_difference(merged, there, rows, row); !difference.empty())
            throw Error(path, fmt::format("at step {}, {} in {}", step, difference, shard.path),
                        "`gradscape merge` makes it again");
        }
      });
  }

  /// The same of a surface: its cells, unless they are marked as not done.
  void check_unfolded(const SurveyId& survey, const std::string& path) {
    const SurveyKind& kind = survey_kind(survey.kind);
    std::optional<Table> rows;
    for (const SegmentFile& shard : directory_.shard_files(survey))
      attempt([&] {
        Table table = read_table(shard.path, kind.schema());
        rows = rows ? unite_rows(*rows, table) : std::move(table);
      });
    if (!rows) return;
    const Table expected = kind.unfold(*rows);
    const Table merged = read_table(path, without_rows(expected));
    const auto& status = merged.variable("status").values;
    for (const Variable& variable : expected.variables) {
      const Variable* stored = merged.find(variable.name);
      const bool fits = stored != nullptr && stored->values.size() == variable.values.size();
      for (std::size_t i = 0; fits && i < variable.values.size(); ++i)
        if (const bool by_cell = variable.values.size() == status.size();
            !(by_cell && status[i] == 0) && !same_value(stored->values[i], variable.values[i]))
          throw Error(path,
                      fmt::format("element {} of {} is {}, and {} in the shards", i, variable.name, stored->values[i],
                                  variable.values[i]),
                      "`gradscape merge` makes it again");
      if (!fits) throw Error(path, variable.name + " is not that of the shards", "`gradscape merge` makes it again");
    }
  }

  Experiment settings_of_shards(const SurveyId& survey) const {
    return ShardJudge(directory_, survey, experiment_, data_, Settings::of_shards).settings();
  }

  void check_cells(std::int64_t count) {
    std::vector<DrawnCell> all, drawn;
    for (const SurveyId& survey : directory_.surveys())
      for (const SegmentFile& shard : directory_.shard_files(survey)) try {
          const Table shape = read_shape(open_published(shard.path, ""), survey_kind(survey.kind).schema());
          const std::size_t cells = survey.kind == "sweep" ? shape.dimension("alpha").size() : 1;
          for (const double step : shape.rows().values)
            for (std::size_t cell = 0; cell < cells; ++cell)
              all.push_back({survey, shard.path, static_cast<std::int64_t>(step)});
        } catch (const Error&) {  // told of above
        }
    found_.stored_cells = all.size();
    std::mt19937_64 chance{std::random_device{}()};
    std::sample(all.begin(), all.end(), std::back_inserter(drawn), count, chance);
    Progress progress("recompute cells", static_cast<std::int64_t>(drawn.size()));
    for (const DrawnCell& cell : drawn) {
      attempt([&] { check_cell(cell); });
      progress.update(static_cast<std::int64_t>(++found_.cells), fmt::format("step {}", cell.step));
    }
  }

  void check_cell(const DrawnCell& cell) {
    const Table stored = read_table(cell.shard, survey_kind(cell.survey.kind).schema());
    const std::size_t row = stored.find_row(static_cast<double>(cell.step));
    check(row < stored.size(), "the shard held the step a moment ago");
    const Table made = recompute(cell, stored);
    if (const auto difference = row_difference(made, 0, stored, row); !difference.empty())
      throw Error(cell.shard, fmt::format("at step {}, {}", cell.step, difference),
                  fmt::format("here: recomputed, there: stored. It was made by another program, or changed; without it "
                              "`gradscape {}` computes it again",
                              cell.survey.kind));
  }

  /// The row of a step as the survey of `stored` makes it.
  Table recompute(const DrawnCell& cell, const Table& stored) {
    if (!survey_kind(cell.survey.kind).of_steps()) {
      if (prepared_ != cell.survey || !surface_)
        surface_ = std::make_unique<SurfaceRun<S>>(cell.survey, settings_of_shards(cell.survey), directory_, false);
      prepared_ = cell.survey;
      rider_.reset();
      Table made = surface_->begin();
      surface_->add(cell.step, made);
      return made;
    }
    if (prepared_ != cell.survey || !rider_) {
      const Experiment settings = settings_of_shards(cell.survey);
      rider_.emplace(
          open_survey<S>(cell.survey.kind, settings.sweep, settings_of(stored), process_, floor_segment(directory_)),
          [this](std::int64_t step) { return step <= wanted_ ? wanted_ : kNoStep; });
      prepared_ = cell.survey;
    }
    wanted_ = cell.step;
    rider_->clear();
    if (!rider_->prepare(cell.step, run_) ||
        !run_.look_at(cell.step, [&](const StepView<S>& view) { rider_->see(view); }))
      throw stopped(directory_);
    return rider_->rows();
  }

  const RunDirectory& directory_;
  OpenRun<S> run_;
  const Experiment& experiment_;
  const std::string& data_;
  TrainingProcess<S>& process_;
  SurveyId prepared_;
  std::int64_t wanted_ = 0;
  std::optional<SurveyRider<S>> rider_;     // of the survey prepared_
  std::unique_ptr<SurfaceRun<S>> surface_;  // likewise
  Verification found_;
};

}  // namespace

Verification verify_run(const RunDirectory& directory, const std::string& data_path, std::int64_t cells) {
  const Doing doing("verifying", directory.root());
  Experiment experiment = read_stored_experiment(directory);
  if (!data_path.empty()) experiment.data.path = data_path;
  return with_precision(experiment, [&]<class S>() { return Verifier<S>(directory, experiment).run(cells); });
}

}  // namespace gradscape
