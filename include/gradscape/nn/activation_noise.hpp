#pragma once

#include "gradscape/core/scratch.hpp"
#include "gradscape/nn/layer.hpp"

namespace gradscape {

/// Layers with noise in a network, at most; and as many draws: together the streams of a purpose.
inline constexpr std::uint32_t kMostNoiseLayers = 4096;

/// Constants of the paper's algorithm 1.
struct NoiseOptions {
  double mean = 0.5;          // μ_j ~ U(−mean, mean)
  double scale = 1.25;        // σ_j ~ U(1, scale)
  double mean_spread = 0.1;   // m_ij ~ U(μ_j − mean_spread, μ_j + mean_spread)
  double scale_spread = 0.1;  // s_ij ~ N(σ_j, scale_spread²)
  bool operator==(const NoiseOptions&) const = default;
};

/// Noise that shifts the distributions of activations (Santurkar et al. 2018, algorithm 1): in train mode
/// y_ij = s_ij·x_ij + m_ij, with new μ_j, σ_j per unit (channel) j and new m_ij, s_ij per element in every step; the
/// identity in evaluation mode. Every number is a function of (pass.seed, pass.step, pass.draw, ordinal, element).
template <class S>
class ActivationNoise : public Layer<S> {
 public:
  /// `ordinal` < kMostNoiseLayers tells the network's noise layers apart.
  ActivationNoise(FeatureShape in, const NoiseOptions& options, std::uint32_t ordinal);

  std::string describe() const override { return "noise"; }
  bool in_place() const override { return true; }
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  NoiseOptions options_;
  std::uint32_t ordinal_;
  Vector<double> unit_mean_, unit_scale_;
  Scratch<S> scale_;  // s of the last forward
};

}  // namespace gradscape
