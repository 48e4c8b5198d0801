#include "gradscape/nn/activation.hpp"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"

namespace gradscape {

template <class S>
void Relu<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x, y [N·H·W, C]
  const S* from = x.data();
  S* to = y.data();
  parallel::for_chunks(x.size(), parallel::kElementwiseChunk, [=](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) to[i] = from[i] <= S{0} ? S{0} : from[i];
  });
}

template <class S>
void Relu<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dy, dx [N·H·W, C]
  if (dx.data() == nullptr) return;
  const S* out = x.data();  // forward was in place: x is y
  const S* from = dy.data();
  S* to = dx.data();
  parallel::for_chunks(x.size(), parallel::kElementwiseChunk, [=](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) to[i] = out[i] <= S{0} ? S{0} : from[i];
  });
}

namespace {

constexpr double kInverseRoot2 = 0.70710678118654752440;
constexpr double kInverseRoot2Pi = 0.39894228040143267794;
constexpr double kGeluRoot = 0.79788456080286535588;  // √(2/π)
constexpr double kGeluCube = 0.044715;

double logistic(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}

/// A function and its derivative. To add one: a kind, a row here, a name (activation_kinds).
struct Curve {
  double (*value)(double x, const ActivationOp& op);
  double (*slope)(double x, const ActivationOp& op);
};

Curve curve_of(ActivationKind kind) {
  using Op = const ActivationOp&;
  switch (kind) {
    case ActivationKind::relu:
      return {[](double x, Op) { return x <= 0 ? 0.0 : x; }, [](double x, Op) { return x <= 0 ? 0.0 : 1.0; }};
    case ActivationKind::leaky_relu:
      return {[](double x, Op op) { return x > 0 ? x : op.a * x; }, [](double x, Op op) { return x > 0 ? 1.0 : op.a; }};
    case ActivationKind::elu:
      return {[](double x, Op op) { return x > 0 ? x : op.a * std::expm1(x); },
              [](double x, Op op) { return x > 0 ? 1.0 : op.a * std::exp(x); }};
    case ActivationKind::clip:
      return {[](double x, Op op) { return x <= op.a   ? op.a
                                           : x >= op.b ? op.b
                                                       : x; },
              [](double x, Op op) { return x <= op.a || x >= op.b ? 0.0 : 1.0; }};
    case ActivationKind::sigmoid:
      return {[](double x, Op) { return logistic(x); }, [](double x, Op) { return logistic(x) * logistic(-x); }};
    case ActivationKind::hard_sigmoid:
      return {[](double x, Op) { return x <= -3  ? 0.0
                                        : x >= 3 ? 1.0
                                                 : (x + 3) / 6; },
              [](double x, Op) { return x > -3 && x < 3 ? 1.0 / 6 : 0.0; }};
    case ActivationKind::tanh:
      return {[](double x, Op) { return std::tanh(x); }, [](double x, Op) { return 1 - std::tanh(x) * std::tanh(x); }};
    case ActivationKind::silu:
      return {[](double x, Op) { return x * logistic(x); },
              [](double x, Op) { return logistic(x) * (1 + x * logistic(-x)); }};
    case ActivationKind::hard_swish:
      return {[](double x, Op) { return x <= -3  ? 0.0
                                        : x >= 3 ? x
                                                 : x * (x + 3) / 6; },
              [](double x, Op) { return x < -3   ? 0.0
                                        : x <= 3 ? x / 3 + 0.5
                                                 : 1.0; }};
    case ActivationKind::gelu:
      return {[](double x, Op) { return 0.5 * x * (1 + std::erf(x * kInverseRoot2)); },
              [](double x, Op) {
                return 0.5 * (1 + std::erf(x * kInverseRoot2)) + x * kInverseRoot2Pi * std::exp(-0.5 * x * x);
              }};
    case ActivationKind::gelu_tanh:
      return {[](double x, Op) { return 0.5 * x * (1 + std::tanh(kGeluRoot * (x + kGeluCube * x * x * x))); },
              [](double x, Op) {
                const double t = std::tanh(kGeluRoot * (x + kGeluCube * x * x * x));
                return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kGeluRoot * (1 + 3 * kGeluCube * x * x);
              }};
  }
  throw std::logic_error("a kind of activation");
}

}  // namespace

template <class S>
std::string Activation<S>::describe() const {
  return gradscape::describe(Op(op_));
}

template <class S>
void Activation<S>::forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) {
  // x, y [N·H·W, C]
  const auto value = curve_of(op_.kind).value;
  parallel::for_chunks(x.size(), parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) y.data()[i] = static_cast<S>(value(static_cast<double>(x.data()[i]), op_));
  });
}

template <class S>
void Activation<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dy, dx [N·H·W, C]
  if (dx.data() == nullptr) return;
  const auto slope = curve_of(op_.kind).slope;
  parallel::for_chunks(x.size(), parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i)
      dx.data()[i] = static_cast<S>(static_cast<double>(dy.data()[i]) * slope(static_cast<double>(x.data()[i]), op_));
  });
}

template <class S>
std::string Dropout<S>::describe() const {
  return fmt::format("dropout {}", rate_);
}

template <class S>
void Dropout<S>::apply_mask(const Pass& pass, const S* from, S* to, Index size) const {
  // from, to [N·H·W, C]: `size` elements in all
  if (!pass.draws() || rate_ == 0) {
    if (from != to) std::copy_n(from, size, to);
    return;
  }
  const RandomSource source(pass.seed, Purpose::dropout, ordinal_, pass.step);
  const auto threshold = static_cast<std::uint32_t>(rate_ * 0x1.0p32);
  const S scale = static_cast<S>(1.0 / (1.0 - rate_));
  static_assert(parallel::kElementwiseChunk % 4 == 0);
  parallel::for_chunks(size, parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    for (Index block = first; block < last; block += 4) {
      const auto words = source.words(static_cast<std::uint64_t>(block / 4));
      for (Index i = block; i < std::min(block + 4, last); ++i)
        to[i] = words[static_cast<std::size_t>(i - block)] < threshold ? S{0} : from[i] * scale;
    }
  });
}

template <class S>
void Dropout<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  // x, y [N·H·W, C]
  apply_mask(inputs.pass, x.data(), y.data(), x.size());
}

template <class S>
void Dropout<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) {
  // x, dy, dx [N·H·W, C]
  if (dx.data() != nullptr) apply_mask(inputs.pass, dy.data(), dx.data(), x.size());
}

template class Activation<float>;
template class Activation<double>;
template class Relu<float>;
template class Relu<double>;
template class Dropout<float>;
template class Dropout<double>;

}  // namespace gradscape
