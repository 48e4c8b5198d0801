#pragma once

#include <vector>

#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {

/// y = x·Wᵀ + b with W [out, in], as torch.nn.Linear. x [N, in], y [N, out].
template <class S>
class Dense : public Layer<S> {
 public:
  /// Adds NAME.weight and NAME.bias to `parameters`; `ordinal`: see initialise_linear.
  Dense(Layout& parameters, const std::string& name, Index in, Index out, bool bias, std::uint32_t ordinal);

  std::string describe() const override;
  double flops() const override { return 2.0 * static_cast<double>(this->in().channels * this->out().channels); }
  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  LinearTensors tensors_;
  std::uint32_t ordinal_;
  Scratch<S> weight_memory_, bias_memory_;
  std::vector<double> sums_;  // scratch of backward
};

}  // namespace gradscape
