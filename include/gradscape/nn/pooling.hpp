// Layers that only move values between positions: pooling, padding, flattening.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/model_graph.hpp"

namespace gradscape {

/// Maximum over windows (PoolOp; torch.nn.MaxPool2d): x [N·H·W, C] → y [N·H'·W', C]. Among equals the first in row
/// order wins; a NaN wins over numbers.
template <class S>
class MaxPool : public Layer<S> {
 public:
  /// The window must fit into the padded image.
  MaxPool(FeatureShape in, const PoolOp& op);

  std::string describe() const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  PoolOp op_;
  std::vector<std::uint8_t> winner_;  // position in the window, per output value
};

/// Mean over windows, otherwise as MaxPool (torch.nn.AvgPool2d).
template <class S>
class AveragePool : public Layer<S> {
 public:
  AveragePool(FeatureShape in, const PoolOp& op);

  std::string describe() const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  PoolOp op_;
};

/// Mean or maximum over all pixels: [N·H·W, C] → [N, C] (torch.nn.AdaptiveAvgPool2d(1), AdaptiveMaxPool2d(1)).
template <class S>
class GlobalPool : public Layer<S> {
 public:
  GlobalPool(FeatureShape in, PoolKind kind) : Layer<S>(in, {1, 1, in.channels}), kind_(kind) {}

  std::string describe() const override { return kind_ == PoolKind::max ? "global max pool" : "global average pool"; }
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  PoolKind kind_;
  std::vector<Index> winner_;  // pixel, per output value
};

/// Where the pixels of an image go: every stride-th one to (y + top, x + left), its channels behind `before` others.
struct Placement {
  FeatureShape in;
  FeatureShape out;
  Index stride = 1;
  Index top = 0;
  Index left = 0;
  Index before = 0;

  template <class Visit>
  void for_pixels(Visit&& visit) const;
};

/// Pixels at other places, zeros elsewhere: PadOp and ShortcutOp.
template <class S>
class Place : public Layer<S> {
 public:
  Place(const Placement& placement, std::string name)
      : Layer<S>(placement.in, placement.out), placement_(placement), name_(std::move(name)) {}

  std::string describe() const override { return name_; }
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  Placement placement_;
  std::string name_;
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
