#include "gradscape/study/evaluate_job.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/exchange/weights.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/store/publish.hpp"
#include "gradscape/study/open_run.hpp"

namespace gradscape {
namespace {

template <class S>
class EvaluateJob {
 public:
  EvaluateJob(const RunAt& at, const Experiment& experiment, const EvaluateRequest& request)
      : request_(request), run_(experiment, at.directory) {
    Experiment stored = experiment;
    stored.train = read_stored_experiment(at.directory).train;
    with_precision(stored, [&]<class T>() {
      OpenRun<T> original(stored, at.directory);
      const TrainingState<T> state = original.checkpoint(at.step);
      theta_ = state.theta.template cast<S>();
      buffers_ = state.buffers.template cast<S>();
    });
    pass_ = {request.mode, static_cast<std::uint64_t>(experiment.train.seed), static_cast<std::uint32_t>(at.step)};
    pass_.random = false;
  }

  EvaluateResult evaluate() {
    const EvaluateResult result =
        request_.images.empty() ? on_test_images() : evaluate_file(network(), theta_, buffers_, pass_, request_.images);
    if (!request_.images.empty()) keep_logits();
    if (!request_.to.empty())
      publish_file(request_.to, [&](const std::string& path) {
        write_safetensors(
            path,
            {{"logits", {static_cast<Index>(logits_.size()) / classes(), classes()}, std::span<const S>(logits_)}});
      });
    return result;
  }

 private:
  Network<S>& network() { return run_.process().network(); }
  Index classes() { return network().output().channels; }

  void keep_logits() {
    const auto logits = network().logits();
    logits_.insert(logits_.end(), logits.data(), logits.data() + logits.size());
  }

  EvaluateResult on_test_images() {
    EvaluateResult result;
    const ImageSet& images = run_.process().dataset().test;
    if (images.size() == 0) throw Error(run_.directory().root(), "its data have no test images", "--images FILE");
    const Index size = std::min<Index>(run_.experiment().train.batch_size, images.size());
    result.images = images.size();
    result.loss = result.accuracy = 0;
    Progress progress("evaluate", images.size());
    for (Index first = 0; first < images.size(); first += size) {
      const Index last = std::min(first + size, images.size());
      const Evaluation value = network().evaluate(
          theta_, buffers_, plain_batch<S>(images, run_.process().standardisation(), first, last), pass_);
      keep_logits();
      const double share = static_cast<double>(last - first) / static_cast<double>(images.size());
      result.loss += value.loss * weight_in_set(network().loss(), share);
      result.accuracy += value.accuracy * share;
      progress.update(last, "");
    }
    return result;
  }

  const EvaluateRequest& request_;
  OpenRun<S> run_;
  Vector<S> theta_, buffers_;
  Pass pass_;
  std::vector<S> logits_;
};

}  // namespace

EvaluateResult evaluate_run(const RunAt& at, const Experiment& experiment, const EvaluateRequest& request) {
  Experiment wanted = experiment;
  if (request.precision && *request.precision != experiment.train.precision) {
    wanted.train.precision = *request.precision;
    wanted.train.engine = *request.precision == "double" ? "direct" : wanted.train.engine;
  }
  return with_precision(wanted, [&]<class S>() { return EvaluateJob<S>(at, wanted, request).evaluate(); });
}

void export_run(const RunAt& at, const Experiment& experiment, const std::string& to) {
  with_precision(experiment, [&]<class S>() {
    OpenRun<S> run(experiment, at.directory);
    const TrainingState<S> state = run.checkpoint(at.step);
    const Network<S>& network = run.process().network();
    export_weights<S>(to, network.parameters(), network.buffers(), state.theta, state.buffers,
                      {{"format", "pt"}, {"step", std::to_string(at.step)}, {"run", at.directory.root()}});
  });
}

}  // namespace gradscape
