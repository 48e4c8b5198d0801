#include "gradscape/landscape/noise_floor.hpp"

#include <cmath>
#include <limits>

#include "gradscape/core/vector_math.hpp"

namespace gradscape {
namespace {

double quotient(double error, double reference) {
  if (error == 0) return 0;
  const double value = error / reference;
  return std::isfinite(value) ? value : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

template <class S>
RelativeErrors compare_with_double(TrainingProcess<S>& process, const StepView<S>& step) {
  const Matrix<S> logits = process.network().logits();
  process.network().release();

  RelativeErrors errors;
  Vector<double> reference;
  const ImageSet& images = process.dataset().train;
  {
    const auto network = make_network<double>(process.model(), images.shape, images.classes, Engine::direct);
    const auto [batch, theta, buffers] = in_double(step);
    const double loss = network->evaluate(theta, buffers, batch, step.pass, {.grad = &reference}).loss;
    errors.loss = quotient(std::abs(step.record.loss - loss), std::abs(loss));
    const Vector<double> found = logits.template cast<double>().template reshaped<Eigen::RowMajor>();
    const Vector<double> expected = network->logits().template reshaped<Eigen::RowMajor>();
    errors.logits = quotient(distance(found, expected), norm(expected));
  }
  const Vector<double> found = step.grad.template cast<double>();
  errors.gradient = quotient(distance(found, reference), norm(reference));
  for (const Part& part : process.network().parameters().parts()) {
    const Vector<double> mine = found.segment(part.offset, part.size);
    const Vector<double> exact = reference.segment(part.offset, part.size);
    errors.tensors.push_back(quotient(distance(mine, exact), norm(exact)));
  }
  return errors;
}

template RelativeErrors compare_with_double<float>(TrainingProcess<float>&, const StepView<float>&);
template RelativeErrors compare_with_double<double>(TrainingProcess<double>&, const StepView<double>&);

}  // namespace gradscape
