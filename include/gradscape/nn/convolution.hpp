#pragma once

#include "gradscape/nn/layer.hpp"

namespace gradscape {

struct ConvolutionOptions {
  Index channels = 0;  // of the output
  Index kernel_height = 3;
  Index kernel_width = 3;
  Index stride = 1;
  Index padding = 0;  // zeros on every side
  bool bias = true;
};

/// Cross-correlation as torch.nn.Conv2d: weight [Cout, Cin, Kh, Kw], zero padding, no dilation or groups.
/// x [N·H·W, Cin] → y [N·H'·W', Cout] with H' = (H + 2·padding − Kh) / stride + 1, rounded down.
///
/// Direct method: the patches under the kernel are gathered as rows [N·H'·W', Kh·Kw·Cin] (im2col), a fixed number of
/// samples at a time, and multiplied with the weights; the backward passes are the two adjoint products.
template <class S>
class Convolution : public Layer<S> {
 public:
  /// Adds NAME.weight and NAME.bias to `parameters`; `ordinal`: see initialise_linear. The kernel must fit into the
  /// padded image.
  Convolution(Layout& parameters, const std::string& name, FeatureShape in, const ConvolutionOptions& options,
              std::uint32_t ordinal);

  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  Index patch_size() const { return options_.kernel_height * options_.kernel_width * this->in().channels; }
  Index chunk_samples(Index samples) const;
  void weight_gradient(ConstRows<S> x, ConstRows<S> dy, S* grad);

  /// Calls visit(row, column, count, source) for every run of `count` patch columns from `column` on that lies inside
  /// the image and within [first_column, last_column): `source` is its offset in x. Rows count from the first sample's
  /// first pixel.
  template <class Visit>
  void visit_patches(Index first_sample, Index last_sample, Index first_column, Index last_column, Visit&& visit) const;

  /// Patches of the samples as rows [·, last_column − first_column], zero outside of the image.
  void gather(const S* x, Index first_sample, Index last_sample, Index first_column, Index last_column,
              S* patches) const;

  ConvolutionOptions options_;
  Index weight_;
  Index bias_;  // offset; -1: none
  std::uint32_t ordinal_;
  Vector<S> packed_;       // weight as [Cout, Kh, Kw, Cin], to match the gathered patches
  Vector<S> packed_grad_;  // its gradient, one copy per group of rows
};

}  // namespace gradscape
