#include "gradscape/study/train_job.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <optional>
#include <set>

#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/run_lock.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/shard_judge.hpp"
#include "gradscape/study/survey_rider.hpp"

namespace gradscape {
namespace {

/// "bn", or of several runs of a variant "bn/seed-1".
std::string label_of(const Experiment& experiment, const std::string& root) {
  const std::string& variant = experiment.experiment.variant;
  const std::string own = std::filesystem::path(root).filename().string();
  return (variant.empty() ? experiment.experiment.name : variant) + (is_run_folder(own) ? "/" + own : "");
}

/// What a directory holds that this run could go on from.
enum class Found { nothing, configuration, checkpoint };

/// The surveys that are made while training.
std::vector<std::string> probed_kinds(const Experiment& experiment) {
  std::vector<std::string> kinds = surveys_beside(experiment.sweep);
  if (has_steps({}, experiment)) kinds.insert(kinds.begin(), "sweep");
  return kinds;
}

/// Looks whether the directory may be used, and throws where it may not. Changes nothing.
Found inspect(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request,
              const Provenance& provenance, std::int64_t total) {
  if (!directory.holds_run()) {
    const bool configured = std::filesystem::exists(directory.config_path());
    if (const auto files = directory.data_files(); !files.empty())
      throw Error(directory.root(),
                  fmt::format("holds {}, but no {} to say of which run", files.front(),
                              configured ? "marker gradscape-run beside config.toml" : "config.toml"),
                  configured ? "choose another --out" : "choose another --out, or put the config.toml back");
    if (configured)
      throw UsageError(directory.config_path(), "is no run's, and a run there would replace it",
                       "choose another --out, as in --out runs/" + experiment.experiment.name);
    return Found::nothing;
  }
  if (request.force) return Found::nothing;
  const auto steps = directory.checkpoint_steps();
  Provenance found = provenance;
  found.config = to_toml(read_stored_experiment(directory));
  for (const std::int64_t step : steps) try {
      found = read_provenance(open_published(directory.checkpoint_path(step), "checkpoint"));
      break;
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
    }
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
  if (experiment.train.imported)
    throw UsageError("train.imported", "is of runs that `gradscape import` makes, which are not trained",
                     "leave it out");
  const Found found = inspect(experiment, directory, request, provenance, total);
  if (!experiment.train.from_weights.empty() && !request.from && found != Found::checkpoint)
    throw UsageError("train.from_weights", "names weights to begin with, and they are not given",
                     "--from RUN@STEP gives them");
  if (request.probe) {
    require_within_run(experiment.sweep, total);
    if (found != Found::nothing)
      for (const std::string& kind : probed_kinds(experiment))
        ShardJudge(directory, {kind, "main"}, experiment, provenance.data_fingerprint).require_none_foreign();
  }
  return found;
}

/// What rides on training, and its name.
template <class S>
struct Rider {
  SurveyId id;
  SurveyRider<S> rider;
};

/// One training run with its files.
template <class S>
class TrainJob {
 public:
  TrainJob(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request)
      : directory_(directory),
        run_(experiment, directory),
        process_(run_.process()),
        experiment_(run_.experiment()),
        provenance_(run_.provenance()),
        lock_(make_folder(directory.root(), directory.lock_path())) {
    const Found found = check_request(experiment_, directory, request, provenance_, process_.total_steps());
    directory.remove_remains();
    if (request.force) directory.remove_run();
    directory.mark();
    if (found == Found::checkpoint) {
      read_last_checkpoint();
      directory.remove_beyond(state_.step);
    } else {
      state_ = process_.initial_state();
      if (request.from) begin_with(*request.from);
      if (found == Found::configuration) directory.remove_beyond(-1);
    }
    publish_text(directory.config_path(), provenance_.config);
    if (found != Found::checkpoint)
      write_checkpoint(directory.checkpoint_path(0), provenance_, state_, process_);
    else
      fill_trace_holes();
    if (!request.probe) return;
    for (const std::string& kind : probed_kinds(experiment_)) {
      const std::int64_t total = process_.total_steps();
      const auto next = [this, total](std::int64_t step) {
        while (step <= total && !is_selected(experiment_.sweep, step, total)) ++step;
        return step <= total ? step : kNoStep;
      };
      const std::int64_t segment = floor_segment(directory);
      riders_.push_back({{kind, "main"}, {open_survey<S>(kind, experiment_.sweep, {}, process_, segment), next}});
    }
  }

  void run() {
    const std::int64_t total = process_.total_steps();
    const std::string label = label_of(experiment_, directory_.root());
    if (state_.step >= total) {
      say(fmt::format("{}: all {} steps are done", directory_.root(), total));
    } else {
      prepare_riders();
      Progress progress("train " + label, total);
      begin_segment();
      while (state_.step < total) {
        step(progress);
        const bool stop = interrupted();
        if (stop || state_.step % experiment_.train.checkpoint_every == 0 || state_.step == total) save();
        if (stop && state_.step < total) throw stopped(state_.step);
      }
    }
    if (is_selected(experiment_.sweep, total, total)) look_at_end();
  }

 private:
  static const std::string& make_folder(const std::string& folder, const std::string& lock) {
    std::error_code code;
    std::filesystem::create_directories(folder, code);
    if (code) throw Error(folder, "cannot create the directory: " + code.message());
    return lock;
  }

  /// Weights and statistics of another run's checkpoint in place of the initial ones, in this run's precision.
  void begin_with(const RunAt& from) {
    with_precision(read_stored_experiment(from.directory), [&]<class T>() {
      const Network<S>& network = process_.network();
      const auto weights =
          read_weights<T>(from.directory.checkpoint_path(from.step), network.parameters(), network.buffers());
      state_.theta = weights.theta.template cast<S>();
      state_.buffers = weights.buffers.template cast<S>();
    });
  }

  /// Takes the state of the last checkpoint that is whole; damaged ones behind it are made again by training.
  void read_last_checkpoint() {
    const auto steps = directory_.checkpoint_steps();
    for (auto step = steps.rbegin(); step != steps.rend(); ++step) try {
        state_ = read_checkpoint_twice(*step);
        if (step != steps.rbegin()) keep_test_steps(steps.back());
        for (auto damaged = steps.rbegin(); damaged != step; ++damaged)
          std::filesystem::remove(directory_.checkpoint_path(*damaged));
        return;
      } catch (const Error& error) {
        if (!is_damage(error) || *step == 0) throw;
        say(fmt::format("{}\n  training goes on from the checkpoint before it", error.what()));
      }
  }

  /// HDF5 has many words for a moment's lack of memory, and a checkpoint that is called damaged is deleted: it is
  /// looked at again before.
  TrainingState<S> read_checkpoint_twice(std::int64_t step) {
    try {
      return run_.checkpoint(step);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
    }
    return run_.checkpoint(step);
  }

  /// The run may have ended where it is trained again now, and had a test there.
  void keep_test_steps(std::int64_t last) {
    try {
      for (const auto& [step, record] : read_whole_trace(directory_, state_.step, last).tests) tested_.insert(step);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
    }
  }

  /// Takes steps whose trace is missing or damaged once more, from the checkpoint before them to the one behind.
  void fill_trace_holes() {
    for (const TraceHole& hole : find_trace_holes(directory_, directory_.checkpoint_steps())) {
      say(fmt::format("{}\n  steps {} to {} are trained again", hole.problem, hole.first, hole.last - 1));
      TrainingState<S> state = run_.checkpoint(hole.first);
      const h5::File end = open_published(directory_.checkpoint_path(hole.last), "checkpoint");
      if (read_checkpoint_info(end).total_steps == hole.last) tested_.insert(hole.last);  // the run ended there
      Trace trace;
      while (state.step < hole.last) {
        if (interrupted()) throw stopped(hole.first);
        process_.advance(state, [&](const StepView<S>& view) { trace.steps.push_back(view.record); });
        if (is_tested(state.step)) trace.tests.push_back(process_.test(state));
      }
      require_same_state(state, run_.checkpoint(hole.last), directory_.checkpoint_path(hole.last));
      lock_.require_held();
      for (const std::string& path : hole.damaged) std::filesystem::remove(path);
      write_trace(directory_.trace_path(hole.first, hole.last), provenance_, trace);
    }
  }

  bool is_tested(std::int64_t step) const {
    const std::int64_t every = experiment_.train.test_every;
    return step == process_.total_steps() || (every > 0 && step % every == 0) || tested_.contains(step);
  }

  Error stopped(std::int64_t step) const {
    return interruption(directory_.root(),
                        fmt::format("{} of {} steps are done and saved", step, process_.total_steps()),
                        "the same command with --resume continues");
  }

  /// One step of training, its probe and, where due, a test.
  void step(Progress& progress) {
    double loss = 0;
    process_.advance(state_, [&](const StepView<S>& view) {
      trace_.steps.push_back(view.record);
      loss = view.record.loss;
      for (auto& [id, rider] : riders_) rider.see(view);
    });
    if (is_tested(state_.step)) trace_.tests.push_back(process_.test(state_));
    std::string detail = fmt::format("loss {:.4f}", printable(loss));
    if (!trace_.tests.empty()) detail += fmt::format("  test {:.1f} %", 100 * trace_.tests.back().accuracy);
    progress.update(state_.step, detail);
  }

  /// A run that goes on inside of a segment may need to look at a step before.
  void prepare_riders() {
    for (auto& [id, rider] : riders_)
      if (!rider.prepare(state_.step, run_)) throw stopped(state_.step);
  }

  void begin_segment() {
    segment_first_ = state_.step;
    trace_ = {};
    for (auto& [id, rider] : riders_) rider.clear();
  }

  /// Publishes the segment. The checkpoint comes last: where it is, the rest is too.
  void save() {
    const Doing doing("saving", "", segment_first_, state_.step);
    lock_.require_held();
    for (const auto& [id, rider] : riders_)
      if (rider.rows().size() > 0) write_shard(id, rider.rows(), segment_first_, state_.step);
    write_trace(directory_.trace_path(segment_first_, state_.step), provenance_, trace_);
    write_checkpoint(directory_.checkpoint_path(state_.step), provenance_, state_, process_);
    begin_segment();
  }

  void write_shard(const SurveyId& id, const Table& rows, std::int64_t first, std::int64_t last) {
    write_table(directory_.shard_path(id, first, last), provenance_, rows);
  }

  /// The step after the last update, on the batch that training would take next.
  void look_at_end() {
    const std::int64_t step = state_.step;
    for (auto& [id, rider] : riders_) {
      if (std::filesystem::exists(directory_.shard_path(id, step, step + 1))) continue;
      rider.clear();
      if (!rider.prepare(step, run_)) throw stopped(step);
      process_.preview(state_, [&rider = rider](const StepView<S>& view) { rider.see(view); });
      write_shard(id, rider.rows(), step, step + 1);
    }
  }

  const RunDirectory& directory_;
  OpenRun<S> run_;
  TrainingProcess<S>& process_;
  const Experiment& experiment_;
  const Provenance& provenance_;
  RunLock lock_;
  std::vector<Rider<S>> riders_;
  TrainingState<S> state_;
  std::set<std::int64_t> tested_;  // steps with a test, beside those that are due
  std::int64_t segment_first_ = 0;
  Trace trace_;
};

/// ForeignFile where the checkpoint's tensors are not those of the network: the first that differs is named.
template <class S>
void require_fitting(const RunAt& from, const Network<S>& network) {
  with_precision(read_stored_experiment(from.directory), [&]<class T>() {
    (void)read_weights<T>(from.directory.checkpoint_path(from.step), network.parameters(), network.buffers());
  });
}

}  // namespace

void require_trainable(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request) {
  with_precision(experiment, [&]<class S>() {
    OpenRun<S> run(experiment, directory);
    check_request(run.experiment(), directory, request, run.provenance(), run.process().total_steps());
    if (request.from) require_fitting(*request.from, run.process().network());
    if (!request.probe) return;
    for (const std::string& kind : probed_kinds(run.experiment()))  // whether they can be opened
      open_survey<S>(kind, run.experiment().sweep, {}, run.process(), 1);
  });
}

void train(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request) {
  const Doing doing("training", directory.root());
  with_precision(experiment, [&]<class S>() { TrainJob<S>(experiment, directory, request).run(); });
}

}  // namespace gradscape
