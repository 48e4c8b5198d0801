#pragma once

#include "gradscape/data/dataset.hpp"

namespace gradscape {

inline constexpr SampleShape kSynthetic{{32, 32, 3}, 10};

/// Ten classes of 3×32×32 images made from a seed, the same on every machine: a stand-in for CIFAR-10 where there is
/// none.
Dataset make_synthetic(std::uint64_t seed, Index train_images, Index test_images);

}  // namespace gradscape
