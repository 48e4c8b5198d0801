#include "gradscape/study/survey_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/shard_judge.hpp"
#include "gradscape/study/survey_rider.hpp"

namespace gradscape {
namespace {

/// What is not given is as in the first shard that can be read.
SurveySettings complete_settings(const SurveyRequest& request, const RunDirectory& directory) {
  SurveySettings settings = request.settings;
  if (request.id.kind == "sweep") return settings;
  const Table schema = survey_kind(request.id.kind).schema();
  for (const SegmentFile& shard : directory.shard_files(request.id)) try {
      const SurveySettings made = settings_of(read_shape(open_published(shard.path, schema.kind), schema));
      if (settings.layers.empty()) settings.layers = made.layers;
      if (settings.bins == 0) settings.bins = made.bins;
      break;
    } catch (const Error& error) {  // damaged: another one may be whole
      if (!is_damage(error)) throw;
    }
  return settings;
}

template <class S>
class SurveyJob {
 public:
  SurveyJob(const SurveyRequest& request, const Experiment& experiment, const RunDirectory& directory)
      : id_(request.id),
        run_(experiment, directory),
        judge_(directory, id_, run_.experiment(), run_.data_fingerprint()),
        provenance_(run_.provenance()),
        rider_(open_survey<S>(id_.kind, experiment.sweep, complete_settings(request, directory), run_.process(),
                              floor_segment(directory)),
               [this](std::int64_t step) {
                 const auto next = std::lower_bound(missing_.begin(), missing_.end(), step);
                 return next == missing_.end() ? kNoStep : *next;
               }) {
    judge_.expect(rider_.rows());
    provenance_.config = to_toml(judge_.settings());
  }

  /// Makes the shards of these segments that are not there; returns how many.
  std::size_t work(const std::vector<Segment>& segments) {
    judge_.require_none_foreign();
    std::vector<Segment> todo;
    std::int64_t steps = 0;
    for (const Segment& wanted : segments) {
      // Whatever the survey was asked for before belongs into its shard too.
      const Segment segment = select_steps(wanted.first, wanted.last, judge_.settings().sweep);
      const ShardCheck found = judge_.check(segment);
      if (found.state == ShardState::whole) {
        remove_partial(segment);
        continue;
      }
      if (found.state == ShardState::damaged) say(fmt::format("{}\n  it is computed again", found.problem));
      steps += segment.probed.back() + 1 - segment.first;
      todo.push_back(segment);
    }
    Progress progress(id_.kind + " " + id_.name, steps);
    for (const Segment& segment : todo) {
      if (interrupted()) throw stopped();
      make_shard(segment, progress);
    }
    const std::int64_t trained = run_.directory().checkpoint_steps().back(), total = run_.process().total_steps();
    if (trained < total)
      say(fmt::format("{}: training stands at step {} of {}; call {} again when it is done", run_.directory().root(),
                      trained, total, id_.kind));
    if (const std::string remark = rider_.survey().remark(); !todo.empty() && !remark.empty())
      say(fmt::format("{}: {}", run_.directory().root(), remark));
    return todo.size();
  }

 private:
  std::string partial_path(const Segment& segment) const {
    return run_.directory().partial_path(id_, segment.first, segment.last);
  }

  Segment select_steps(std::int64_t first, std::int64_t last, const SweepOptions& options) {
    Segment segment{first, last, {}};
    for (std::int64_t step = first; step < last; ++step)
      if (is_selected(options, step, run_.process().total_steps())) segment.probed.push_back(step);
    return segment;
  }

  TrainingState<S> read_state(std::int64_t step) {
    if (reached_ && reached_->step == step) return *std::exchange(reached_, std::nullopt);
    return run_.checkpoint(step);
  }

  /// Makes the rows that are missing of a segment. Steps whose rows are there are only trained again.
  void make_shard(const Segment& segment, Progress& progress) {
    const Doing doing("making the shard of", "", segment.first, segment.last);
    // The step after the last update, or a snapshot: there is nothing to replay.
    const bool end = segment.first == run_.process().total_steps() || run_.process().imported();
    const WholeTrace trace = end ? WholeTrace{} : read_whole_trace(run_.directory(), segment.first, segment.last);
    ShardCheck begun = end ? ShardCheck{} : judge_.begun(segment, trace);
    if (!begun.problem.empty() && std::filesystem::exists(partial_path(segment)))
      say(fmt::format("{}\n  it is ignored, and the steps are looked at again", begun.problem));
    find_missing(segment, begun.rows);
    rider_.clear();
    if (!rider_.prepare(segment.first, run_)) throw stopped();
    TrainingState<S> state = read_state(segment.first);
    const auto observe = [&](const StepView<S>& view) {
      rider_.see(view);
      progress.update(++done_, fmt::format("at step {}, loss {:.4f}", view.record.step, printable(view.record.loss)));
    };
    if (end) {
      run_.process().preview(state, observe);
    } else if (const std::int64_t last = missing_.empty() ? segment.first : missing_.back() + 1;
               !replay<S>(run_.process(), state, last, trace.steps, observe, [] { return !interrupted(); })) {
      if (rider_.rows().size() > 0) write(partial_path(segment), begun.rows);
      throw stopped();
    }
    if (!end && state.step == segment.last) {
      require_same_state(state, read_state(segment.last), run_.directory().checkpoint_path(segment.last));
      reached_ = std::move(state);
    } else if (!end) {
      run_.require_own_checkpoint(segment.last);
    }
    write(run_.directory().shard_path(id_, segment.first, segment.last), begun.rows);
    remove_partial(segment);
  }

  /// The segment's steps that `held` has no rows of; the survey learns from those that it has.
  void find_missing(const Segment& segment, const Table& held) {
    missing_.clear();
    for (const std::int64_t step : segment.probed)
      if (held.size() == 0 || held.find_row(static_cast<double>(step)) == held.size()) missing_.push_back(step);
    if (missing_.empty()) return;
    for (std::size_t row = 0; row < held.size() && rider_.survey().needs(missing_.front()) >= 0; ++row)
      rider_.survey().adopt(held, row);
  }

  /// Publishes the rows made now with those that were there.
  void write(const std::string& path, const Table& held) const {
    write_table(path, provenance_, held.size() == 0 ? rider_.rows() : unite_rows(rider_.rows(), held));
  }

  void remove_partial(const Segment& segment) const {
    std::error_code ignored;  // it may be gone, and does no harm
    std::filesystem::remove(partial_path(segment), ignored);
  }

  Error stopped() const {
    return interruption(run_.directory().root(), "complete segments and the rows of this one are saved",
                        "the same command continues");
  }

  SurveyId id_;
  OpenRun<S> run_;
  ShardJudge judge_;
  Provenance provenance_;              // with the steps of all shards
  std::vector<std::int64_t> missing_;  // of the segment in work
  SurveyRider<S> rider_;
  std::optional<TrainingState<S>> reached_;  // the end of the last segment, where the next one may begin
  std::int64_t done_ = 0;
};

}  // namespace

std::size_t survey_run(const SurveyRequest& request, const Experiment& experiment, const RunDirectory& directory,
                       const std::vector<Segment>& segments) {
  const Doing doing(request.id.kind, directory.root());
  return with_precision(experiment,
                        [&]<class S>() { return SurveyJob<S>(request, experiment, directory).work(segments); });
}

}  // namespace gradscape
