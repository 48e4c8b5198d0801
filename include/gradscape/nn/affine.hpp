#pragma once

#include <algorithm>
#include <string>

#include "gradscape/nn/layout.hpp"

namespace gradscape {

/// Where a norm's γ (NAME.weight, initially 1) and β (NAME.bias, initially 0) lie in theta; nowhere without them.
struct ChannelAffine {
  Index weight = -1;
  Index bias = -1;
  Index channels = 0;

  ChannelAffine(Layout& parameters, const std::string& name, Index count, bool learned) : channels(count) {
    if (!learned) return;
    weight = parameters.add(name + ".weight", {count});
    bias = parameters.add(name + ".bias", {count});
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

}  // namespace gradscape
