#include "gradscape/nn/activation_noise.hpp"

#include <cmath>
#include <numbers>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"

namespace gradscape {
namespace {

/// In (0, 1), 32 bits.
double unit(std::uint32_t word) {
  return (static_cast<double>(word) + 0.5) * 0x1.0p-32;
}

}  // namespace

template <class S>
ActivationNoise<S>::ActivationNoise(FeatureShape in, const NoiseOptions& options, std::uint32_t ordinal)
    : Layer<S>(in, in), options_(options), ordinal_(ordinal), unit_mean_(in.channels), unit_scale_(in.channels) {
  check(ordinal < kMostNoiseLayers, "few enough layers with noise");
}

template <class S>
void ActivationNoise<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  // x, y, s of the elements [N·H·W, C]; μ, σ of the units [C]
  const Pass& pass = inputs.pass;
  if (!pass.draws()) {
    if (x.data() != y.data()) std::copy_n(x.data(), x.size(), y.data());
    return;
  }
  check(pass.draw < kMostNoiseLayers, "few enough draws");
  const std::uint32_t stream = pass.draw * kMostNoiseLayers + ordinal_;
  const RandomSource units(pass.seed, Purpose::noise_units, stream, pass.step);
  const RandomSource elements(pass.seed, Purpose::noise, stream, pass.step);
  const Index channels = x.cols();
  for (Index c = 0; c < channels; ++c) {
    const auto words = units.words(static_cast<std::uint64_t>(c));
    unit_mean_[c] = options_.mean * (2.0 * unit(words[0]) - 1.0);
    unit_scale_[c] = 1.0 + (options_.scale - 1.0) * unit(words[1]);
  }
  S* scales = scale_.at_least(x.size());
  const S* from = x.data();
  S* to = y.data();
  static_assert(parallel::kElementwiseChunk % 2 == 0);
  parallel::for_chunks(x.size(), parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    for (Index pair = first; pair < last; pair += 2) {
      // Four words make two normals (Box and Muller) and two uniforms.
      const auto words = elements.words(static_cast<std::uint64_t>(pair / 2));
      const double radius = options_.scale_spread * std::sqrt(-2.0 * std::log(unit(words[0])));
      const double angle = 2.0 * std::numbers::pi * unit(words[1]);
      const double normals[2] = {radius * std::cos(angle), radius * std::sin(angle)};
      for (Index i = pair; i < std::min(pair + 2, last); ++i) {
        const Index c = i % channels;
        const double shift = options_.mean_spread * (2.0 * unit(words[static_cast<std::size_t>(2 + i - pair)]) - 1.0);
        scales[i] = static_cast<S>(unit_scale_[c] + normals[i - pair]);
        to[i] = scales[i] * from[i] + static_cast<S>(unit_mean_[c] + shift);
      }
    }
  });
}

template <class S>
void ActivationNoise<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dy, dx, s of the elements [N·H·W, C]
  if (dx.data() == nullptr) return;
  const bool noisy = inputs.pass.draws();
  const S* scales = scale_.data();
  const S* from = dy.data();
  S* to = dx.data();
  parallel::for_chunks(x.size(), parallel::kElementwiseChunk, [=](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) to[i] = noisy ? scales[i] * from[i] : from[i];
  });
}

template class ActivationNoise<float>;
template class ActivationNoise<double>;

}  // namespace gradscape
