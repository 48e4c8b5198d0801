#include "gradscape/landscape/set_probe.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>

#include "gradscape/core/error.hpp"
#include "gradscape/core/extremes.hpp"
#include "gradscape/core/vector_math.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

SetBands make_bands(const std::vector<SetValue>& cells, const std::vector<double>& multipliers) {
  Extremes loss;
  for (std::size_t i = 0; i < cells.size(); ++i)
    if (multipliers[i] > 0) loss.add(cells[i].loss);
  return {loss.min, loss.max};
}

template <class S>
SetProbe<S>::SetProbe(const SweepOptions& options, TrainingProcess<S>& process)
    : multipliers_(options.points()),
      gradients_(options.on_gradients),
      mode_(options.mode == "train" ? Mode::train : Mode::evaluation),
      images_(options.on == "train" ? process.dataset().train : process.dataset().test),
      standardisation_(process.standardisation()),
      positions_(spaced_positions(images_.size(), options.on_images)),
      batch_size_(process.batches().largest()) {
  if (positions_.empty())
    throw UsageError("sweep.on", fmt::format("the data have no {} images", options.on), "set sweep.on to train");
  const Index last = SetObjective<S>(images_, standardisation_, positions_, batch_size_).smallest();
  const Index fewest = process.network().fewest_samples();
  if (mode_ == Mode::train && last < fewest)
    throw UsageError("sweep.on_images",
                     fmt::format("{} leave a batch of {} of train.batch_size = {}, and batch norm needs {}", size(),
                                 last, batch_size_, fewest),
                     "choose another number, or sweep.mode = \"evaluation\"");
}

template <class S>
template <class P>
SetRecord SetProbe<S>::probe(Network<P>& network, const Vector<P>& theta, const Vector<P>& buffers,
                             const Vector<P>& grad, const Ray<P>& ray, const Pass& step) const {
  SetObjective<P> set(images_, standardisation_, positions_, batch_size_, std::is_same_v<S, float>);
  Pass pass = step;
  pass.mode = mode_;
  const auto evaluate = [&](const Point<P>& at, Vector<P>& set_grad) {
    const Evaluation value = set.evaluate(network, at, buffers, pass, gradients_ ? &set_grad : nullptr);
    return SetValue{.loss = value.loss, .accuracy = value.accuracy};
  };
  SetRecord record;
  Vector<P> centre, here;
  record.at_theta = evaluate(theta, centre);
  record.at_theta.grad_norm = gradients_ ? norm(centre) : kNan;
  record.at_theta.grad_diff = gradients_ ? 0 : kNan;
  record.grad_cos = gradients_ ? dot(centre, grad) / (record.at_theta.grad_norm * norm(grad)) : kNan;
  for (const double m : multipliers_) {
    SetValue value = evaluate({theta, m * ray.unit, ray.vector}, here);
    value.grad_norm = gradients_ ? norm(here) : kNan;
    value.grad_diff = gradients_ ? distance(here, centre) : kNan;
    record.cells.push_back(value);
  }
  return record;
}

template class SetProbe<float>;
template class SetProbe<double>;
#define GRADSCAPE_INSTANTIATE(S, P)                                                                           \
  template SetRecord SetProbe<S>::probe<P>(Network<P>&, const Vector<P>&, const Vector<P>&, const Vector<P>&, \
                                           const Ray<P>&, const Pass&) const;
GRADSCAPE_INSTANTIATE(float, float)
GRADSCAPE_INSTANTIATE(float, double)
GRADSCAPE_INSTANTIATE(double, double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
