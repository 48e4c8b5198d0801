// Runs one layer forward and backward outside of a network, keeping its rules on memory (nn/layer.hpp).
#pragma once

#include <limits>

#include "gradscape/core/scratch.hpp"
#include "gradscape/nn/layer.hpp"

namespace gradscape::testing {

template <class S>
struct LayerRun {
  Matrix<S> y;
  Matrix<S> dx;
  Vector<S> grad;  // ∂⟨dy, y⟩/∂theta
  Vector<S> new_buffers;
};

/// x [N·H·W, C] of layer.in(), dy likewise of layer.out(). An in-place layer gets one memory for x and y, and for dy
/// and dx. What a call must write itself, and the workspace before each, is NaN.
template <class S>
LayerRun<S> run_layer(Layer<S>& layer, const Pass& pass, const Vector<S>& theta, const Vector<S>& buffers, Matrix<S> x,
                      Matrix<S> dy) {
  LayerRun<S> run;
  run.new_buffers = buffers;
  constexpr S kNan = std::numeric_limits<S>::quiet_NaN();
  run.grad = Vector<S>::Constant(theta.size(), kNan);
  const Index samples = x.rows() / layer.in().pixels();
  Scratch<S> workspace;
  const Index workspace_size = layer.plan(samples);
  std::fill_n(workspace.at_least(workspace_size), workspace_size, kNan);
  const LayerInputs<S> inputs{pass, theta, buffers.data(), run.new_buffers.data(), workspace.data()};
  const auto rows = [](Matrix<S>& m) { return Rows<S>(m.data(), m.rows(), m.cols()); };
  run.y = Matrix<S>::Constant(samples * layer.out().pixels(), layer.out().channels, kNan);
  run.dx = Matrix<S>::Constant(x.rows(), x.cols(), kNan);
  if (layer.in_place()) {
    layer.forward(inputs, as_const(rows(x)), Rows<S>(x.data(), run.y.rows(), run.y.cols()));
    run.y = Eigen::Map<const Matrix<S>>(x.data(), run.y.rows(), run.y.cols());
    layer.backward(inputs, as_const(rows(x)), rows(dy), Rows<S>(dy.data(), x.rows(), x.cols()), run.grad.data());
    run.dx = Eigen::Map<const Matrix<S>>(dy.data(), x.rows(), x.cols());
  } else {
    layer.forward(inputs, as_const(rows(x)), rows(run.y));
    std::fill_n(workspace.data(), workspace_size, kNan);
    layer.backward(inputs, as_const(rows(x)), rows(dy), rows(run.dx), run.grad.data());
  }
  return run;
}

}  // namespace gradscape::testing
