// Batch norm's last pass over memory, left to whoever reads the value next.
#pragma once

#include "gradscape/kernel/lanes.hpp"

namespace gradscape {

/// Per channel y = (x − mean)·scale + shift, then max(y, 0) with `relu`: what is still to be done to a value x [rows,
/// C]. mean, scale, shift [C]; all null: nothing, x is the value.
template <class S>
struct DeferredNorm {
  const S* mean = nullptr;
  const S* scale = nullptr;
  const S* shift = nullptr;
  bool relu = false;

  explicit operator bool() const { return mean != nullptr; }

  /// Before ReLU: of `count` channels from c on.
  template <class Count>
  typename Lanes<S>::Vector normalise(typename Lanes<S>::Vector x, Index c, Count count) const {
    return (x - load_lanes(mean + c, count)) * load_lanes(scale + c, count) + load_lanes(shift + c, count);
  }
  /// Likewise; NaN stays NaN.
  template <class Count>
  typename Lanes<S>::Vector operator()(typename Lanes<S>::Vector x, Index c, Count count) const {
    const auto y = normalise(x, c, count);
    const auto zero = Lanes<S>::fill(S{0});
    return relu ? (y <= zero ? zero : y) : y;
  }
  /// x, y [rows, channels]
  void apply(const S* x, Index rows, Index channels, S* y) const {
    for (Index row = 0; row < rows; ++row, x += channels, y += channels)
      for_lanes<S>(0, channels, [&](Index c, auto count) {
        store_lanes(y + c, (*this)(load_lanes(x + c, count), c, count), count);
      });
  }
};

/// A value as another layer takes it: rows [N·H·W, C], and what is still to be done to them.
template <class S>
struct Taken {
  ConstRows<S> rows;
  DeferredNorm<S> norm = {};
};

}  // namespace gradscape
