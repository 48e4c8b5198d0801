// The types every floor shares: scalars' containers, activation shapes.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace gradscape {

using Index = Eigen::Index;

/// A flat vector: the parameters theta, a gradient, the batch-norm buffers.
template <class S>
using Vector = Eigen::Matrix<S, Eigen::Dynamic, 1>;

/// An activation of N images is one row-major matrix [N·H·W, C] (docs/design.md, idea 2).
template <class S>
using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// Contiguous rows somewhere in a buffer. Views are passed by value; they own nothing.
template <class S>
using Rows = Eigen::Map<Matrix<S>>;
template <class S>
using ConstRows = Eigen::Map<const Matrix<S>>;

template <class S>
ConstRows<S> as_const(const Rows<S>& rows) {
  return {rows.data(), rows.rows(), rows.cols()};
}

/// What one sample looks like between two layers: H·W rows of C columns. A plain feature vector has H = W = 1.
struct FeatureShape {
  Index height = 1;
  Index width = 1;
  Index channels = 0;

  Index pixels() const { return height * width; }
  Index size() const { return height * width * channels; }
  bool operator==(const FeatureShape&) const = default;
};

/// What is put around an image: so many rows above and below, columns left and right.
struct Padding {
  Index top = 0;
  Index left = 0;
  Index bottom = 0;
  Index right = 0;

  constexpr Padding() = default;
  /// The same on every side.
  constexpr Padding(Index all) : top(all), left(all), bottom(all), right(all) {}
  constexpr Padding(Index t, Index l, Index b, Index r) : top(t), left(l), bottom(b), right(r) {}

  Index height() const { return top + bottom; }
  Index width() const { return left + right; }
  bool operator==(const Padding&) const = default;
};

}  // namespace gradscape
