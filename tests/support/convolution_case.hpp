// One convolution with what may follow it, as a case that tests run: its shape and options, and parameters and inputs
// made for it, the same numbers in float and double. What it should give is in plain_convolution.hpp.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <type_traits>

#include "gradscape/nn/convolution.hpp"
#include "support/hash_values.hpp"
#include "support/plain_convolution.hpp"

namespace gradscape::testing {

struct ConvolutionCase {
  FeatureShape in;
  Index samples = 1;
  ConvolutionOptions options = {};
  Mode mode = Mode::train;
  Engine engine = Engine::winograd;

  std::string text() const {
    const auto& o = options;
    std::string t =
        fmt::format("{}×{}×{} of {}, kernel {}×{} stride {} padding {}, {} channels", samples, in.height, in.width,
                    in.channels, o.kernel_height, o.kernel_width, o.stride, o.padding.top, o.channels);
    if (o.bias) t += ", bias";
    if (o.norm)
      t += fmt::format(", norm ({}affine, {}tracking)", o.norm->affine ? "" : "not ", o.norm->track ? "" : "not ");
    if (o.relu) t += ", relu";
    if (o.max_pool) t += ", pool";
    return t + (mode == Mode::train ? ", train" : ", evaluation");
  }
};

inline ConvolutionOptions same_size(Index channels) {
  ConvolutionOptions options;
  options.channels = channels;
  options.padding = 1;
  return options;
}

/// The layer of a case with parameters, running statistics and inputs that are the same numbers in float and double.
template <class S>
struct Prepared {
  explicit Prepared(const ConvolutionCase& c)
      : parameters(),
        buffers(),
        layer(parameters, buffers, "c", "n", c.in, c.options, 0, c.engine),
        theta(hash_parameters<S>(parameters)),
        running(buffers.size()),
        x(as_rows(hash_values<S>(c.samples * c.in.size(), 1), c.in.channels)),
        dy(as_rows(hash_values<S>(c.samples * layer.out().size(), 2), c.options.channels)) {
    const Index channels = c.options.channels;
    // γ of both signs: a negative one makes the smallest of a window its largest.
    for (const Part& part : parameters.parts())
      if (part.name == "n.weight")
        for (Index i = 0; i < part.size; ++i)
          if (hash32(i, 7) % 3 == 0) theta[part.offset + i] *= -1;
    if (running.size() > 0) running << hash_values<S>(channels, 5, 0.25), hash_values<S>(channels, 6, 0.5, 1), S{3};
  }

  static Matrix<S> as_rows(const Vector<S>& values, Index columns) {
    return values.template reshaped<Eigen::RowMajor>(values.size() / columns, columns);
  }

  /// A part of `values`, laid out as `layout`; empty where there is none.
  static Vector<double> part(const Layout& layout, const Vector<S>& values, const std::string& name) {
    for (const Part& found : layout.parts())
      if (found.name == name) return values.segment(found.offset, found.size).template cast<double>();
    return {};
  }

  PlainParameters plain() const { return split(theta, running); }
  PlainParameters split(const Vector<S>& values, const Vector<S>& statistics) const {
    return {part(parameters, values, "c.weight"),        part(parameters, values, "c.bias"),
            part(parameters, values, "n.weight"),        part(parameters, values, "n.bias"),
            part(buffers, statistics, "n.running_mean"), part(buffers, statistics, "n.running_var")};
  }

  Layout parameters, buffers;
  Convolution<S> layer;
  Vector<S> theta, running;
  Matrix<S> x, dy;
};

inline constexpr int kCombinations = 48;

/// Bias, norm (none, train, evaluation, not affine, not tracking), ReLU and pooling in all combinations.
inline void combine(int number, ConvolutionCase& c) {
  c.options.bias = number % 2 == 0;
  c.options.relu = number / 2 % 2 == 0;
  c.options.max_pool = number / 4 % 2 == 0;
  const int norm = number / 8;
  c.mode = norm == 2 || norm == 4 || norm == 5 ? Mode::evaluation : Mode::train;
  if (norm == 0) return;
  BatchNormOptions options;
  options.affine = norm != 3 && norm != 5;
  options.track = norm != 4;
  options.eps = 1e-3;
  options.momentum = 0.3;
  c.options.norm = options;
}

/// Bounds, relative in the Euclidean norm of each tensor. double: 1e-11. float: 1e-5. Every result is a sum of k terms
/// rounded to 24 bits, whose errors add up like a random walk: eps·√k/2 ≈ 3e-6 for the longest chains here (k ≈ 16000
/// for the weights' gradient; eps = 6e-8). Winograd's transforms make them two to three times as large (there k ≈
/// 4000), and add some 10 eps of their own. Batch norm's gradient subtracts parts that are no larger than itself. So
/// 1e-5 leaves a small factor; an error of method is of order 1.
template <class S>
constexpr double kBound = std::is_same_v<S, double> ? 1e-11 : 1e-5;

template <class A, class B>
void compare(const char* what, const A& found, const B& expected, double scale, double bound, double& worst) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  const double error = (found - expected).norm() / (scale > 0 ? scale : 1.0);
  EXPECT_LE(error, bound) << what;
  worst = std::max(worst, error);
}

}  // namespace gradscape::testing
