// The probe of Santurkar et al. 2018 (section 3.1, figure 4): loss and gradient along a ray from theta.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gradscape/core/objective.hpp"

namespace gradscape {

/// State of one cell of a grid. Values are part of the file format.
/// below_noise: finite, but the gradient difference is no larger than rounding errors (docs/definitions.md).
enum class CellStatus : std::uint8_t { not_done = 0, ok = 1, non_finite = 2, below_noise = 3 };

/// One cell: what was found at theta(m). Definitions and units: docs/definitions.md.
struct Cell {
  double loss = 0;       // L(theta(m))
  double accuracy = 0;   // fraction of the batch
  double grad_norm = 0;  // ‖∇L(theta(m))‖₂                         loss / weight
  double grad_diff = 0;  // ‖∇L(theta(m)) − g‖₂                     loss / weight
  double grad_cos = 0;   // ⟨∇L(theta(m)), g⟩/(‖∇L(theta(m))‖·‖g‖)
  double distance = 0;   // ‖theta(m) − theta‖₂, as |m|·lr·‖g‖      weight
  double beta = 0;       // grad_diff / distance                    loss / weight²
  CellStatus status = CellStatus::not_done;
  std::vector<double> layer_grad_diff = {};  // of each layer's part of the gradient, where ProbeOptions::layers asks
  std::vector<double> layer_beta = {};       // that, divided by the layer's part of the distance
};

/// Elements [begin, end) of theta: a layer's parameters.
struct LayerRange {
  Index begin;
  Index end;
};

/// What a probe does beyond its definition.
struct ProbeOptions {
  std::vector<LayerRange> layers = {};  // empty: the whole alone
  bool fresh_draws = false;             // cell i sees draw i + 1 of the objective's random numbers
};

/// Extremes over one step's cells in front of theta (m > 0): cells that are not done or below the noise floor are left
/// out, NaN is skipped, infinities are kept. All NaN where nothing is left, or where ‖g‖ is 0.
struct Bands {
  double loss_min = 0;
  double loss_max = 0;
  double grad_norm_min = 0;
  double grad_norm_max = 0;
  double grad_diff_min = 0;
  double grad_diff_max = 0;
  double beta_max = 0;  // effective beta-smoothness
};

/// Cells at theta(m) = theta + m·unit·vector for each multiplier m.
/// Gradient direction: vector = g, unit = −lr; −1 where m are step sizes. Optimiser's update: vector = theta_{t+1} −
/// theta_t, unit = 1. Random: vector = a Gaussian of g's norm, unit as for g.
template <class S>
struct Ray {
  const Vector<S>& vector;
  double unit;
};

/// What evaluates cells: an objective, and memory for its gradient.
template <class S>
struct Prober {
  Objective<S>* objective = nullptr;
  Vector<S> grad;
};

/// Evaluates an objective along `ray` from theta, where its gradient is `grad`. Pure except for the probers' memory.
/// Norms and dot products are summed in double. Several probers hold the same function each, and take cells at once,
/// each on a thread of its own: the cells have the same bits.
template <class S>
std::vector<Cell> probe(std::span<Prober<S>> probers, const Vector<S>& theta, const Vector<S>& grad, const Ray<S>& ray,
                        const std::vector<double>& multipliers, const ProbeOptions& options = {});
template <class S>
std::vector<Cell> probe(Objective<S>& objective, const Vector<S>& theta, const Vector<S>& grad, const Ray<S>& ray,
                        const std::vector<double>& multipliers, const ProbeOptions& options = {}) {
  Prober<S> prober{&objective, {}};
  return probe<S>(std::span(&prober, 1), theta, grad, ray, multipliers, options);
}

/// A relative gradient difference is significant from this many noise floors on.
inline constexpr double kNoiseMargin = 10;

/// Marks the cells that are ok and have grad_diff/‖g‖ < kNoiseMargin·noise_floor as below_noise; none where the floor
/// is NaN. `grad_norm` is ‖g‖.
void mark_noise(std::vector<Cell>& cells, double grad_norm, double noise_floor);

/// Bands of one step's cells at `multipliers`; `grad_norm` is ‖g‖.
Bands make_bands(const std::vector<Cell>& cells, const std::vector<double>& multipliers, double grad_norm);

}  // namespace gradscape
