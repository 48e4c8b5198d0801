// Layers that only move values between positions: pooling and flattening.
#pragma once

#include <cstdint>
#include <vector>

#include "gradscape/nn/layer.hpp"

namespace gradscape {

/// Maximum over windows kernel × kernel (torch.nn.MaxPool2d without padding): x [N·H·W, C] → y [N·H'·W', C],
/// H' = (H − kernel)/stride + 1 rounded down. Among equals the first in row order wins; a NaN wins over numbers.
template <class S>
class MaxPool : public Layer<S> {
 public:
  /// The window must fit into the image.
  MaxPool(FeatureShape in, Index kernel, Index stride);

  std::string describe() const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  Index kernel_;
  Index stride_;
  std::vector<std::uint8_t> winner_;  // position in the window, per output value
};

/// Mean over windows, otherwise as MaxPool (torch.nn.AvgPool2d without padding).
template <class S>
class AveragePool : public Layer<S> {
 public:
  AveragePool(FeatureShape in, Index kernel, Index stride);

  std::string describe() const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  Index kernel_;
  Index stride_;
};

/// [N·H·W, C] → [N, C·H·W] in PyTorch's order (channel, row, column). Nothing to do where H = W = 1.
template <class S>
class Flatten : public Layer<S> {
 public:
  explicit Flatten(FeatureShape in) : Layer<S>(in, {1, 1, in.size()}) {}

  std::string describe() const override { return "flatten"; }
  bool in_place() const override { return this->in().pixels() == 1; }
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;
};

}  // namespace gradscape
