// Inputs and weights of the parity tests: an integer hash, the twin of `values` in tests/parity/make_parity.py. Every
// value is a multiple of 2^-19 in [-1, 1), so it is the same number in float, double, C++ and Python.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "gradscape/nn/layout.hpp"

namespace gradscape::testing {

/// murmur3's finaliser.
inline std::uint32_t hash32(Index i, std::uint32_t seed) {
  std::uint32_t x = static_cast<std::uint32_t>(i) * 2654435761u + seed * 2246822519u;
  x ^= x >> 16;
  x *= 0x85EBCA6Bu;
  x ^= x >> 13;
  x *= 0xC2B2AE35u;
  return x ^ (x >> 16);
}

inline double hash_value(Index i, std::uint32_t seed) {
  return (hash32(i, seed) >> 12) * 0x1.0p-19 - 1.0;
}

/// shift + scale · hash_value(0 …); exact as long as the caller keeps to short scales.
template <class S>
Vector<S> hash_values(Index count, std::uint32_t seed, double scale = 1, double shift = 0) {
  Vector<S> out(count);
  for (Index i = 0; i < count; ++i) out[i] = static_cast<S>(hash_value(i, seed) * scale + shift);
  return out;
}

inline std::vector<int> hash_labels(Index count, std::uint32_t seed, int classes) {
  std::vector<int> out(static_cast<std::size_t>(count));
  for (Index i = 0; i < count; ++i)
    out[static_cast<std::size_t>(i)] = static_cast<int>((hash32(i, seed) >> 12) % static_cast<std::uint32_t>(classes));
  return out;
}

/// `fill` of make_parity.py: weights between Glorot's and He's size with a power of two as factor; batch norm's
/// weights in 1 ± 1/4, biases in ± 1/8. Part number p takes seed 100 + p.
template <class S>
Vector<S> hash_parameters(const Layout& layout) {
  Vector<S> theta(layout.size());
  std::uint32_t seed = 100;
  for (const Part& part : layout.parts()) {
    const bool weight = part.name.ends_with("weight");
    double scale = weight ? 0.25 : 0.125;
    double shift = weight ? 1 : 0;
    if (part.shape.size() > 1) {
      const auto fan_in = static_cast<double>(part.size / part.shape[0]);
      scale = std::exp2(std::round(0.5 * std::log2(4.0 / fan_in)));
      shift = 0;
    }
    theta.segment(part.offset, part.size) = hash_values<S>(part.size, seed++, scale, shift);
  }
  return theta;
}

/// A tensor in PyTorch's order [N, C, H, W] as rows [N·H·W, C], and back.
template <class S>
Matrix<S> rows_from_nchw(const Vector<S>& values, Index samples, FeatureShape shape) {
  Matrix<S> rows(samples * shape.pixels(), shape.channels);
  for (Index n = 0; n < samples; ++n)
    for (Index c = 0; c < shape.channels; ++c)
      for (Index pixel = 0; pixel < shape.pixels(); ++pixel)
        rows(n * shape.pixels() + pixel, c) = values[(n * shape.channels + c) * shape.pixels() + pixel];
  return rows;
}

template <class S>
Vector<S> nchw_from_rows(const Matrix<S>& rows, FeatureShape shape) {
  const Index samples = rows.rows() / shape.pixels();
  Vector<S> values(rows.size());
  for (Index n = 0; n < samples; ++n)
    for (Index c = 0; c < shape.channels; ++c)
      for (Index pixel = 0; pixel < shape.pixels(); ++pixel)
        values[(n * shape.channels + c) * shape.pixels() + pixel] = rows(n * shape.pixels() + pixel, c);
  return values;
}

}  // namespace gradscape::testing
