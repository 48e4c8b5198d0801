#pragma once

#include <string>

#include "gradscape/data/dataset.hpp"

namespace gradscape {

inline constexpr SampleShape kCifar10{{32, 32, 3}, 10};

/// CIFAR-10 in its binary format: records of 1 label byte and 3072 bytes (R, G, B planes of 32×32). Reads whichever of
/// data_batch_1.bin … data_batch_5.bin the folder holds, in this order, and test_batch.bin if it is there.
/// Errors: no folder, no data_batch file, a size that is no multiple of 3073 bytes (found size named), a label above 9.
Dataset load_cifar10(const std::string& folder);

/// 20 classes, or 100 fine ones.
constexpr SampleShape cifar100_shape(bool coarse) {
  return {kCifar10.shape, coarse ? 20 : 100};
}

/// CIFAR-100 likewise: records of 2 label bytes, coarse and fine, and 3072 bytes. Reads train.bin and, if it is there,
/// test.bin.
Dataset load_cifar100(const std::string& folder, bool coarse);

}  // namespace gradscape
