#include "gradscape/cli/train_job.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>

#include "gradscape/cli/checkpoint_spacing.hpp"
#include "gradscape/cli/run_access.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/interrupt.hpp"
#include "gradscape/core/progress.hpp"
#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/trace_file.hpp"

namespace gradscape {
namespace {

/// What a directory holds that this run could go on from.
enum class Found { nothing, configuration, checkpoint };

/// Looks whether the directory may be used, and throws where it may not. Changes nothing.
Found inspect(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request,
              const Provenance& provenance, std::int64_t total) {
  if (!directory.holds_run()) {
    if (directory.holds_files())
      throw Error(directory.root(), "holds checkpoints, traces or shards but no config.toml to say of which run",
                  "choose another --out, or put the config.toml back");
    return Found::nothing;
  }
  if (request.force) return Found::nothing;
  const auto steps = directory.checkpoint_steps();
  Provenance found = provenance;
  found.config = to_toml(read_stored_experiment(directory));
  if (!steps.empty()) found = read_provenance(open_published(directory.checkpoint_path(steps.back()), "checkpoint"));
  require_same_run(found, experiment, provenance.data_fingerprint, directory.root());
  if (steps.empty()) return Found::configuration;
  if (!request.resume)
    throw UsageError(directory.root(), "already holds this run",
                     "--resume to continue or extend it, --force to start over, --out for another place");
  if (steps.back() > total)
    throw UsageError(
        "train.steps",
        fmt::format("{} has {} steps already, this configuration asks for {}", directory.root(), steps.back(), total),
        "ask for as many or more, or choose another --out");
  return Found::checkpoint;
}

/// Everything that can be refused before anything is written.
Found check_request(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request,
                    const Provenance& provenance, std::int64_t total) {
  const Found found = inspect(experiment, directory, request, provenance, total);
  if (request.probe) {
    require_within_run(experiment.sweep, total);
    if (found != Found::nothing) require_same_sweep(directory, "main", experiment, provenance.data_fingerprint);
  }
  return found;
}

/// One training run with its files.
template <class S>
class TrainJob {
 public:
  TrainJob(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request)
      : directory_(directory),
        dataset_(load_data(experiment.data)),
        process_(experiment.data, experiment.model, experiment.train, dataset_),
        experiment_(with_checkpoint_spacing(experiment, process_)),
        provenance_(make_provenance(experiment_, dataset_)) {
    const Found found = check_request(experiment_, directory, request, provenance_, process_.total_steps());
    if (request.force) directory.remove_run();
    if (found == Found::checkpoint) {
      state_ = read_own_checkpoint<S>(directory, directory.checkpoint_steps().back(), experiment_,
                                      provenance_.data_fingerprint, process_);
      directory.remove_beyond(state_.step);
    } else {
      state_ = process_.initial_state();
      if (found == Found::configuration) directory.remove_beyond(-1);
    }
    publish_text(directory.config_path(), provenance_.config);
    if (found != Found::checkpoint) write_checkpoint(directory.checkpoint_path(0), provenance_, state_, process_);
    if (request.probe) prober_.emplace(experiment_.sweep, process_, floor_segment(directory));
  }

  void run() {
    const std::int64_t total = process_.total_steps();
    const std::string label =
        experiment_.experiment.variant.empty() ? experiment_.experiment.name : experiment_.experiment.variant;
    if (state_.step >= total) {
      say(fmt::format("{}: all {} steps are done", directory_.root(), total));
    } else {
      provide_floor_of_next_probe();
      Progress progress("train " + label, total);
      begin_segment();
      while (state_.step < total) {
        step(progress);
        const bool stop = interrupted();
        if (stop || state_.step % experiment_.train.checkpoint_every == 0 || state_.step == total) save();
        if (stop && state_.step < total)
          throw interruption(directory_.root(), fmt::format("{} of {} steps are done and saved", state_.step, total),
                             "the same command with --resume continues");
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

  /// A run that goes on inside of a segment may need a noise floor from before.
  void provide_floor_of_next_probe() {
    if (!prober_) return;
    std::int64_t next = state_.step;
    while (next < process_.total_steps() && !prober_->wants(next)) ++next;
    if (prober_->wants(next))
      provide_floor(*prober_, next, directory_, experiment_, provenance_.data_fingerprint, process_);
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
               {sweep.multipliers, sweep.direction, sweep.precision, records_, prober_->layers()});
  }

  /// The step after the last update, on the batch that training would take next.
  void probe_end() {
    records_.clear();
    provide_floor_of_next_probe();
    process_.preview(state_, [&](const StepView<S>& view) { records_.push_back(prober_->probe_step(view)); });
    write_shard(state_.step, state_.step + 1);
  }

  const RunDirectory& directory_;
  const Dataset& dataset_;
  TrainingProcess<S> process_;
  const Experiment experiment_;
  Provenance provenance_;
  std::optional<StepProber<S>> prober_;
  TrainingState<S> state_;
  std::int64_t segment_first_ = 0;
  Trace trace_;
  std::vector<SweepRecord> records_;
};

}  // namespace

void require_trainable(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request) {
  with_precision(experiment, [&]<class S>() {
    const Dataset& dataset = load_data(experiment.data);
    TrainingProcess<S> process(experiment.data, experiment.model, experiment.train, dataset);
    const Experiment resolved = with_checkpoint_spacing(experiment, process);
    check_request(resolved, directory, request, make_provenance(resolved, dataset), process.total_steps());
  });
}

void train(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request) {
  with_precision(experiment, [&]<class S>() { TrainJob<S>(experiment, directory, request).run(); });
}

}  // namespace gradscape
