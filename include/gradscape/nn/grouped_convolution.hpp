#pragma once

#include <vector>

#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/model_graph.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {

/// Cross-correlation in groups of channels (ConvOp with groups > 1; torch.nn.Conv2d), depthwise among them: as defined,
/// without products of matrices, which groups of a few channels are too small for. x [N·H·W, Cin] → y [N·H'·W', Cout],
/// weight [Cout, Cin/groups, Kh, Kw]. Gradients of weights and bias are summed in double, over groups of samples in
/// order.
template <class S>
class GroupedConvolution : public Layer<S> {
 public:
  /// Adds NAME.weight and NAME.bias to `parameters`; `ordinal`: see initialise_linear.
  GroupedConvolution(Layout& parameters, const std::string& name, FeatureShape in, const ConvOp& op,
                     std::uint32_t ordinal);

  std::string describe() const override;
  double flops() const override { return 2.0 * static_cast<double>(taps() * inputs() * this->out().size()); }
  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  Index plan(Index samples) override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  Index taps() const { return op_.kernel_height * op_.kernel_width; }
  /// Input and output channels of a group.
  Index inputs() const { return this->in().channels / op_.groups; }
  Index outputs() const { return op_.channels / op_.groups; }

  /// The weight as [taps, Cin/groups, Cout], in the workspace.
  void arrange_weights(const LayerInputs<S>& inputs) const;
  /// visit(tap, offset of the pixel of x, offset of the pixel of y) for all that meet in a sample.
  template <class Visit>
  void for_taps(Visit&& visit) const;

  ConvOp op_;
  LinearTensors tensors_;
  std::uint32_t ordinal_;
  std::vector<double> partial_;  // of groups of samples: the weight's gradient [taps, Cin/groups, Cout], the bias's
};

}  // namespace gradscape
