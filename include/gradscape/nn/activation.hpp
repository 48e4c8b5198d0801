// Elementwise layers.
#pragma once

#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/model_graph.hpp"

namespace gradscape {

/// y = max(x, 0); the derivative at 0 is 0, NaN stays NaN (torch.nn.ReLU).
template <class S>
class Relu : public Layer<S> {
 public:
  explicit Relu(FeatureShape in) : Layer<S>(in, in) {}

  std::string describe() const override { return "relu"; }
  bool in_place() const override { return true; }
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;
};

/// The other activations, with PyTorch's derivatives where a function has a kink; worked out in double. NaN stays NaN.
template <class S>
class Activation : public Layer<S> {
 public:
  Activation(FeatureShape in, const ActivationOp& op) : Layer<S>(in, in), op_(op) {}

  std::string describe() const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  ActivationOp op_;
};

/// In train mode y = x·mask/(1 − rate), mask 0 with probability `rate` (torch.nn.Dropout); the identity in evaluation
/// mode. The mask of element i of the batch's activation is a function of (pass.seed, pass.step, ordinal, i).
template <class S>
class Dropout : public Layer<S> {
 public:
  /// 0 <= rate < 1; `ordinal` tells the network's dropout layers apart.
  Dropout(FeatureShape in, double rate, std::uint32_t ordinal) : Layer<S>(in, in), rate_(rate), ordinal_(ordinal) {}

  std::string describe() const override;
  bool in_place() const override { return true; }
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  void apply_mask(const Pass& pass, const S* from, S* to, Index size) const;

  double rate_;
  std::uint32_t ordinal_;
};

}  // namespace gradscape
