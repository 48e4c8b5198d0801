// Runs with all their files, small enough for a unit test, and changes of what they hold.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "gradscape/config/experiment.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/run_directory.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/study/survey_job.hpp"
#include "gradscape/study/survey_plan.hpp"
#include "gradscape/study/train_job.hpp"
#include "support/small_runs.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {

/// Ten steps with checkpoints at 0, 4, 8 and 10: Adam, batch norm, dropout, moved images, three steps to an epoch and
/// the last batch short. Every step is selected.
inline Experiment small_experiment() {
  Experiment experiment;
  experiment.experiment.name = "small";
  experiment.data.synthetic_train = 20;
  experiment.data.synthetic_test = 8;
  experiment.data.augment_flip = true;
  experiment.data.augment_crop = 2;
  experiment.model.arch = "mlp";
  experiment.model.hidden = {6, 5};
  experiment.model.norm = "batch";
  experiment.model.dropout = 0.25;
  experiment.train.optimizer = "adam";
  experiment.train.lr = 0.02;
  experiment.train.batch_size = 8;
  experiment.train.steps = 10;
  experiment.train.checkpoint_every = 4;
  experiment.train.seed = 7;
  experiment.train.engine = engine_name(experiment.train);
  experiment.sweep.multipliers = {0.5, 2.0};
  return experiment;
}

/// The same run in memory alone, in one piece: the state before each step, and the trace.
inline Training<float> train_in_memory(const Experiment& experiment) {
  const Dataset dataset = load_dataset(experiment.data);
  TrainingProcess<float> process(experiment.data, experiment.model, experiment.train, dataset);
  return train_from(process, process.initial_state());
}

/// The run's segments, for the steps of its [sweep].
inline const std::vector<std::vector<std::int64_t>> kSmallSegments{{0, 4}, {4, 8}, {8, 10}, {10, 11}};

class StudyRun : public ::testing::Test {
 protected:
  /// Trains in a folder of this name; `probe`: with the surveys that ride on training.
  RunDirectory trained(const std::string& name, const Experiment& experiment = small_experiment(), bool probe = false) {
    const RunDirectory directory(place_ / name);
    train(experiment, directory, {false, false, probe});
    return directory;
  }

  RunDirectory copied(const RunDirectory& run, const std::string& name) {
    std::filesystem::copy(run.root(), place_ / name, std::filesystem::copy_options::recursive);
    return RunDirectory(place_ / name);
  }

  TemporaryDirectory place_;
};

/// Makes what is missing of a survey; returns how many shards that were.
inline std::size_t survey(const RunDirectory& run, const Experiment& experiment, const SurveyId& id = {}) {
  return survey_run({id}, experiment, run, plan_survey(run, experiment, id));
}

inline Table read_rows(const std::string& path, const SurveyId& id = {}) {
  return read_table(path, survey_kind(id.kind).schema());
}

/// Nothing where two tables have the same rows, bit for bit; else what differs.
inline std::string difference_of(const Table& a, const Table& b) {
  if (a.rows().values != b.rows().values) return "the steps differ";
  for (std::size_t row = 0; row < a.size(); ++row)
    if (const std::string found = row_difference(a, row, b, row); !found.empty())
      return "row " + std::to_string(row) + ": " + found;
  return "";
}

/// The rows from `first` on, `count` of them.
inline Table rows_of(const Table& table, std::size_t first, std::size_t count) {
  Table some = without_rows(table);
  for (std::size_t row = first; row < first + count; ++row) append_row(table, row, some);
  return some;
}

/// Publishes a table with the provenance of another file: a change that no hash tells.
inline void write_as(const std::string& path, const std::string& origin, const Table& table) {
  write_table(path, read_provenance(open_published(origin, "")), table);
}

/// Changes the first value of a variable at a row, hashes made anew.
inline void falsify(const std::string& path, const std::string& variable, std::size_t row, double value,
                    const SurveyId& id = {}) {
  Table table = read_rows(path, id);
  Variable& changed = table.variable(variable);
  changed.values[row * table.row_size(changed)] = value;
  write_as(path, path, table);
}

/// Takes the end off.
inline void truncate_file(const std::string& path) {
  write_bytes(path, read_bytes(path).substr(0, 3000));
}

}  // namespace gradscape::testing
