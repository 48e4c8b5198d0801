#include "gradscape/nn/layer.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>

#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"

namespace gradscape {

std::uint64_t new_theta_id() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}
namespace {

struct Spread {
  bool normal;
  double scale;  // standard deviation, or half width of the uniform interval
};

Spread spread(Init init, double fan_in, double fan_out) {
  switch (init) {
    case Init::xavier_normal:
      return {true, std::sqrt(2.0 / (fan_in + fan_out))};
    case Init::xavier_uniform:
      return {false, std::sqrt(6.0 / (fan_in + fan_out))};
    case Init::he_normal:
      return {true, std::sqrt(2.0 / fan_in)};
    case Init::he_uniform:
      return {false, std::sqrt(6.0 / fan_in)};
    case Init::pytorch:
      break;
  }
  return {false, 1.0 / std::sqrt(fan_in)};
}

template <class S>
void draw(S* values, Index size, Spread spread, const RandomSource& source) {
  parallel::for_chunks(size, parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) {
      const auto index = static_cast<std::uint64_t>(i);
      const double unit = spread.normal ? source.normal(index) : 2.0 * source.uniform(index) - 1.0;
      values[i] = static_cast<S>(spread.scale * unit);
    }
  });
}

}  // namespace

template <class S>
Taken<S> Layer<S>::deferred(Index) const {
  throw std::logic_error("a layer that defers its norm");
}

template <class S>
void Layer<S>::initialise(S*, Init, std::uint64_t) const {}

template <class S>
void Layer<S>::initialise_buffers(S*) const {}

template <class S>
void initialise_linear(S* weight, Index weight_size, S* bias, Index bias_size, Index fan_in, Index fan_out, Init init,
                       std::uint64_t seed, std::uint32_t ordinal) {
  const Spread s = spread(init, static_cast<double>(fan_in), static_cast<double>(fan_out));
  draw(weight, weight_size, s, RandomSource(seed, Purpose::init, 2 * ordinal));
  if (bias == nullptr) return;
  if (init == Init::pytorch)
    draw(bias, bias_size, s, RandomSource(seed, Purpose::init, 2 * ordinal + 1));
  else
    std::fill_n(bias, bias_size, S{0});
}

template class Layer<float>;
template class Layer<double>;
template void initialise_linear<float>(float*, Index, float*, Index, Index, Index, Init, std::uint64_t, std::uint32_t);
template void initialise_linear<double>(double*, Index, double*, Index, Index, Index, Init, std::uint64_t,
                                        std::uint32_t);

}  // namespace gradscape
