#include "gradscape/nn/dense.hpp"

#include <fmt/format.h>

#include "gradscape/core/parallel.hpp"
#include "gradscape/kernel/gemm.hpp"
#include "gradscape/kernel/row_sums.hpp"

namespace gradscape {
namespace {

/// Columns of a product that one task computes.
constexpr Index kColumns = 128;

}  // namespace

template <class S>
Dense<S>::Dense(Layout& parameters, const std::string& name, Index in, Index out, bool bias, std::uint32_t ordinal)
    : Layer<S>({1, 1, in}, {1, 1, out}), tensors_(parameters, name, {out, in}, bias), ordinal_(ordinal) {}

template <class S>
std::string Dense<S>::describe() const {
  return fmt::format("dense {}→{}", this->in().channels, this->out().channels);
}

template <class S>
void Dense<S>::initialise(S* theta, Init init, std::uint64_t seed) const {
  const Index in = this->in().channels;
  const Index out = this->out().channels;
  initialise_linear(theta + tensors_.weight, out * in, tensors_.bias < 0 ? nullptr : theta + tensors_.bias, out, in,
                    out, init, seed, ordinal_);
}

template <class S>
void Dense<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  // x [N, in], weight [out, in], bias [out], y [N, out]
  const Index in = this->in().channels;
  const Index out = this->out().channels;
  const Index n = x.rows();
  const S* weight = inputs.theta.read(tensors_.weight, out * in, weight_memory_);
  const S* bias = tensors_.bias < 0 ? nullptr : inputs.theta.read(tensors_.bias, out, bias_memory_);
  parallel::for_chunks(out, kColumns, [&](Index first, Index last, Index) {
    multiply_transposed_b<S>({x.data(), n, in, in}, {weight + first * in, last - first, in, in},
                             {y.data() + first, n, last - first, out});
    if (bias == nullptr) return;
    for (Index row = 0; row < n; ++row)
      for (Index column = first; column < last; ++column) y(row, column) += bias[column];
  });
}

template <class S>
void Dense<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  // x, dx [N, in], dy [N, out]; in grad: weight [out, in], bias [out]
  const Index in = this->in().channels;
  const Index out = this->out().channels;
  const Index n = x.rows();
  const S* weight = dx.data() == nullptr ? nullptr : inputs.theta.read(tensors_.weight, out * in, weight_memory_);
  parallel::for_chunks(in, kColumns, [&](Index first, Index last, Index) {
    multiply_transposed_a<S>({dy.data(), n, out, out}, {x.data() + first, n, last - first, in},
                             {grad + tensors_.weight + first, out, last - first, in});
    if (dx.data() == nullptr) return;
    multiply<S>({dy.data(), n, out, out}, {weight + first, out, last - first, in},
                {dx.data() + first, n, last - first, in});
  });
  if (tensors_.bias < 0) return;
  column_sums(as_const(dy), sums_);
  for (Index column = 0; column < out; ++column)
    grad[tensors_.bias + column] = static_cast<S>(sums_[static_cast<std::size_t>(column)]);
}

template class Dense<float>;
template class Dense<double>;

}  // namespace gradscape
