#pragma once

#include <vector>

#include "gradscape/core/scratch.hpp"
#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {

struct GroupNormOptions {
  Index groups = 1;  // 1: layer norm
  double eps = 1e-5;
  bool affine = true;
};

/// Group normalisation (Wu and He 2018) as torch.nn.GroupNorm: each sample's channels, in `groups` groups of
/// neighbours, are normalised over channels and pixels of the group, y = γ·(x − mean)/√(var + eps) + β with γ, β per
/// channel. With one group it is layer norm (Ba et al. 2016; torch.nn.LayerNorm where H = W = 1). The batch plays no
/// part, so that evaluation is the same as training. Sums in double.
template <class S>
class GroupNorm : public Layer<S> {
 public:
  /// Adds NAME.weight and NAME.bias to `parameters`. The groups must divide the channels.
  GroupNorm(Layout& parameters, const std::string& name, FeatureShape in, const GroupNormOptions& options);

  std::string describe() const override;
  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  GroupNormOptions options_;
  ChannelAffine affine_;
  Scratch<double> mean_, inv_std_;  // of the last forward [N, groups]
  std::vector<double> sums_;
};

}  // namespace gradscape
