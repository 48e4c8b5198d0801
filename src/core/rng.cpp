#include "gradscape/core/rng.hpp"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

std::uint64_t join(std::uint32_t low, std::uint32_t high) {
  return (static_cast<std::uint64_t>(high) << 32) | low;
}

/// In [0, 1), 53 bits.
double unit(std::uint64_t word) {
  return static_cast<double>(word >> 11) * 0x1.0p-53;
}

}  // namespace

RandomSource::RandomSource(std::uint64_t seed, Purpose purpose, std::uint32_t stream, std::uint32_t step)
    : seed_(seed), purpose_and_stream_((static_cast<std::uint32_t>(purpose) << 24) | stream), step_(step) {
  check(stream < (1u << 24), "random stream out of range");
}

std::array<std::uint32_t, 4> RandomSource::words(std::uint64_t index) const {
  using Philox = r123::Philox4x32;
  const Philox::ctr_type counter = {
      {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), step_, purpose_and_stream_}};
  const Philox::key_type key = {{static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)}};
  const Philox::ctr_type out = Philox()(counter, key);
  return {out[0], out[1], out[2], out[3]};
}

double RandomSource::uniform(std::uint64_t index) const {
  const auto w = words(index);
  return unit(join(w[0], w[1]));
}

double RandomSource::normal(std::uint64_t index) const {
  const auto w = words(index);
  const double radius = std::sqrt(-2.0 * std::log(1.0 - unit(join(w[0], w[1]))));
  return radius * std::cos(2.0 * std::numbers::pi * unit(join(w[2], w[3])));
}

std::uint32_t RandomSource::below(std::uint32_t bound, std::uint64_t index) const {
  const auto w = words(index);
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(join(w[0], w[1])) * bound;
  return static_cast<std::uint32_t>(product >> 64);
}

}  // namespace gradscape
