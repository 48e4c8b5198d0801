#include "gradscape/nn/loss.hpp"

#include <algorithm>
#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"

namespace gradscape {
namespace {

/// Samples per task; part of what decides bits.
constexpr Index kSamples = 64;

struct Partial {
  double loss = 0;
  Index correct = 0;
  Partial& operator+=(const Partial& other) {
    loss += other.loss;
    correct += other.correct;
    return *this;
  }
};

/// −Σ_k q_k·log softmax(logits)_k with q = (1 − ε)·one-hot + ε/K, and its gradient times `weight`.
template <class S>
double cross_entropy(const S* logits, Index classes, int label, double smoothing, double weight, S* dlogits) {
  // logits, dlogits [K]
  const auto largest = static_cast<double>(*std::max_element(logits, logits + classes));
  double sum = 0, all = 0;
  for (Index k = 0; k < classes; ++k) {
    sum += std::exp(static_cast<double>(logits[k]) - largest);
    all += static_cast<double>(logits[k]);
  }
  const double even = smoothing / static_cast<double>(classes);
  if (dlogits != nullptr)
    for (Index k = 0; k < classes; ++k) {
      const double probability = std::exp(static_cast<double>(logits[k]) - largest) / sum;
      const double target = smoothing == 0 ? (k == label ? 1.0 : 0.0) : (k == label ? 1.0 - smoothing : 0.0) + even;
      dlogits[k] = static_cast<S>(weight * (probability - target));
    }
  const double plain = std::log(sum) + largest - static_cast<double>(logits[label]);
  if (smoothing == 0) return plain;
  const double mean = std::log(sum) + largest - all / static_cast<double>(classes);
  return (1.0 - smoothing) * plain + smoothing * mean;
}

/// Σ (logit − target)², and its gradient times `weight`.
template <class S, class Target>
double squared_error(const S* logits, Index classes, Target&& target, double weight, S* dlogits) {
  // logits, dlogits [K]
  double sum = 0;
  for (Index k = 0; k < classes; ++k) {
    const double difference = static_cast<double>(logits[k]) - target(k);
    sum += difference * difference;
    if (dlogits != nullptr) dlogits[k] = static_cast<S>(weight * 2.0 * difference);
  }
  return sum;
}

}  // namespace

template <class S>
LossValue evaluate_loss(Loss kind, ConstRows<S> logits, const std::vector<int>& labels, const Matrix<S>& targets,
                        Rows<S> dlogits, double smoothing) {
  // logits, targets, dlogits [N, K]; labels [N]
  const Index samples = logits.rows();
  const Index classes = logits.cols();
  check(static_cast<Index>(labels.size()) == samples, "one label per sample");
  const bool regression = targets.size() > 0;
  check(!regression || (kind != Loss::cross_entropy && targets.rows() == samples && targets.cols() == classes),
        "targets fit the logits, and the loss is one of differences");
  double weight = 1.0;
  if (kind == Loss::cross_entropy) weight = 1.0 / static_cast<double>(samples);
  if (kind == Loss::mean_squared) weight = 1.0 / static_cast<double>(samples * classes);
  const auto total = parallel::sum_chunks(samples, kSamples, [&](Index first, Index last) {
    Partial partial;
    for (Index sample = first; sample < last; ++sample) {
      const S* row = logits.data() + sample * classes;
      S* drow = dlogits.data() == nullptr ? nullptr : dlogits.data() + sample * classes;
      if (regression) {
        const S* target = targets.data() + sample * classes;
        const auto at = [target](Index k) { return static_cast<double>(target[k]); };
        partial.loss += squared_error(row, classes, at, weight, drow);
        continue;
      }
      const int label = labels[static_cast<std::size_t>(sample)];
      const auto one_hot = [label](Index k) { return k == label ? 1.0 : 0.0; };
      partial.loss += kind == Loss::cross_entropy ? cross_entropy(row, classes, label, smoothing, weight, drow)
                                                  : squared_error(row, classes, one_hot, weight, drow);
      if (std::max_element(row, row + classes) - row == label) ++partial.correct;
    }
    return partial;
  });
  return {total.loss * weight, total.correct};
}

template <class S>
double add_decay(double lambda, const Point<S>& theta, Vector<S>* grad) {
  check(grad == nullptr || grad->size() == theta.size(), "a gradient as long as theta");
  const S factor = static_cast<S>(lambda);
  const double squares = parallel::sum_chunks(theta.size(), parallel::kElementwiseChunk, [&](Index first, Index last) {
    double sum = 0;
    for (Index i = first; i < last; ++i) {
      const S value = theta[i];
      sum += static_cast<double>(value) * static_cast<double>(value);
      if (grad != nullptr) (*grad)[i] += factor * value;
    }
    return sum;
  });
  return lambda / 2 * squares;
}

template double add_decay<float>(double, const Point<float>&, Vector<float>*);
template double add_decay<double>(double, const Point<double>&, Vector<double>*);
template LossValue evaluate_loss<float>(Loss, ConstRows<float>, const std::vector<int>&, const Matrix<float>&,
                                        Rows<float>, double);
template LossValue evaluate_loss<double>(Loss, ConstRows<double>, const std::vector<int>&, const Matrix<double>&,
                                         Rows<double>, double);

}  // namespace gradscape
