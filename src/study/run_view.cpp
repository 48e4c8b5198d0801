#include "gradscape/study/run_view.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <vector>

#include "gradscape/core/error.hpp"
#include "gradscape/landscape/sweep_survey.hpp"
#include "gradscape/store/run_lock.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

/// Seconds since a file was written; nothing where it is not there.
std::optional<double> age_of(const std::string& path) {
  std::error_code code;
  const auto time = fs::last_write_time(path, code);
  if (code) return {};
  return std::chrono::duration<double>(fs::file_time_type::clock::now() - time).count();
}

/// Steps per second between the last checkpoints.
std::optional<double> recent_rate(const RunDirectory& directory, const std::vector<std::int64_t>& checkpoints) {
  constexpr std::size_t kMost = 5;
  std::vector<double> rates;
  for (std::size_t i = checkpoints.size(); i > 1 && rates.size() < kMost; --i) {
    const auto before = age_of(directory.checkpoint_path(checkpoints[i - 2]));
    const auto after = age_of(directory.checkpoint_path(checkpoints[i - 1]));
    if (!before || !after || *before <= *after) continue;
    rates.push_back(static_cast<double>(checkpoints[i - 1] - checkpoints[i - 2]) / (*before - *after));
  }
  if (rates.empty()) return {};
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

/// The last records that can be read. What is damaged is the report's to tell.
void find_last_records(RunView& view) {
  const auto files = view.report.directory.trace_files();
  for (auto file = files.rbegin(); file != files.rend() && !(view.last_step && view.last_test); ++file) try {
      const Trace trace = read_trace(file->path);
      if (!view.last_step && !trace.steps.empty()) view.last_step = trace.steps.back();
      if (!view.last_test && !trace.tests.empty()) view.last_test = trace.tests.back();
      if (view.report.experiment.train.test_every <= 0) break;
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
    }
}

void find_band(const SurveyId& survey, RunView& view) {
  if (survey.kind != "sweep") return;
  std::vector<SegmentFile> files = view.report.directory.shard_files(survey);
  const auto partial = view.report.directory.partial_files(survey);
  files.insert(files.end(), partial.begin(), partial.end());
  std::stable_sort(files.begin(), files.end(),
                   [](const SegmentFile& a, const SegmentFile& b) { return a.first < b.first; });
  for (auto file = files.rbegin(); file != files.rend() && !view.band; ++file) try {
      const Table table = read_table(file->path, sweep_schema());
      if (table.size() == 0) continue;
      const SweepRecord record = record_at(table, table.size() - 1);
      const Bands bands = make_bands(record.cells, table.dimension("alpha").values, record.train_grad_norm);
      view.band = LossBand{record.step, bands.loss_min, bands.loss_max};
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
    }
}

}  // namespace

RunView view_run(const RunDirectory& directory, const SurveyId& survey) {
  RunView view{inspect_run(directory, read_stored_experiment(directory), survey)};
  find_last_records(view);
  find_band(survey, view);
  view.trainer = living_holder(directory.lock_path());
  const auto checkpoints = directory.checkpoint_steps();
  view.rate = recent_rate(directory, checkpoints);
  if (view.trainer && view.rate && view.report.total >= 0) {
    const double since = age_of(directory.checkpoint_path(checkpoints.back())).value_or(0);
    view.left = std::max(0.0, static_cast<double>(view.report.total - view.report.trained) / *view.rate - since);
  }
  return view;
}

}  // namespace gradscape
