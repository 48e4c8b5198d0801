// Where a layer's tensors lie: their names, shapes and roles, for the layers and for the graph that lists them.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gradscape/nn/layout.hpp"

namespace gradscape {

/// The weight and bias of a convolution [Cout, Cin, Kh, Kw] or dense layer [out, in], as offsets in theta.
struct LinearTensors {
  Index weight = -1;
  Index bias = -1;  // none

  LinearTensors(Layout& parameters, const std::string& layer, std::vector<Index> shape, bool has_bias) {
    const Index outputs = shape.front();
    weight = parameters.add(layer, "weight", std::move(shape), Role::weight);
    if (has_bias) bias = parameters.add(layer, "bias", {outputs}, Role::bias);
  }
};

/// Where a norm's γ (LAYER.weight, initially 1) and β (LAYER.bias, initially 0) lie in theta; nowhere without them.
struct ChannelAffine {
  Index weight = -1;
  Index bias = -1;
  Index channels = 0;

  ChannelAffine(Layout& parameters, const std::string& layer, Index count, bool learned) : channels(count) {
    if (!learned) return;
    weight = parameters.add(layer, "weight", {count}, Role::scale);
    bias = parameters.add(layer, "bias", {count}, Role::shift);
  }

  bool learned() const { return weight >= 0; }

  template <class S>
  void initialise(S* theta) const {
    if (!learned()) return;
    std::fill_n(theta + weight, channels, S{1});
    std::fill_n(theta + bias, channels, S{0});
  }

  /// γ and β of a channel.
  template <class Theta>
  double gamma(const Theta& theta, Index channel) const {
    return learned() ? static_cast<double>(theta[weight + channel]) : 1.0;
  }
  template <class Theta>
  double beta(const Theta& theta, Index channel) const {
    return learned() ? static_cast<double>(theta[bias + channel]) : 0.0;
  }
};

/// What a norm's running spread is called: the variance (batch norm), or s of LpNorm.
inline constexpr const char* kRunningVariance = "running_var";
inline constexpr const char* kRunningScale = "running_scale";

/// Where a norm's running mean (initially 0), running size of its values' spread (initially 1) and the number of
/// batches that went into them lie in the buffers; nowhere where they are not tracked.
struct RunningTensors {
  Index mean = -1;
  Index spread = -1;
  Index batches = -1;
  Index channels = 0;

  RunningTensors(Layout& buffers, const std::string& layer, const std::string& spread_name, Index count, bool tracked)
      : channels(count) {
    if (!tracked) return;
    mean = buffers.add(layer, "running_mean", {count}, Role::statistic);
    spread = buffers.add(layer, spread_name, {count}, Role::statistic);
    batches = buffers.add(layer, "num_batches_tracked", {}, Role::statistic, true);
  }

  bool tracked() const { return mean >= 0; }

  template <class S>
  void initialise(S* buffers) const {
    if (!tracked()) return;
    std::fill_n(buffers + mean, channels, S{0});
    std::fill_n(buffers + spread, channels, S{1});
    buffers[batches] = S{0};
  }
};

}  // namespace gradscape
