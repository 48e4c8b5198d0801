#include "gradscape/cli/train_job.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "gradscape/cli/run_access.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/interrupt.hpp"
#include "gradscape/core/progress.hpp"
#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/trace_file.hpp"

namespace gradscape {
namespace {

/// Decides whether the directory may be used, and clears it for --force. True: a run is there and is to be continued.
bool claim_directory(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request,
                     const Provenance& provenance) {
  if (request.force) directory.remove_run();
  if (!directory.holds_run()) return false;
  const Experiment stored = read_stored_experiment(directory);
  const auto steps = directory.checkpoint_steps();
  Provenance found = provenance;
  found.config = to_toml(stored);
  if (!steps.empty()) found = read_provenance(open_published(directory.checkpoint_path(steps.back()), "checkpoint"));
  require_same_run(found, experiment, provenance.data_fingerprint, directory.root());
  if (!request.resume && !steps.empty())
    throw UsageError(directory.root(), "already holds this run",
                     "--resume to continue or extend it, --force to start over, --out for another place");
  return !steps.empty();
}

/// One training run with its files.
template <class S>
class TrainJob {
 public:
  TrainJob(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request)
      : experiment_(experiment),
        directory_(directory),
        dataset_(load_data(experiment.data)),
        provenance_(make_provenance(experiment, dataset_)),
        process_(experiment.data, experiment.model, experiment.train, dataset_) {
    const bool resumed = claim_directory(experiment, directory, request, provenance_);
    if (request.probe) {
      require_same_sweep(directory, "main", experiment, provenance_.data_fingerprint);
      prober_.emplace(experiment.sweep, process_, experiment.model, dataset_);
    }
    if (resumed) {
      state_ = read_checkpoint<S>(directory.checkpoint_path(directory.checkpoint_steps().back()), process_);
    } else {
      state_ = process_.initial_state();
    }
    publish_text(directory.config_path(), provenance_.config);
    if (!resumed) write_checkpoint(directory.checkpoint_path(0), provenance_, state_, process_);
  }

  void run() {
    const std::int64_t total = process_.total_steps();
    const std::string label =
        experiment_.experiment.variant.empty() ? experiment_.experiment.name : experiment_.experiment.variant;
    if (state_.step >= total) {
      say(fmt::format("{}: all {} steps are done", directory_.root(), total));
    } else {
      Progress progress("train " + label, total);
      begin_segment();
      while (state_.step < total) {
        step(progress);
        const bool stop = interrupted();
        if (stop || state_.step % experiment_.train.checkpoint_every == 0 || state_.step == total) save();
        if (stop && state_.step < total)
          throw Error(directory_.root(),
                      fmt::format("interrupted; {} of {} steps are done and saved", state_.step, total),
                      "the same command with --resume continues", ExitCode::interrupted);
      }
    }
    if (prober_ && prober_->wants(total) && !std::filesystem::exists(directory_.shard_path("main", total, total + 1)))
      probe_end();
  }

 private:
  /// One step of training, its probe and, where due, a test.
  void step(Progress& progress) {
    double loss = 0;
    process_.advance(state_, [&](const StepView<S>& view) {
      trace_.steps.push_back(view.record);
      loss = view.record.loss;
      if (prober_ && prober_->wants(view.record.step)) records_.push_back(prober_->probe_step(view));
    });
    const std::int64_t every = experiment_.train.test_every;
    if (state_.step == process_.total_steps() || (every > 0 && state_.step % every == 0))
      trace_.tests.push_back(process_.test(state_));
    std::string detail = fmt::format("loss {:.4f}", loss);
    if (!trace_.tests.empty()) detail += fmt::format("  test {:.1f} %", 100 * trace_.tests.back().accuracy);
    progress.update(state_.step, detail);
  }

  void begin_segment() {
    segment_first_ = state_.step;
    trace_ = {};
    records_.clear();
  }

  /// Publishes the segment. The checkpoint comes last: where it is, the rest is too.
  void save() {
    if (!records_.empty()) write_shard(segment_first_, state_.step);
    write_trace(directory_.trace_path(segment_first_, state_.step), provenance_, trace_);
    write_checkpoint(directory_.checkpoint_path(state_.step), provenance_, state_, process_);
    begin_segment();
  }

  void write_shard(std::int64_t first, std::int64_t last) {
    const SweepOptions& sweep = experiment_.sweep;
    write_grid(directory_.shard_path("main", first, last), provenance_,
               {sweep.multipliers, sweep.direction, sweep.precision, records_});
  }

  /// The step after the last update, on the batch that training would take next.
  void probe_end() {
    records_.clear();
    process_.preview(state_, [&](const StepView<S>& view) { records_.push_back(prober_->probe_step(view)); });
    write_shard(state_.step, state_.step + 1);
  }

  const Experiment& experiment_;
  const RunDirectory& directory_;
  const Dataset& dataset_;
  Provenance provenance_;
  TrainingProcess<S> process_;
  std::optional<StepProber<S>> prober_;
  TrainingState<S> state_;
  std::int64_t segment_first_ = 0;
  Trace trace_;
  std::vector<SweepRecord> records_;
};

}  // namespace

void train(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request) {
  with_precision(experiment, [&]<class S>() { TrainJob<S>(experiment, directory, request).run(); });
}

}  // namespace gradscape
