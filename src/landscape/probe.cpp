#include "gradscape/landscape/probe.hpp"

#include <cmath>
#include <limits>

#include "gradscape/core/vector_math.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Extremes that skip NaN; NaN until a number comes. (std::fmin and fmax skip NaN and keep infinities.)
struct Extremes {
  double min = kNan;
  double max = kNan;
  void add(double value) {
    min = std::fmin(min, value);
    max = std::fmax(max, value);
  }
};

}  // namespace

template <class S>
std::vector<Cell> probe(Objective<S>& objective, const Vector<S>& theta, const Vector<S>& grad, const Ray<S>& ray,
                        const std::vector<double>& multipliers, Vector<S>& grad_there) {
  const double grad_norm = norm(grad);
  const double ray_norm = std::abs(ray.unit) * norm(ray.vector);
  std::vector<Cell> cells;
  cells.reserve(multipliers.size());
  for (const double multiplier : multipliers) {
    const Evaluation value = objective.evaluate({theta, multiplier * ray.unit, ray.vector}, &grad_there);
    Cell cell;
    cell.loss = value.loss;
    cell.accuracy = value.accuracy;
    const Comparison with_grad = compare(grad_there, grad);
    cell.grad_norm = with_grad.norm;
    cell.grad_diff = with_grad.distance;
    cell.grad_cos = with_grad.dot / (cell.grad_norm * grad_norm);
    cell.distance = multiplier * ray_norm;
    cell.beta = cell.grad_diff / cell.distance;
    const bool finite = std::isfinite(cell.loss) && std::isfinite(cell.grad_norm) && std::isfinite(cell.grad_diff);
    cell.status = finite ? CellStatus::ok : CellStatus::non_finite;
    cells.push_back(cell);
  }
  return cells;
}

void mark_noise(std::vector<Cell>& cells, double grad_norm, double noise_floor) {
  for (Cell& cell : cells)
    if (cell.status == CellStatus::ok && cell.grad_diff / grad_norm < kNoiseMargin * noise_floor)
      cell.status = CellStatus::below_noise;
}

Bands make_bands(const std::vector<Cell>& cells, double grad_norm) {
  Extremes loss, grad_diff, beta;
  if (grad_norm != 0)
    for (const Cell& cell : cells) {
      if (cell.status == CellStatus::not_done || cell.status == CellStatus::below_noise) continue;
      loss.add(cell.loss);
      grad_diff.add(cell.grad_diff);
      beta.add(cell.beta);
    }
  return {loss.min, loss.max, grad_diff.min, grad_diff.max, beta.max};
}

template std::vector<Cell> probe<float>(Objective<float>&, const Vector<float>&, const Vector<float>&,
                                        const Ray<float>&, const std::vector<double>&, Vector<float>&);
template std::vector<Cell> probe<double>(Objective<double>&, const Vector<double>&, const Vector<double>&,
                                         const Ray<double>&, const std::vector<double>&, Vector<double>&);

}  // namespace gradscape
