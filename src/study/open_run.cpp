#include "gradscape/study/open_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/checkpoint_spacing.hpp"

namespace gradscape {

template <class S>
OpenRun<S>::OpenRun(const Experiment& experiment, const RunDirectory& directory)
    : directory_(directory),
      dataset_(load_data(experiment.data)),
      process_(experiment.data, experiment.model, experiment.train, *dataset_),
      experiment_(with_checkpoint_spacing(experiment, process_)),
      provenance_(make_provenance(experiment_, *dataset_)) {}

template <class S>
TrainingState<S> OpenRun<S>::checkpoint(std::int64_t step) {
  require_own_checkpoint(step);
  const std::string path = directory_.checkpoint_path(step);
  TrainingState<S> state = read_checkpoint<S>(path, process_);
  if (state.step != step)
    throw ForeignFile(path, fmt::format("holds step {}", state.step),
                      "a checkpoint's name says its step: it was renamed");
  return state;
}

template <class S>
void OpenRun<S>::require_own_checkpoint(std::int64_t step) const {
  const std::string path = directory_.checkpoint_path(step);
  require_same_run(read_provenance(open_published(path, "checkpoint")), experiment_, data_fingerprint(), path);
}

template <class S>
bool OpenRun<S>::replay_to(TrainingState<S>& state, std::int64_t last, const StepObserver<S>& observe) {
  const WholeTrace trace = read_whole_trace(directory_, state.step, last);
  return replay<S>(process_, state, last, trace.steps, observe, [] { return !interrupted(); });
}

template <class S>
bool OpenRun<S>::look_at(std::int64_t step, const StepObserver<S>& observe) {
  const auto checkpoints = directory_.checkpoint_steps();
  const auto after = std::upper_bound(checkpoints.begin(), checkpoints.end(), step);
  if (after == checkpoints.begin())
    throw Error(directory_.root(), fmt::format("has no checkpoint at or before step {}", step));
  TrainingState<S> state = checkpoint(*(after - 1));
  if (process_.imported()) {
    if (state.step != step) throw Error(directory_.root(), fmt::format("has no snapshot number {}", step));
    process_.preview(state, observe);
    return true;
  }
  if (step == process_.total_steps()) {
    if (!replay_to(state, step, {})) return false;
    process_.preview(state, observe);
    return true;
  }
  return replay_to(state, step + 1, [&](const StepView<S>& view) {
    if (view.record.step == step) observe(view);
  });
}

template class OpenRun<float>;
template class OpenRun<double>;

}  // namespace gradscape
