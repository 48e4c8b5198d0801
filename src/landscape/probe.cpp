#include "gradscape/landscape/probe.hpp"

#include <cmath>
#include <limits>

#include "gradscape/core/extremes.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/vector_math.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

template <class S>
std::vector<Cell> probe(std::span<Prober<S>> probers, const Vector<S>& theta, const Vector<S>& grad, const Ray<S>& ray,
                        const std::vector<double>& multipliers, const ProbeOptions& options) {
  const double grad_norm = norm(grad);
  const double ray_norm = std::abs(ray.unit) * norm(ray.vector);
  std::vector<Cell> cells(multipliers.size());
  std::vector<double> layer_norms;
  for (const LayerRange& layer : options.layers)
    layer_norms.push_back(std::abs(ray.unit) * norm(ray.vector, layer.begin, layer.end));
  const auto work_out = [&](Prober<S>& prober, std::size_t i) {
    prober.objective->choose_draw(options.fresh_draws ? static_cast<std::uint32_t>(i + 1) : 0);
    const Evaluation value = prober.objective->evaluate({theta, multipliers[i] * ray.unit, ray.vector}, &prober.grad);
    Cell& cell = cells[i];
    cell.loss = value.loss;
    cell.accuracy = value.accuracy;
    const Comparison with_grad = compare(prober.grad, grad);
    cell.grad_norm = with_grad.norm;
    cell.grad_diff = with_grad.distance;
    cell.grad_cos = with_grad.dot / (cell.grad_norm * grad_norm);
    cell.distance = std::abs(multipliers[i]) * ray_norm;
    cell.beta = cell.grad_diff / cell.distance;
    const bool finite = std::isfinite(cell.loss) && std::isfinite(cell.grad_norm) && std::isfinite(cell.grad_diff);
    cell.status = finite ? CellStatus::ok : CellStatus::non_finite;
    for (std::size_t layer = 0; layer < options.layers.size(); ++layer) {
      const auto [begin, end] = options.layers[layer];
      cell.layer_grad_diff.push_back(distance(prober.grad, grad, begin, end));
      cell.layer_beta.push_back(cell.layer_grad_diff.back() / (std::abs(multipliers[i]) * layer_norms[layer]));
    }
  };
  parallel::for_each(static_cast<Index>(probers.size()), [&](Index number) {
    const auto first = static_cast<std::size_t>(number);
    for (std::size_t i = first; i < cells.size(); i += probers.size()) work_out(probers[first], i);
  });
  return cells;
}

void mark_noise(std::vector<Cell>& cells, double grad_norm, double noise_floor) {
  for (Cell& cell : cells)
    if (cell.status == CellStatus::ok && cell.grad_diff / grad_norm < kNoiseMargin * noise_floor)
      cell.status = CellStatus::below_noise;
}

Bands make_bands(const std::vector<Cell>& cells, const std::vector<double>& multipliers, double grad_norm) {
  Extremes loss, norm, grad_diff, beta;
  if (grad_norm != 0)
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const Cell& cell = cells[i];
      if (cell.status == CellStatus::not_done || cell.status == CellStatus::below_noise || multipliers[i] < 0) continue;
      loss.add(cell.loss);
      norm.add(cell.grad_norm);
      grad_diff.add(cell.grad_diff);
      beta.add(cell.beta);
    }
  return {loss.min, loss.max, norm.min, norm.max, grad_diff.min, grad_diff.max, beta.max};
}

template std::vector<Cell> probe<float>(std::span<Prober<float>>, const Vector<float>&, const Vector<float>&,
                                        const Ray<float>&, const std::vector<double>&, const ProbeOptions&);
template std::vector<Cell> probe<double>(std::span<Prober<double>>, const Vector<double>&, const Vector<double>&,
                                         const Ray<double>&, const std::vector<double>&, const ProbeOptions&);

}  // namespace gradscape
