#pragma once

#include <cstdint>
#include <vector>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// Samples as a network takes them.
template <class S>
struct Batch {
  Matrix<S> images;                   // [N·H·W, C], standardised
  std::vector<int> labels;            // [N]
  std::vector<std::int32_t> indices;  // [N], position of each sample in the data set
  Matrix<S> targets = {};             // [N, K], of regression; empty for classification

  Index size() const { return static_cast<Index>(labels.size()); }
};

/// The same samples in double: images and targets are cast.
template <class S>
Batch<double> in_double(const Batch<S>& batch) {
  return {batch.images.template cast<double>(), batch.labels, batch.indices, batch.targets.template cast<double>()};
}

}  // namespace gradscape
