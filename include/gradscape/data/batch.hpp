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

  Index size() const { return static_cast<Index>(labels.size()); }
};

}  // namespace gradscape
