#include "gradscape/study/sweep_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/shard_judge.hpp"

namespace gradscape {
namespace {

template <class S>
class SweepJob {
 public:
  SweepJob(const Experiment& experiment, const RunDirectory& directory, const std::string& name)
      : experiment_(experiment),
        directory_(directory),
        name_(name),
        dataset_(load_data(experiment.data)),
        provenance_(make_provenance(experiment, dataset_)),
        judge_(directory, name, experiment, provenance_.data_fingerprint),
        process_(experiment.data, experiment.model, experiment.train, dataset_),
        prober_(experiment.sweep, process_, floor_segment(directory)) {}

  /// Makes the shards of these segments that are not there; returns how many.
  std::size_t run(const std::vector<Segment>& segments) {
    judge_.require_none_foreign();
    std::vector<Segment> todo;
    std::int64_t steps = 0;
    for (const Segment& segment : segments) {
      const ShardCheck found = judge_.check(segment);
      if (found.state == ShardState::whole) {
        remove_partial(segment);
        continue;
      }
      if (found.state == ShardState::damaged) say(fmt::format("{}\n  it is computed again", found.problem));
      steps += segment.last - segment.first;
      todo.push_back(segment);
    }
    Progress progress("sweep " + name_, steps);
    for (const Segment& segment : todo) {
      if (interrupted()) throw stopped();
      sweep_segment(segment, progress);
    }
    const std::int64_t trained = directory_.checkpoint_steps().back();
    if (trained < process_.total_steps())
      say(fmt::format("{}: training stands at step {} of {}; call sweep again when it is done", directory_.root(),
                      trained, process_.total_steps()));
    return todo.size();
  }

 private:
  std::string shard_path(const Segment& segment) const {
    return directory_.shard_path(name_, segment.first, segment.last);
  }

  TrainingState<S> read_state(std::int64_t step) {
    if (reached_ && reached_->step == step) return *std::exchange(reached_, std::nullopt);
    return read_own_checkpoint<S>(directory_, step, experiment_, provenance_.data_fingerprint, process_);
  }

  /// Probes a segment. Steps that a stopped sweep has probed are only trained again.
  void sweep_segment(const Segment& segment, Progress& progress) {
    if (segment.first == process_.total_steps()) return sweep_end(segment, progress);
    const std::string partial = directory_.partial_path(name_, segment.first, segment.last);
    const WholeTrace trace = read_whole_trace(directory_, segment.first, segment.last);
    ShardCheck begun = judge_.check_partial(segment, trace);
    if (!begun.problem.empty())
      say(fmt::format("{}\n  it is ignored, and the segment is probed from its beginning", begun.problem));
    std::vector<SweepRecord> records = std::move(begun.records);
    const std::size_t before = records.size();
    if (before > 0) prober_.adopt_floor(records.back());
    if (before < segment.probed.size()) provide_floor_of(segment.probed[before]);
    TrainingState<S> state = read_state(segment.first);
    const auto observe = [&](const StepView<S>& view) {
      const std::int64_t step = view.record.step;
      if (prober_.wants(step) && (records.empty() || step > records.back().step))
        records.push_back(prober_.probe_step(view));
      show(view, progress);
    };
    if (!replay<S>(process_, state, segment.last, trace.steps, observe, [] { return !interrupted(); })) {
      if (records.size() > before) write_records(partial, records);
      throw stopped();
    }
    require_same_state(state, read_state(segment.last), directory_.checkpoint_path(segment.last));
    reached_ = std::move(state);
    write_records(shard_path(segment), records);
    remove_partial(segment);
  }

  /// The step after the last update, on the batch that training would take next.
  void sweep_end(const Segment& segment, Progress& progress) {
    provide_floor_of(segment.first);
    std::vector<SweepRecord> records;
    process_.preview(read_state(segment.first), [&](const StepView<S>& view) {
      records.push_back(prober_.probe_step(view));
      show(view, progress);
    });
    write_records(shard_path(segment), records);
  }

  void provide_floor_of(std::int64_t step) {
    provide_floor(prober_, step, directory_, experiment_, provenance_.data_fingerprint, process_);
  }

  void show(const StepView<S>& view, Progress& progress) {
    progress.update(++done_, fmt::format("at step {}, loss {:.4f}", view.record.step, view.record.loss));
  }

  void write_records(const std::string& path, const std::vector<SweepRecord>& records) const {
    const SweepOptions& options = experiment_.sweep;
    write_grid(path, provenance_,
               {options.multipliers, options.direction, options.precision, records, prober_.layers()});
  }

  void remove_partial(const Segment& segment) const {
    std::error_code ignored;  // it may be gone, and does no harm
    std::filesystem::remove(directory_.partial_path(name_, segment.first, segment.last), ignored);
  }

  Error stopped() const {
    return interruption(directory_.root(), "complete segments and the probed steps of this one are saved",
                        "the same command continues");
  }

  const Experiment& experiment_;
  const RunDirectory& directory_;
  std::string name_;
  const Dataset& dataset_;
  Provenance provenance_;
  ShardJudge judge_;
  TrainingProcess<S> process_;
  StepProber<S> prober_;
  std::optional<TrainingState<S>> reached_;  // the end of the last segment, where the next one may begin
  std::int64_t done_ = 0;
};

}  // namespace

std::size_t sweep(const Experiment& experiment, const RunDirectory& directory, const std::string& name,
                  const std::vector<Segment>& segments) {
  return with_precision(experiment, [&]<class S>() { return SweepJob<S>(experiment, directory, name).run(segments); });
}

}  // namespace gradscape
