#pragma once

#include <memory>

#include "gradscape/landscape/step_survey.hpp"

namespace gradscape {

/// Both sides of theorem 4.1 of Santurkar et al. 2018 for one unit j over the m rows of its batch, with y the norm's
/// input, ŷ = (y − mean)/σ, σ² = var + eps, z its output, and g = ∂L/∂z:
///
///     ‖∂L/∂y‖² ≤ γ²/σ²·(‖g‖² − ⟨1, g⟩²/m − ⟨g, ŷ⟩²/m) .
///
/// At eps = 0 the two are equal; else they differ by γ²/σ²·⟨g, ŷ⟩²/m·eps/σ².
struct TheoremSides {
  double lhs = 0;
  double rhs = 0;
  double factor = 0;  // γ²/σ²
  double removed = 0;  // (⟨1, g⟩² + ⟨g, ŷ⟩²)/(m·‖g‖²): the share of ‖g‖² that the projections remove
  double gap = 0;      // rhs − lhs
  double gap_expected = 0;  // by the term of eps
};

/// The table of theorem 4.1 over these layers, without rows; `unit_layers` is each unit's index among these layers.
Table theorem_schema(const Dimension& layer = layer_dimension(), const std::vector<double>& unit_layers = {});

/// Error unless the gap is the difference of the two sides, bit for bit.
void check_theorem(const Table& table, const std::string& where);

/// Theorem 4.1 per unit of each batch norm that a convolution or dense layer has directly behind it, over training, in
/// double with the direct engine, at the run's weights, batch and pass. Variables over (step, unit); `unit_layer` is
/// the index of the unit's layer in the dimension `layer`.
template <class S>
class TheoremAnalysis : public StepSurvey<S> {
 public:
  /// `layers`: names of blocks, of which those without a batch norm are left out; empty: all. UsageError where
  /// none is left.
  TheoremAnalysis(TrainingProcess<S>& process, const std::vector<std::string>& layers);

  Table begin() const override;
  void add(const StepView<S>& step, Table& table) override;
  std::string remark() const override;

  /// The largest |gap − gap_expected| of all units so far, as a share of γ²/σ²·‖g‖².
  double worst() const { return worst_; }

 private:
  const LayerBlock& block(std::size_t i) const { return network_->blocks()[chosen_[i]]; }

  std::unique_ptr<Network<double>> network_;  // every module a layer of its own
  std::vector<std::size_t> chosen_;           // blocks
  double worst_ = 0;
};

/// The sides of one unit: column `unit` of the norm's input y, ∂L/∂z and ∂L/∂y.
TheoremSides theorem_sides(ConstRows<double> y, ConstRows<double> dz, ConstRows<double> dy, Index unit, double gamma,
                           double eps);

}  // namespace gradscape
