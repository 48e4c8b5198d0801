// Hidden activations of VGG-A, which a Network does not show: its layers run one by one, so that the units that flip
// between float and double can be counted.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "gradscape/core/scratch.hpp"
#include "gradscape/nn/activation.hpp"
#include "gradscape/nn/batch_norm.hpp"
#include "gradscape/nn/convolution.hpp"
#include "gradscape/nn/dense.hpp"
#include "gradscape/nn/pooling.hpp"
#include "gradscape/nn/zoo.hpp"

namespace gradscape::testing {

template <class S>
struct VggActivations {
  std::vector<Matrix<S>> relu;           // output of every ReLU
  std::vector<FeatureShape> relu_shape;  // of one sample
  std::vector<bool> pooled;              // a 2×2 max-pool follows
  Matrix<S> logits;
};

/// Train-mode forward pass of make_network's vgg-a with ReLU, max-pool and norm "none" or "batch" (not norm_dense).
/// The caller shows that it is that network by comparing the logits' bits.
template <class S>
VggActivations<S> vgg_activations(const ModelOptions& options, FeatureShape input, Index classes,
                                  const Vector<S>& theta, const Matrix<S>& images, Index samples, Engine engine) {
  Layout parameters, buffers;
  VggActivations<S> result;
  const Pass pass;
  Matrix<S> x = images;
  FeatureShape shape = input;
  int number = 0;
  const auto next_name = [&] { return std::to_string(number++); };
  const auto run = [&](Layer<S>& layer) {
    shape = layer.out();
    Matrix<S> y(samples * shape.pixels(), shape.channels);
    // Running statistics are not wanted, and train mode reads none.
    Scratch<S> workspace;
    workspace.at_least(layer.plan(samples));
    layer.forward({pass, theta, nullptr, nullptr, workspace.data()}, ConstRows<S>(x.data(), x.rows(), x.cols()),
                  Rows<S>(y.data(), y.rows(), y.cols()));
    x = std::move(y);
  };
  const auto relu = [&](bool pooled) {
    Relu<S> layer(shape);
    run(layer);
    result.relu.push_back(x);
    result.relu_shape.push_back(shape);
    result.pooled.push_back(pooled);
  };
  const auto scaled = [&](double channels) { return static_cast<Index>(std::llround(channels * options.width)); };

  const std::vector<int> channels = {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0};  // 0: pooling
  for (std::size_t i = 0; i < channels.size(); ++i) {
    if (channels[i] == 0) {
      MaxPool<S> pool(shape, PoolOp{PoolKind::max, 2, 2});
      run(pool);
      continue;
    }
    ConvolutionOptions convolution;
    convolution.channels = scaled(channels[i]);
    convolution.padding = 1;
    Convolution<S> layer(parameters, buffers, next_name(), "", shape, convolution, 0, engine);
    run(layer);
    if (options.norm == "batch") {
      BatchNorm<S> norm(parameters, buffers, next_name(), shape, {});
      run(norm);
    }
    relu(channels[i + 1] == 0);
  }
  Flatten<S> flatten(shape);
  if (shape.pixels() > 1) run(flatten);
  for (int hidden = 0; hidden < 2; ++hidden) {
    Dense<S> layer(parameters, next_name(), shape.size(), scaled(512), true, 0);
    run(layer);
    relu(false);
  }
  Dense<S> last(parameters, next_name(), shape.size(), classes, true, 0);
  run(last);
  result.logits = std::move(x);
  return result;
}

struct Flips {
  Index signs = 0;    // ReLU units that are on in one precision and off in the other
  Index winners = 0;  // max-pool windows with another winner
  Index units = 0;
  Index windows = 0;
};

/// First of the largest of a 2×2 window, as MaxPool has it.
template <class S>
int winner(const Matrix<S>& x, FeatureShape shape, Index sample, Index row, Index column, Index channel) {
  const auto at = [&](int position) {
    const Index pixel = (2 * row + position / 2) * shape.width + 2 * column + position % 2;
    return x(sample * shape.pixels() + pixel, channel);
  };
  int best = 0;
  for (int position = 1; position < 4; ++position)
    if (at(position) > at(best)) best = position;
  return best;
}

inline Flips count_flips(const VggActivations<float>& a, const VggActivations<double>& b, Index samples) {
  Flips flips;
  for (std::size_t i = 0; i < a.relu.size(); ++i) {
    const Matrix<float>& x = a.relu[i];
    const Matrix<double>& y = b.relu[i];
    flips.units += x.size();
    flips.signs += ((x.array() > 0) != (y.array() > 0)).count();
    if (!a.pooled[i]) continue;
    const FeatureShape shape = a.relu_shape[i];
    for (Index n = 0; n < samples; ++n)
      for (Index row = 0; row < shape.height / 2; ++row)
        for (Index column = 0; column < shape.width / 2; ++column)
          for (Index c = 0; c < shape.channels; ++c) {
            ++flips.windows;
            if (winner(x, shape, n, row, column, c) != winner(y, shape, n, row, column, c)) ++flips.winners;
          }
  }
  return flips;
}

}  // namespace gradscape::testing
