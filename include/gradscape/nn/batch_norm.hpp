#pragma once

#include <vector>

#include "gradscape/nn/layer.hpp"

namespace gradscape {

struct BatchNormOptions {
  double eps = 1e-5;      // added to the variance
  double momentum = 0.1;  // running ← (1 − momentum)·running + momentum·batch
  bool affine = true;     // learn γ (weight) and β (bias)
  bool track = true;      // keep running statistics; without them evaluation uses the batch's own
};

/// Batch normalisation per channel over all rows (Ioffe and Szegedy 2015), as torch.nn.BatchNorm2d; with H = W = 1 as
/// BatchNorm1d. y = γ·(x − mean)/√(var + eps) + β with the biased batch variance in train mode and the running values
/// in evaluation mode; running_var takes the unbiased variance. Statistics are summed in double. Error in train mode
/// when a channel has one value only, as in PyTorch.
template <class S>
class BatchNorm : public Layer<S> {
 public:
  /// Adds NAME.weight, NAME.bias to `parameters` and NAME.running_mean, NAME.running_var, NAME.num_batches_tracked to
  /// `buffers`.
  BatchNorm(Layout& parameters, Layout& buffers, const std::string& name, FeatureShape in,
            const BatchNormOptions& options);

  Index fewest_samples() const override { return this->in().pixels() > 1 ? 1 : 2; }
  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  void initialise_buffers(S* buffers) const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  bool uses_batch_statistics(const Pass& pass) const { return pass.mode == Mode::train || !options_.track; }
  void take_batch_statistics(const LayerInputs<S>& inputs, ConstRows<S> x);

  std::string name_;
  BatchNormOptions options_;
  Index weight_ = -1;
  Index bias_ = -1;
  Index running_mean_ = -1;
  Index running_var_ = -1;
  Index batches_tracked_ = -1;
  std::vector<double> mean_;     // used by the last forward, per channel
  std::vector<double> inv_std_;  // 1/√(var + eps), likewise
};

}  // namespace gradscape
