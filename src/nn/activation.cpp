#include "gradscape/nn/activation.hpp"

#include <fmt/format.h>

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

template <class S>
std::string Dropout<S>::describe() const {
  return fmt::format("dropout {}", rate_);
}

template <class S>
void Dropout<S>::apply_mask(const Pass& pass, const S* from, S* to, Index size) const {
  // from, to [N·H·W, C]: `size` elements in all
  if (pass.mode == Mode::evaluation || rate_ == 0) {
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

template class Relu<float>;
template class Relu<double>;
template class Dropout<float>;
template class Dropout<double>;

}  // namespace gradscape
