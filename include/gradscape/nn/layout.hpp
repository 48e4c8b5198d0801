// Names the parts of a flat vector: parameters or buffers of a network, in PyTorch's names and shapes.
#pragma once

#include <string>
#include <vector>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// One named tensor inside the flat vector; row-major, as PyTorch stores it. An empty shape is a scalar.
struct Part {
  std::string name;  // "features.0.weight"
  std::vector<Index> shape;
  Index offset = 0;
  Index size = 0;
  bool integer = false;  // a counter (num_batches_tracked): int64 in files
};

class Layout {
 public:
  /// Appends a tensor and returns its offset. Names must be new.
  Index add(const std::string& name, std::vector<Index> shape, bool integer = false);

  const std::vector<Part>& parts() const { return parts_; }
  /// Number of elements of the flat vector.
  Index size() const { return size_; }

 private:
  std::vector<Part> parts_;
  Index size_ = 0;
};

}  // namespace gradscape
