// Random numbers addressed by where they are used, never drawn in sequence.
#pragma once

#include <array>
#include <cstdint>

namespace gradscape {

/// What a random number is for. The values are part of the file format (they decide bits): never renumber.
enum class Purpose : std::uint32_t {
  init = 1,
  order = 2,
  augment = 3,
  dropout = 4,
  synthetic = 5,
  noise_units = 6,
  noise = 7,
  direction = 8,
  surface = 9
};

/// Counter-based generator Philox4x32-10 (Salmon et al., SC 2011), from Random123.
/// key = seed (low, high word); counter = (index low, index high, step, purpose · 2^24 + stream).
/// Every value is a pure function of (seed, purpose, stream, step, index), so it depends neither on the order of
/// evaluation nor on the number of threads.
class RandomSource {
 public:
  /// `stream` < 2^24 tells apart the users within one purpose (a layer's ordinal, a class); `step` is the training
  /// step, the epoch or the sample, as the purpose has it.
  RandomSource(std::uint64_t seed, Purpose purpose, std::uint32_t stream = 0, std::uint32_t step = 0);

  /// Four independent 32-bit words for one index.
  std::array<std::uint32_t, 4> words(std::uint64_t index) const;

  /// Uniform in [0, 1) with 53 bits.
  double uniform(std::uint64_t index) const;

  /// Standard normal (Box-Muller on the words of `index`).
  double normal(std::uint64_t index) const;

  /// Uniform integer in [0, bound), without bias beyond 2^-32 (multiply-shift of a 64-bit word); bound >= 1.
  std::uint32_t below(std::uint32_t bound, std::uint64_t index) const;

 private:
  std::uint64_t seed_;
  std::uint32_t purpose_and_stream_;
  std::uint32_t step_;
};

}  // namespace gradscape
