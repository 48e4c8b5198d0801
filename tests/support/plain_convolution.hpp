// A convolution with what may follow it, by its definition: nested loops in double that share nothing with src/nn.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "gradscape/nn/convolution.hpp"

namespace gradscape::testing {

/// Parameters in PyTorch's order; sizes 0 where the layer has none.
struct PlainParameters {
  Vector<double> weight, bias, gamma, beta, running_mean, running_var;
};

struct PlainResult {
  Matrix<double> y, dx;
  PlainParameters grad;       // ∂⟨dy, y⟩; of the running statistics: their new values
  Vector<double> bias_terms;  // Σ|·| over what `grad.bias` sums up: its rounding error's scale where it cancels
  Index masked = 0;           // elements of dy that were set to 0
};

class PlainConvolution {
 public:
  PlainConvolution(FeatureShape in, const ConvolutionOptions& options, Mode mode) : in_(in), o_(options), mode_(mode) {
    height_ = (in.height + o_.padding.height() - o_.dilation * (o_.kernel_height - 1) - 1) / o_.stride + 1;
    width_ = (in.width + o_.padding.width() - o_.dilation * (o_.kernel_width - 1) - 1) / o_.stride + 1;
  }

  /// Units nearer than `margin`·max|·| to a kink get dy = 0, in `dy` itself: two arithmetics may take them to either
  /// side.
  PlainResult run(const PlainParameters& p, const Matrix<double>& x, Matrix<double>& dy, double margin) const {
    const Index samples = x.rows() / in_.pixels();
    const Index rows = samples * height_ * width_;
    const Index channels = o_.channels;
    PlainResult r;
    Matrix<double> z = Matrix<double>::Zero(rows, channels);
    if (o_.bias) z.rowwise() = p.bias.transpose();
    std::vector<double> by_output(static_cast<std::size_t>(p.weight.size())), by_input(by_output);
    for_weights([&](Index place, Index tap, Index o, Index i) {
      by_output[static_cast<std::size_t>((tap * in_.channels + i) * channels + o)] = p.weight[place];
      by_input[static_cast<std::size_t>((tap * channels + o) * in_.channels + i)] = p.weight[place];
    });
    for_taps(samples, [&](Index row, Index pixel, Index tap) {
      double* to = z.data() + row * channels;
      for (Index i = 0; i < in_.channels; ++i) {
        const double value = x(pixel, i);
        const double* w = by_output.data() + (tap * in_.channels + i) * channels;
        for (Index o = 0; o < channels; ++o) to[o] += value * w[o];
      }
    });

    const bool of_batch = o_.norm && (mode_ == Mode::train || !o_.norm->track);
    Vector<double> inverse(channels), mean(channels);
    Matrix<double> u = z;
    if (o_.norm) {
      const auto count = static_cast<double>(rows);
      r.grad.running_mean = p.running_mean;
      r.grad.running_var = p.running_var;
      for (Index c = 0; c < channels; ++c) {
        mean[c] = of_batch ? z.col(c).sum() / count : p.running_mean[c];
        const double squares = (z.col(c).array() - mean[c]).square().sum();
        inverse[c] = 1 / std::sqrt((of_batch ? squares / count : p.running_var[c]) + o_.norm->eps);
        u.col(c) = (z.col(c).array() - mean[c]) * inverse[c];
        if (o_.norm->affine) u.col(c) = u.col(c).array() * p.gamma[c] + p.beta[c];
        if (mode_ != Mode::train || !o_.norm->track) continue;
        const double m = o_.norm->momentum;
        r.grad.running_mean[c] = (1 - m) * p.running_mean[c] + m * mean[c];
        r.grad.running_var[c] = (1 - m) * p.running_var[c] + m * squares / (count - 1);
      }
    }

    const Index size = o_.max_pool ? 2 : 1;
    const Index out_height = height_ / size, out_width = width_ / size;
    const double near = margin * (u.size() > 0 ? u.cwiseAbs().maxCoeff() : 0.0);
    r.y.resize(samples * out_height * out_width, channels);
    Matrix<double> du = Matrix<double>::Zero(rows, channels);
    for (Index n = 0; n < samples; ++n)
      for (Index oy = 0; oy < out_height; ++oy)
        for (Index ox = 0; ox < out_width; ++ox)
          for (Index c = 0; c < channels; ++c) {
            const Index out = (n * out_height + oy) * out_width + ox;
            double best = 0, second = -HUGE_VAL;  // after ReLU, as PyTorch has it: then the first of the largest
            Index winner = -1;
            for (Index part = 0; part < size * size; ++part) {
              const Index row = (n * height_ + oy * size + part / size) * width_ + ox * size + part % size;
              const double value = o_.relu && u(row, c) < 0 ? 0.0 : u(row, c);
              if (winner >= 0) second = std::max(second, std::min(best, value));
              if (winner < 0 || value > best || (std::isnan(value) && !std::isnan(best))) {
                best = value;
                winner = row;
              }
            }
            r.y(out, c) = best;
            // Where all of a window is off, the largest of them decides whether it could have been on.
            double distance = HUGE_VAL;
            if (size == 2 && best != 0) distance = best - second;
            if (o_.relu) distance = std::min(distance, std::abs(largest(u, n, oy, ox, c, size)));
            if (distance < near) {
              dy(out, c) = 0;
              ++r.masked;
            }
            if (!(o_.relu && u(winner, c) <= 0)) du(winner, c) += dy(out, c);
          }

    Matrix<double> dz = du;
    if (o_.norm) {
      const auto count = static_cast<double>(rows);
      r.grad.gamma.resize(channels);
      r.grad.beta.resize(channels);
      for (Index c = 0; c < channels; ++c) {
        const Vector<double> hat = (z.col(c).array() - mean[c]) * inverse[c];
        const double gamma = o_.norm->affine ? p.gamma[c] : 1.0;
        r.grad.beta[c] = du.col(c).sum();
        r.grad.gamma[c] = du.col(c).dot(hat);
        dz.col(c) = gamma * inverse[c] * du.col(c);
        if (of_batch)
          dz.col(c) -= gamma * inverse[c] *
                       (hat * (r.grad.gamma[c] / count) + Vector<double>::Constant(rows, r.grad.beta[c] / count));
      }
    }
    r.grad.bias = dz.colwise().sum().transpose();
    r.bias_terms = dz.cwiseAbs().colwise().sum().transpose();

    r.dx = Matrix<double>::Zero(x.rows(), in_.channels);
    std::vector<double> dw(by_output.size(), 0.0);
    for_taps(samples, [&](Index row, Index pixel, Index tap) {
      const double* d = dz.data() + row * channels;
      double* to = r.dx.data() + pixel * in_.channels;
      for (Index o = 0; o < channels; ++o) {
        const double* w = by_input.data() + (tap * channels + o) * in_.channels;
        for (Index i = 0; i < in_.channels; ++i) to[i] += d[o] * w[i];
      }
      for (Index i = 0; i < in_.channels; ++i) {
        const double value = x(pixel, i);
        double* w = dw.data() + (tap * in_.channels + i) * channels;
        for (Index o = 0; o < channels; ++o) w[o] += value * d[o];
      }
    });
    r.grad.weight.resize(p.weight.size());
    for_weights([&](Index place, Index tap, Index o, Index i) {
      r.grad.weight[place] = dw[static_cast<std::size_t>((tap * in_.channels + i) * channels + o)];
    });
    return r;
  }

 private:
  /// visit(place in [Cout, Cin, Kh, Kw], tap, output channel, input channel)
  template <class Visit>
  void for_weights(Visit&& visit) const {
    const Index taps = o_.kernel_height * o_.kernel_width;
    for (Index o = 0; o < o_.channels; ++o)
      for (Index i = 0; i < in_.channels; ++i)
        for (Index tap = 0; tap < taps; ++tap) visit((o * in_.channels + i) * taps + tap, tap, o, i);
  }

  /// visit(output row, input row, tap) for every tap that lies inside of its image.
  template <class Visit>
  void for_taps(Index samples, Visit&& visit) const {
    for (Index n = 0; n < samples; ++n)
      for (Index oy = 0; oy < height_; ++oy)
        for (Index ox = 0; ox < width_; ++ox)
          for (Index ky = 0; ky < o_.kernel_height; ++ky)
            for (Index kx = 0; kx < o_.kernel_width; ++kx) {
              const Index y = oy * o_.stride + ky * o_.dilation - o_.padding.top;
              const Index x = ox * o_.stride + kx * o_.dilation - o_.padding.left;
              if (y < 0 || y >= in_.height || x < 0 || x >= in_.width) continue;
              visit((n * height_ + oy) * width_ + ox, (n * in_.height + y) * in_.width + x, ky * o_.kernel_width + kx);
            }
  }

  double largest(const Matrix<double>& u, Index n, Index oy, Index ox, Index c, Index size) const {
    double value = -HUGE_VAL;
    for (Index part = 0; part < size * size; ++part)
      value = std::max(value, u((n * height_ + oy * size + part / size) * width_ + ox * size + part % size, c));
    return value;
  }

  FeatureShape in_;
  ConvolutionOptions o_;
  Mode mode_;
  Index height_, width_;
};

}  // namespace gradscape::testing
