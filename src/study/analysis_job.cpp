#include "gradscape/study/analysis_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>

#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/distributions.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/landscape/shift.hpp"
#include "gradscape/landscape/theorem.hpp"
#include "gradscape/store/series_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

template <class S>
std::unique_ptr<StepAnalysis<S>> make_analysis(const AnalysisRequest& request, TrainingProcess<S>& process) {
  switch (request.kind) {
    case AnalysisKind::shift:
      return std::make_unique<ShiftAnalysis<S>>(process, request.layers);
    case AnalysisKind::distributions:
      return std::make_unique<DistributionAnalysis<S>>(process, request.layers, request.bins);
    case AnalysisKind::theorem:
      break;
  }
  return std::make_unique<TheoremAnalysis<S>>(process, request.layers);
}

/// The row of `from` at place `at` of its steps, appended to `to`.
void copy_row(const Series& from, std::size_t at, Series& to) {
  to.dimension("step").values.push_back(from.dimension("step").values[at]);
  for (const SeriesVariable& variable : from.variables) {
    if (variable.dimensions.front() != "step") continue;
    const auto size = static_cast<std::ptrdiff_t>(from.row_size(variable));
    const auto first = variable.values.begin() + static_cast<std::ptrdiff_t>(at) * size;
    auto& values = to.variable(variable.name).values;
    values.insert(values.end(), first, first + size);
  }
}

template <class S>
class AnalysisJob {
 public:
  AnalysisJob(const AnalysisRequest& request, const Experiment& experiment, const RunDirectory& directory)
      : experiment_(experiment),
        directory_(directory),
        dataset_(load_data(experiment.data)),
        provenance_(make_provenance(experiment, dataset_)),
        process_(experiment.data, experiment.model, experiment.train, dataset_),
        analysis_(make_analysis<S>(request, process_)),
        found_(analysis_->begin()) {}

  std::string run() {
    read_older(path(""));
    read_older(path(".partial"));
    const auto checkpoints = directory_.checkpoint_steps();
    std::vector<std::int64_t> steps;
    for (std::int64_t step = 0; step <= process_.total_steps(); ++step)
      if (is_selected(experiment_.sweep, step, process_.total_steps())) steps.push_back(step);
    Progress progress(found_.kind, static_cast<std::int64_t>(steps.size()));
    std::int64_t done = 0;
    for (const std::int64_t step : steps) {
      if (interrupted()) stop(done, steps.size());
      take_step(step, checkpoints);
      progress.update(++done, fmt::format("at step {}", step));
      save_now_and_then();
    }
    write(path(""));
    std::error_code ignored;  // it may not be there, and does no harm
    fs::remove(path(".partial"), ignored);
    if (const auto* theorem = dynamic_cast<const TheoremAnalysis<S>*>(analysis_.get()))
      say(
          fmt::format("{}: the sides of theorem 4.1 differ by the term of eps, to {:.2g} of the bound (of what was "
                      "computed now)",
                      directory_.root(), theorem->worst()));
    return path("");
  }

 private:
  std::string path(const char* suffix) const {
    return fmt::format("{}/{}{}.h5", directory_.root(), found_.kind, suffix);
  }

  void write(const std::string& file) const {
    write_series(file, provenance_, found_, Sources::of(directory_.root(), {"trace/segment-*.h5"}));
  }

  /// Takes over what an older file has, if it is one of the same question and program.
  void read_older(const std::string& file) {
    if (!fs::exists(file)) return;
    try {
      const h5::File opened = open_published(file, found_.kind);
      require_same_run(read_provenance(opened), experiment_, provenance_.data_fingerprint, file);
      require_this_program(opened);
      Series series = read_series(file, analysis_->begin());
      const auto& steps = series.dimension("step").values;
      for (std::size_t i = 0; i < steps.size(); ++i)
        older_[static_cast<std::int64_t>(steps[i])] = {older_files_.size(), i};
      older_files_.push_back(std::move(series));
    } catch (const Error& error) {
      say(fmt::format("{}\n  its steps are computed again", error.what()));
    }
  }

  void take_step(std::int64_t step, const std::vector<std::int64_t>& checkpoints) {
    if (const auto older = older_.find(step); older != older_.end()) {
      copy_row(older_files_[older->second.first], older->second.second, found_);
      return;
    }
    go_to(step, checkpoints);
    const auto observe = [&](const StepView<S>& view) {
      if (view.record.step == step) analysis_->add(view, found_);
    };
    if (step == process_.total_steps())
      process_.preview(state_, observe);
    else
      replay<S>(process_, state_, step + 1, trace_.steps, observe, nullptr);
  }

  /// Brings the state to `step`, from the nearest checkpoint before it.
  void go_to(std::int64_t step, const std::vector<std::int64_t>& checkpoints) {
    const std::int64_t nearest = *(std::upper_bound(checkpoints.begin(), checkpoints.end(), step) - 1);
    if (!started_ || state_.step > step || state_.step < nearest) {
      state_ = read_own_checkpoint<S>(directory_, nearest, experiment_, provenance_.data_fingerprint, process_);
      started_ = true;
    }
    trace_ = read_whole_trace(directory_, state_.step, step + 1);
    if (step < process_.total_steps() && trace_.steps.count(step) == 0)
      throw Error(directory_.root(), fmt::format("has not been trained to step {}", step + 1),
                  "finish training with --resume, or give fewer --steps");
    if (!replay<S>(process_, state_, step, trace_.steps, {}, [] { return !interrupted(); }))
      stop(static_cast<std::int64_t>(found_.dimension("step").size()), 0);
  }

  void save_now_and_then() {
    using Clock = std::chrono::steady_clock;
    if (Clock::now() - saved_ < std::chrono::seconds(60)) return;
    write(path(".partial"));
    saved_ = Clock::now();
  }

  [[noreturn]] void stop(std::int64_t done, std::size_t total) {
    if (done > 0) write(path(".partial"));
    throw interruption(directory_.root(),
                       total > 0 ? fmt::format("{} of {} steps are done and saved", done, total)
                                 : fmt::format("{} steps are done and saved", done),
                       "the same command continues");
  }

  const Experiment& experiment_;
  const RunDirectory& directory_;
  const Dataset& dataset_;
  Provenance provenance_;
  TrainingProcess<S> process_;
  std::unique_ptr<StepAnalysis<S>> analysis_;
  Series found_;
  std::vector<Series> older_files_;
  std::map<std::int64_t, std::pair<std::size_t, std::size_t>> older_;  // step: file, and place in it
  TrainingState<S> state_;
  bool started_ = false;
  WholeTrace trace_;
  std::chrono::steady_clock::time_point saved_ = std::chrono::steady_clock::now();
};

}  // namespace

std::string analyse(const AnalysisRequest& request, const Experiment& experiment, const RunDirectory& directory) {
  require_first_checkpoint(directory);
  require_within_run(experiment.sweep, total_steps(experiment.train, last_checkpoint(directory).steps_per_epoch));
  return with_precision(experiment, [&]<class S>() { return AnalysisJob<S>(request, experiment, directory).run(); });
}

}  // namespace gradscape
