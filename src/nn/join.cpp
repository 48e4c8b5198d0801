#include "gradscape/nn/join.hpp"

#include <algorithm>

#include "gradscape/core/parallel.hpp"

namespace gradscape {
namespace {

/// Rows of one task.
constexpr Index kRows = 256;

/// body(first, last): elements [first, last) of `size`.
template <class Body>
void for_elements(Index size, Body&& body) {
  parallel::for_chunks(size, parallel::kElementwiseChunk, [&](Index first, Index last, Index) { body(first, last); });
}

template <class S>
void copy_rows(ConstRows<S> from, Rows<S> to) {
  for_elements(from.size(),
               [&](Index first, Index last) { std::copy(from.data() + first, from.data() + last, to.data() + first); });
}

}  // namespace

template <class S>
void add_rows(ConstRows<S> from, Rows<S> to) {
  const S* a = from.data();
  S* b = to.data();
  for_elements(from.size(), [=](Index first, Index last) {
    for (Index i = first; i < last; ++i) b[i] += a[i];
  });
}

template <class S>
void Add<S>::forward(std::span<const Taken<S>> xs, Rows<S> y) {
  // x_i, y [N·H·W, C]
  if (std::any_of(xs.begin(), xs.end(), [](const Taken<S>& x) { return static_cast<bool>(x.norm); }))
    return add_deferred(xs, y);
  S* to = y.data();
  for_elements(y.size(), [&](Index first, Index last) {
    const S* a = xs[0].rows.data();
    for (std::size_t number = 1; number < xs.size(); ++number) {
      const S* b = xs[number].rows.data();
      for (Index i = first; i < last; ++i) to[i] = a[i] + b[i];
      a = to;
    }
    if (relu_)
      for (Index i = first; i < last; ++i) to[i] = to[i] <= S{0} ? S{0} : to[i];
  });
}

/// The same where norms are still to be applied.
template <class S>
void Add<S>::add_deferred(std::span<const Taken<S>> xs, Rows<S> y) const {
  // x_i, y [N·H·W, C]
  const Index channels = y.cols();
  const auto zero = Lanes<S>::fill(S{0});
  parallel::for_chunks(y.rows(), kRows, [&](Index first, Index last, Index) {
    for (Index row = first; row < last; ++row)
      for_lanes<S>(0, channels, [&](Index c, auto count) {
        const auto input = [&](const Taken<S>& x) {
          const auto value = load_lanes(x.rows.data() + row * channels + c, count);
          return x.norm ? x.norm(value, c, count) : value;
        };
        auto sum = input(xs[0]);
        for (std::size_t number = 1; number < xs.size(); ++number) sum = sum + input(xs[number]);
        if (relu_) sum = sum <= zero ? zero : sum;
        store_lanes(y.data() + row * channels + c, sum, count);
      });
  });
}

template <class S>
void Add<S>::begin_backward(ConstRows<S> y, Rows<S> dy) {
  // y, dy [N·H·W, C]
  if (!relu_) return;
  const S* out = y.data();
  S* delta = dy.data();
  for_elements(y.size(), [=](Index first, Index last) {
    for (Index i = first; i < last; ++i) delta[i] = out[i] <= S{0} ? S{0} : delta[i];
  });
}

template <class S>
void Add<S>::backward(std::span<const ConstRows<S>>, ConstRows<S> dy, std::size_t, Rows<S> dx, bool add) {
  if (add)
    add_rows(dy, dx);
  else
    copy_rows(dy, dx);
}

template <class S>
void Multiply<S>::forward(std::span<const Taken<S>> xs, Rows<S> y) {
  // x_i [N·H·W, C] or [N, C], y [N·H·W, C]
  const Index channels = y.cols();
  const Index pixels = this->out().pixels();
  const Index a_step = this->inputs()[0].pixels() == 1 ? 0 : channels;
  const Index b_step = this->inputs()[1].pixels() == 1 ? 0 : channels;
  parallel::for_each(y.rows() / pixels, [&](Index sample) {
    const S* a = xs[0].rows.data() + sample * this->inputs()[0].size();
    const S* b = xs[1].rows.data() + sample * this->inputs()[1].size();
    S* to = y.data() + sample * pixels * channels;
    for (Index pixel = 0; pixel < pixels; ++pixel, a += a_step, b += b_step, to += channels)
      for (Index c = 0; c < channels; ++c) to[c] = a[c] * b[c];
  });
}

template <class S>
void Multiply<S>::backward(std::span<const ConstRows<S>> xs, ConstRows<S> dy, std::size_t i, Rows<S> dx, bool add) {
  // dy [N·H·W, C]; dx, x_i [N·H·W, C] or [N, C]; the sum over an image's pixels is in double
  const Index channels = dy.cols();
  const Index pixels = this->out().pixels();
  const FeatureShape mine = this->inputs()[i], others = this->inputs()[1 - i];
  const Index other_step = others.pixels() == 1 ? 0 : channels;
  parallel::for_each(dy.rows() / pixels, [&](Index sample) {
    const S* other = xs[1 - i].data() + sample * others.size();
    const S* delta = dy.data() + sample * pixels * channels;
    S* to = dx.data() + sample * mine.size();
    if (mine.pixels() == pixels) {
      for (Index pixel = 0; pixel < pixels; ++pixel, other += other_step, delta += channels, to += channels)
        for (Index c = 0; c < channels; ++c) to[c] = (add ? to[c] : S{0}) + delta[c] * other[c];
      return;
    }
    std::vector<double> sums(static_cast<std::size_t>(channels));
    for (Index pixel = 0; pixel < pixels; ++pixel, other += other_step, delta += channels)
      for (Index c = 0; c < channels; ++c)
        sums[static_cast<std::size_t>(c)] += static_cast<double>(delta[c]) * static_cast<double>(other[c]);
    for (Index c = 0; c < channels; ++c)
      to[c] = static_cast<S>((add ? static_cast<double>(to[c]) : 0.0) + sums[static_cast<std::size_t>(c)]);
  });
}

template <class S>
void Concat<S>::forward(std::span<const Taken<S>> xs, Rows<S> y) {
  // x_i [N·H·W, C_i], y [N·H·W, ΣC_i]
  const Index pixels = this->out().pixels();
  parallel::for_each(y.rows() / pixels, [&](Index sample) {
    S* to = y.data() + sample * pixels * y.cols();
    for (Index row = sample * pixels; row < (sample + 1) * pixels; ++row)
      for (const Taken<S>& x : xs) to = std::copy_n(x.rows.data() + row * x.rows.cols(), x.rows.cols(), to);
  });
}

template <class S>
void Concat<S>::backward(std::span<const ConstRows<S>>, ConstRows<S> dy, std::size_t i, Rows<S> dx, bool add) {
  // dy [N·H·W, ΣC_i], dx [N·H·W, C_i]
  Index begin = 0;
  for (std::size_t number = 0; number < i; ++number) begin += this->inputs()[number].channels;
  const Index channels = dx.cols();
  const Index pixels = this->out().pixels();
  parallel::for_each(dy.rows() / pixels, [&](Index sample) {
    for (Index row = sample * pixels; row < (sample + 1) * pixels; ++row) {
      const S* from = dy.data() + row * dy.cols() + begin;
      S* to = dx.data() + row * channels;
      if (add)
        for (Index c = 0; c < channels; ++c) to[c] += from[c];
      else
        std::copy_n(from, channels, to);
    }
  });
}

#define GRADSCAPE_INSTANTIATE(S)                    \
  template void add_rows<S>(ConstRows<S>, Rows<S>); \
  template class Add<S>;                            \
  template class Multiply<S>;                       \
  template class Concat<S>;
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
