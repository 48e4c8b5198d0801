#pragma once

#include <vector>

#include "gradscape/nn/channel_norm.hpp"

namespace gradscape {

/// Batch normalisation per channel over all rows, as torch.nn.BatchNorm2d; with H = W = 1 as BatchNorm1d. Statistics
/// are summed in double. Error in train mode when a channel has one value only, as in PyTorch.
template <class S>
class BatchNorm : public Layer<S> {
 public:
  /// Names: see ChannelNorm.
  BatchNorm(Layout& parameters, Layout& buffers, const std::string& name, FeatureShape in,
            const BatchNormOptions& options);

  const BatchNormOptions& options() const { return norm_.options(); }

  std::string describe() const override;
  Index fewest_samples() const override { return this->in().pixels() > 1 ? 1 : 2; }
  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  void initialise_buffers(S* buffers) const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  ChannelNorm<S> norm_;
  std::vector<double> means_, sums_;  // scratch of a call
};

}  // namespace gradscape
