// Names the parts of a flat vector: parameters or buffers of a network, in PyTorch's names and shapes.
#pragma once

#include <string>
#include <vector>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// What a tensor is to its layer: of a convolution or dense layer the weight and the bias, of a norm the scale γ and
/// the shift β; statistic: what a norm keeps in the buffers.
enum class Role { weight, bias, scale, shift, statistic };

/// One named tensor inside the flat vector; row-major, as PyTorch stores it. An empty shape is a scalar.
struct Part {
  std::string name;   // "features.0.weight"
  std::string layer;  // "features.0"
  Role role = Role::weight;
  std::vector<Index> shape;
  Index offset = 0;
  Index size = 0;
  bool integer = false;  // a counter (num_batches_tracked): int64 in files

  bool operator==(const Part&) const = default;
};

class Layout {
 public:
  /// Appends the tensor LAYER.TENSOR and returns its offset. Names must be new.
  Index add(const std::string& layer, const std::string& tensor, std::vector<Index> shape, Role role,
            bool integer = false);

  const std::vector<Part>& parts() const { return parts_; }
  /// Number of elements of the flat vector.
  Index size() const { return size_; }

  bool operator==(const Layout&) const = default;

 private:
  std::vector<Part> parts_;
  Index size_ = 0;
};

}  // namespace gradscape
