#pragma once

#include "gradscape/landscape/step_survey.hpp"

namespace gradscape {

/// The table of a run's shift over these layers, without rows.
Table shift_schema(const Dimension& layer = layer_dimension());

/// Internal covariate shift (Santurkar et al. 2018, definition 2.1) of each layer i at step t: G is the gradient of the
/// layer's parameters at theta_t, G' the same where the layers before i are already at t + 1, on the same batch. Makes
/// grad_norm = ‖G‖₂, shift_norm = ‖G − G'‖₂ and shift_cos = ⟨G, G'⟩/(‖G‖‖G'‖) over (step, layer). A layer is a weight
/// with its bias and the γ, β of the norm behind it. One evaluation of the network for each layer.
template <class S>
class ShiftAnalysis : public StepSurvey<S> {
 public:
  /// `layers`: names of blocks; empty: all. `process` must outlive this object; its network's scratch is used.
  ShiftAnalysis(TrainingProcess<S>& process, const std::vector<std::string>& layers);

  Table begin() const override;
  void add(const StepView<S>& step, Table& table) override;

 private:
  TrainingProcess<S>& process_;
  std::vector<std::size_t> chosen_;
  Vector<S> theta_, grad_;
};

}  // namespace gradscape
