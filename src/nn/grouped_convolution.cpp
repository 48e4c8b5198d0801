#include "gradscape/nn/grouped_convolution.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/parallel.hpp"
#include "gradscape/nn/op_shapes.hpp"

namespace gradscape {
namespace {

constexpr Index kSamples = 8;  // of one partial sum: decides about bits

/// y[o] += Σ_j w[j, o]·x[j] for each group of inputs j and outputs o.
template <class S>
void multiply_groups(const S* x, const S* w, Index groups, Index inputs, Index outputs, S* y) {
  // x [groups, inputs], w [inputs, groups·outputs], y [groups, outputs]
  if (inputs == 1 && outputs == 1) {
    for (Index c = 0; c < groups; ++c) y[c] += w[c] * x[c];
    return;
  }
  for (Index group = 0; group < groups; ++group)
    for (Index j = 0; j < inputs; ++j) {
      const S value = x[group * inputs + j];
      const S* row = w + (j * groups + group) * outputs;
      for (Index o = 0; o < outputs; ++o) y[group * outputs + o] += row[o] * value;
    }
}

/// The adjoints: dx[j] += Σ_o w[j, o]·dy[o]; dw[j, o] += x[j]·dy[o].
template <class S>
void multiply_groups_back(const S* dy, const S* w, Index groups, Index inputs, Index outputs, S* dx) {
  if (inputs == 1 && outputs == 1) {
    for (Index c = 0; c < groups; ++c) dx[c] += w[c] * dy[c];
    return;
  }
  for (Index group = 0; group < groups; ++group)
    for (Index j = 0; j < inputs; ++j) {
      const S* row = w + (j * groups + group) * outputs;
      S sum = 0;
      for (Index o = 0; o < outputs; ++o) sum += row[o] * dy[group * outputs + o];
      dx[group * inputs + j] += sum;
    }
}

template <class S>
void multiply_outer(const S* x, const S* dy, Index groups, Index inputs, Index outputs, double* dw) {
  for (Index group = 0; group < groups; ++group)
    for (Index j = 0; j < inputs; ++j) {
      const double value = static_cast<double>(x[group * inputs + j]);
      double* row = dw + (j * groups + group) * outputs;
      for (Index o = 0; o < outputs; ++o) row[o] += value * static_cast<double>(dy[group * outputs + o]);
    }
}

}  // namespace

template <class S>
GroupedConvolution<S>::GroupedConvolution(Layout& parameters, const std::string& name, FeatureShape in,
                                          const ConvOp& op, std::uint32_t ordinal)
    : Layer<S>(in, convolved(op, in)),
      op_(op),
      tensors_(parameters, name, {op.channels, in.channels / op.groups, op.kernel_height, op.kernel_width}, op.bias),
      ordinal_(ordinal) {}

template <class S>
std::string GroupedConvolution<S>::describe() const {
  const FeatureShape out = this->out();
  return fmt::format("conv {}×{} {}→{} @{}×{} ({} groups)", op_.kernel_height, op_.kernel_width, this->in().channels,
                     out.channels, out.height, out.width, op_.groups);
}

template <class S>
void GroupedConvolution<S>::initialise(S* theta, Init init, std::uint64_t seed) const {
  initialise_linear(theta + tensors_.weight, op_.channels * inputs() * taps(),
                    tensors_.bias < 0 ? nullptr : theta + tensors_.bias, op_.channels, inputs() * taps(),
                    outputs() * taps(), init, seed, ordinal_);
}

template <class S>
Index GroupedConvolution<S>::plan(Index samples) {
  const Index weights = taps() * inputs() * op_.channels;
  partial_.resize(static_cast<std::size_t>(parallel::chunk_count(samples, kSamples) * (weights + op_.channels)));
  return weights;
}

template <class S>
void GroupedConvolution<S>::arrange_weights(const LayerInputs<S>& inputs) const {
  // weight [Cout, Cin/groups, Kh, Kw] → [taps, Cin/groups, Cout]
  for (Index o = 0; o < op_.channels; ++o)
    for (Index j = 0; j < this->inputs(); ++j)
      for (Index tap = 0; tap < taps(); ++tap)
        inputs.workspace[(tap * this->inputs() + j) * op_.channels + o] =
            inputs.theta[tensors_.weight + (o * this->inputs() + j) * taps() + tap];
}

template <class S>
template <class Visit>
void GroupedConvolution<S>::for_taps(Visit&& visit) const {
  const FeatureShape in = this->in(), out = this->out();
  for (Index oy = 0; oy < out.height; ++oy)
    for (Index ox = 0; ox < out.width; ++ox)
      for (Index tap = 0; tap < taps(); ++tap) {
        const Index y = oy * op_.stride - op_.padding.top + tap / op_.kernel_width * op_.dilation;
        const Index x = ox * op_.stride - op_.padding.left + tap % op_.kernel_width * op_.dilation;
        if (y < 0 || y >= in.height || x < 0 || x >= in.width) continue;
        visit(tap, (y * in.width + x) * in.channels, (oy * out.width + ox) * out.channels);
      }
}

template <class S>
void GroupedConvolution<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  // x [N·H·W, Cin], y [N·H'·W', Cout]
  arrange_weights(inputs);
  const Index tap_size = this->inputs() * op_.channels;
  parallel::for_each(this->samples(x), [&](Index sample) {
    const S* from = x.data() + sample * this->in().size();
    S* to = y.data() + sample * this->out().size();
    for (Index pixel = 0; pixel < this->out().pixels(); ++pixel)
      for (Index o = 0; o < op_.channels; ++o)
        to[pixel * op_.channels + o] = tensors_.bias < 0 ? S{0} : inputs.theta[tensors_.bias + o];
    for_taps([&](Index tap, Index here, Index there) {
      multiply_groups(from + here, inputs.workspace + tap * tap_size, op_.groups, this->inputs(), outputs(),
                      to + there);
    });
  });
}

template <class S>
void GroupedConvolution<S>::backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  // x, dx [N·H·W, Cin], dy [N·H'·W', Cout]
  arrange_weights(inputs);
  const Index tap_size = this->inputs() * op_.channels;
  const Index weights = taps() * tap_size, width = weights + op_.channels;
  const Index samples = this->samples(x), groups = parallel::chunk_count(samples, kSamples);
  std::fill(partial_.begin(), partial_.end(), 0.0);
  parallel::for_each(groups, [&](Index group) {
    double* dw = partial_.data() + group * width;
    for (Index sample = group * kSamples; sample < std::min((group + 1) * kSamples, samples); ++sample) {
      const S* from = x.data() + sample * this->in().size();
      const S* delta = dy.data() + sample * this->out().size();
      S* to = dx.data() == nullptr ? nullptr : dx.data() + sample * this->in().size();
      if (to != nullptr) std::fill_n(to, this->in().size(), S{0});
      for_taps([&](Index tap, Index here, Index there) {
        multiply_outer(from + here, delta + there, op_.groups, this->inputs(), outputs(), dw + tap * tap_size);
        if (to != nullptr)
          multiply_groups_back(delta + there, inputs.workspace + tap * tap_size, op_.groups, this->inputs(), outputs(),
                               to + here);
      });
      for (Index pixel = 0; pixel < this->out().pixels(); ++pixel)
        for (Index o = 0; o < op_.channels; ++o)
          dw[weights + o] += static_cast<double>(delta[pixel * op_.channels + o]);
    }
  });
  const auto sum = [&](Index element) {
    double total = 0;
    for (Index group = 0; group < groups; ++group) total += partial_[static_cast<std::size_t>(group * width + element)];
    return static_cast<S>(total);
  };
  for (Index o = 0; o < op_.channels; ++o) {
    for (Index j = 0; j < this->inputs(); ++j)
      for (Index tap = 0; tap < taps(); ++tap)
        grad[tensors_.weight + (o * this->inputs() + j) * taps() + tap] =
            sum((tap * this->inputs() + j) * op_.channels + o);
    if (tensors_.bias >= 0) grad[tensors_.bias + o] = sum(weights + o);
  }
}

template class GroupedConvolution<float>;
template class GroupedConvolution<double>;

}  // namespace gradscape
