#include "gradscape/study/evaluate_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradscape/core/error.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/exchange/weights.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/store/publish.hpp"
#include "gradscape/study/open_run.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// [N, C, H, W] as rows [N·H·W, C].
template <class S>
Matrix<S> rows_of(const std::vector<double>& values, Index samples, FeatureShape shape) {
  Matrix<S> rows(samples * shape.pixels(), shape.channels);
  for (Index n = 0; n < samples; ++n)
    for (Index c = 0; c < shape.channels; ++c)
      for (Index pixel = 0; pixel < shape.pixels(); ++pixel)
        rows(n * shape.pixels() + pixel, c) =
            static_cast<S>(values[static_cast<std::size_t>((n * shape.channels + c) * shape.pixels() + pixel)]);
  return rows;
}

/// The batch that a file holds; labels 0 where it has none.
template <class S>
Batch<S> read_batch(const SafetensorsFile& file, FeatureShape shape, Index classes) {
  const StoredTensor* images = file.find("images");
  if (images == nullptr)
    throw Error(file.path(), "has no tensor images", "images [N, C, H, W] as the network sees them");
  const std::vector<Index> expected = {shape.channels, shape.height, shape.width};
  if (images->shape.size() != 4 || images->shape[0] < 1 ||
      !std::equal(expected.begin(), expected.end(), images->shape.begin() + 1))
    throw Error(file.path(), fmt::format("images are [{}], and the network takes [N, {}]",
                                         fmt::join(images->shape, ", "), fmt::join(expected, ", ")));
  const Index samples = images->shape[0];
  Batch<S> batch;
  batch.images = rows_of<S>(file.read("images"), samples, shape);
  batch.labels.assign(static_cast<std::size_t>(samples), 0);
  if (const StoredTensor* labels = file.find("labels"); labels != nullptr) {
    if (labels->shape != std::vector<Index>{samples})
      throw Error(file.path(),
                  fmt::format("labels are [{}], and there are {} images", fmt::join(labels->shape, ", "), samples));
    const auto values = file.read_counts("labels");
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (values[i] < 0 || values[i] >= classes)
        throw Error(file.path(),
                    fmt::format("label {} of image {} is none of the network's {} classes", values[i], i, classes));
      batch.labels[i] = static_cast<int>(values[i]);
    }
  }
  return batch;
}

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
    EvaluateResult result;
    if (!request_.images.empty()) {
      on_file(result);
    } else {
      on_test_images(result);
    }
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

  Evaluation evaluate_batch(const Batch<S>& batch, Vector<S>* grad = nullptr) {
    const Evaluation value = network().evaluate(theta_, buffers_, batch, pass_, {.grad = grad});
    const auto logits = network().logits();
    logits_.insert(logits_.end(), logits.data(), logits.data() + logits.size());
    return value;
  }

  void on_file(EvaluateResult& result) {
    const SafetensorsFile file(request_.images);
    const Batch<S> batch = read_batch<S>(file, network().input(), classes());
    if (pass_.mode == Mode::train && batch.size() < network().fewest_samples())
      throw Error(file.path(), fmt::format("{} images are too few for batch norm in train mode, which needs {}",
                                           batch.size(), network().fewest_samples()));
    const bool labelled = file.find("labels") != nullptr;
    const std::string mode = pass_.mode == Mode::train ? ".train" : ".evaluation";
    const bool wants_gradient = labelled && file.find("grad_norm" + mode) != nullptr;
    Vector<S> grad;
    const Evaluation value = evaluate_batch(batch, wants_gradient ? &grad : nullptr);
    result.images = batch.size();
    result.loss = labelled ? value.loss : kNan;
    result.accuracy = labelled ? value.accuracy : kNan;
    const auto name_of = [&](const std::string& item) {
      return file.find(item + mode) == nullptr && pass_.mode == Mode::evaluation ? item : item + mode;
    };
    if (const std::string name = name_of("logits"); file.find(name) != nullptr)
      compare(name, file.read(name), logits_, result);
    if (const std::string name = name_of("loss"); labelled && file.find(name) != nullptr)
      compare(name, file.read(name), std::vector<double>{value.loss}, result);
    if (wants_gradient) compare_gradient(file, mode, grad, result);
  }

  /// Its norm and, where the file has the gradient of every parameter, the whole.
  void compare_gradient(const SafetensorsFile& file, const std::string& mode, const Vector<S>& grad,
                        EvaluateResult& result) {
    compare("grad_norm" + mode, file.read("grad_norm" + mode), std::vector<double>{norm(grad)}, result);
    const std::string front = pass_.mode == Mode::train ? "grad" : "grad_evaluation";
    std::vector<double> theirs;
    for (const Part& part : network().parameters().parts()) {
      const StoredTensor* stored = file.find(front + "." + part.name);
      if (stored == nullptr || stored->shape != part.shape) return;
      const std::vector<double> values = file.read(stored->name);
      theirs.insert(theirs.end(), values.begin(), values.end());
    }
    compare(front, theirs, grad, result);
  }

  template <class Values>
  static void compare(const std::string& name, const std::vector<double>& theirs, const Values& ours,
                      EvaluateResult& result) {
    if (theirs.size() != static_cast<std::size_t>(ours.size()))
      throw Error("", fmt::format("the file's {} are {} numbers, and ours {}", name, theirs.size(), ours.size()));
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      difference += std::pow(static_cast<double>(ours[i]) - theirs[i], 2);
      norm += theirs[i] * theirs[i];
    }
    result.differences.emplace_back(name, std::sqrt(difference / (norm > 0 ? norm : 1)));
  }

  void on_test_images(EvaluateResult& result) {
    const ImageSet& images = run_.process().dataset().test;
    if (images.size() == 0) throw Error(run_.directory().root(), "its data have no test images", "--images FILE");
    const Index size = std::min<Index>(run_.experiment().train.batch_size, images.size());
    result.images = images.size();
    Progress progress("evaluate", images.size());
    for (Index first = 0; first < images.size(); first += size) {
      const Index last = std::min(first + size, images.size());
      const Evaluation value = evaluate_batch(plain_batch<S>(images, run_.process().standardisation(), first, last));
      const double share = static_cast<double>(last - first) / static_cast<double>(images.size());
      result.loss += value.loss * weight_in_set(network().loss(), share);
      result.accuracy += value.accuracy * share;
      progress.update(last, "");
    }
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
