#include "gradscape/study/evaluate_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "gradscape/core/error.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/file/safetensors.hpp"

namespace gradscape {
namespace {

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

/// What the file has under its names of a mode, and ours beside it.
template <class S>
class FileComparison {
 public:
  FileComparison(const SafetensorsFile& file, Network<S>& network, Mode mode)
      : file_(file), network_(network), mode_(mode == Mode::train ? ".train" : ".evaluation") {}

  bool labelled() const { return file_.find("labels") != nullptr; }
  bool has_gradient() const { return labelled() && file_.find("grad_norm" + mode_) != nullptr; }

  void logits(EvaluateResult& result) const {
    const auto ours = network_.logits();
    if (const std::string name = name_of("logits"); file_.find(name) != nullptr)
      compare(name, file_.read(name), std::span(ours.data(), static_cast<std::size_t>(ours.size())), result);
  }

  void loss(double ours, EvaluateResult& result) const {
    if (const std::string name = name_of("loss"); labelled() && file_.find(name) != nullptr)
      compare(name, file_.read(name), std::span(&ours, 1), result);
  }

  /// Its norm and, where the file has the gradient of every parameter, the whole.
  void gradient(const Vector<S>& ours, EvaluateResult& result) const {
    const double size = norm(ours);
    compare("grad_norm" + mode_, file_.read("grad_norm" + mode_), std::span(&size, 1), result);
    const std::string front = mode_ == ".train" ? "grad" : "grad_evaluation";
    std::vector<double> theirs;
    for (const Part& part : network_.parameters().parts()) {
      const StoredTensor* stored = file_.find(front + "." + part.name);
      if (stored == nullptr || stored->shape != part.shape) return;
      const std::vector<double> values = file_.read(stored->name);
      theirs.insert(theirs.end(), values.begin(), values.end());
    }
    compare(front, theirs, std::span(ours.data(), theirs.size()), result);
  }

 private:
  std::string name_of(const std::string& item) const {
    return file_.find(item + mode_) == nullptr && mode_ == ".evaluation" ? item : item + mode_;
  }

  template <class T>
  void compare(const std::string& name, const std::vector<double>& theirs, std::span<T> ours,
               EvaluateResult& result) const {
    if (theirs.size() != ours.size())
      throw Error(file_.path(), fmt::format("{} are {} numbers, and ours {}", name, theirs.size(), ours.size()));
    double difference = 0, size = 0;
    for (std::size_t i = 0; i < theirs.size(); ++i) {
      difference += std::pow(static_cast<double>(ours[i]) - theirs[i], 2);
      size += theirs[i] * theirs[i];
    }
    result.differences.emplace_back(name, std::sqrt(difference / (size > 0 ? size : 1)));
  }

  const SafetensorsFile& file_;
  Network<S>& network_;
  std::string mode_;
};

}  // namespace

template <class S>
EvaluateResult evaluate_file(Network<S>& network, const Vector<S>& theta, const Vector<S>& buffers, const Pass& pass,
                             const std::string& path) {
  const SafetensorsFile file(path);
  const Batch<S> batch = read_batch<S>(file, network.input(), network.output().channels);
  if (pass.mode == Mode::train && batch.size() < network.fewest_samples())
    throw Error(path, fmt::format("{} images are too few for batch norm in train mode, which needs {}", batch.size(),
                                  network.fewest_samples()));
  const FileComparison<S> comparison(file, network, pass.mode);
  Vector<S> grad;
  const Evaluation value =
      network.evaluate(theta, buffers, batch, pass, {.grad = comparison.has_gradient() ? &grad : nullptr});
  EvaluateResult result;
  result.images = batch.size();
  if (comparison.labelled()) {
    result.loss = value.loss;
    result.accuracy = value.accuracy;
  }
  comparison.logits(result);
  comparison.loss(value.loss, result);
  if (comparison.has_gradient()) comparison.gradient(grad, result);
  return result;
}

template EvaluateResult evaluate_file<float>(Network<float>&, const Vector<float>&, const Vector<float>&, const Pass&,
                                             const std::string&);
template EvaluateResult evaluate_file<double>(Network<double>&, const Vector<double>&, const Vector<double>&,
                                              const Pass&, const std::string&);

}  // namespace gradscape
