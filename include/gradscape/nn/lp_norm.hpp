#pragma once

#include <vector>

#include "gradscape/nn/channel_norm.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {

/// Which norm of a channel's values is divided by.
enum class LpKind { l1, l2, linf };

/// The ℓp normalisations of Santurkar et al. 2018 (section 3.3): per channel j over the M = N·H·W rows i of a batch
///
///     y = γ·(x − mean)/(s + eps) + β,   s_j = (Σ_i |x_ij|^p / M)^{1/p},   for p = ∞ s_j = max_i |x_ij| ,
///
/// the mean subtracted as batch norm does, s of the values before that. The gradient flows through mean and s; that of
/// the maximum goes to its first row. Running mean and running s (blended as batch norm's, without correction) serve
/// evaluation mode. Statistics are summed in double.
template <class S>
class LpNorm : public Layer<S> {
 public:
  /// Adds NAME.weight, NAME.bias to `parameters` and NAME.running_mean, NAME.running_scale, NAME.num_batches_tracked to
  /// `buffers`.
  LpNorm(Layout& parameters, Layout& buffers, const std::string& name, FeatureShape in, LpKind kind,
         const BatchNormOptions& options);

  std::string describe() const override;
  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  void initialise_buffers(S* buffers) const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  bool uses_batch(const Pass& pass) const { return pass.mode == Mode::train || !options_.track; }
  void take_batch(const LayerInputs<S>& inputs, ConstRows<S> x);
  void find_maxima(ConstRows<S> x);
  void spread(ConstRows<S> x, ConstRows<S> dy, Rows<S> dx, double rows) const;

  LpKind kind_;
  BatchNormOptions options_;
  ChannelAffine affine_;
  RunningTensors running_;
  std::vector<double> mean_, size_;   // of the last forward: mean and s
  std::vector<Index> first_maximum_;  // linf: the row that s comes from
  std::vector<double> sums_, maxima_;
  std::vector<Index> maximum_rows_;
  Vector<S> gamma_, beta_;  // of the last forward; γ/(s + eps)
};

}  // namespace gradscape
