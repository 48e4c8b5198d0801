#include "gradscape/nn/layout.hpp"

#include <algorithm>
#include <functional>
#include <numeric>

#include "gradscape/core/error.hpp"

namespace gradscape {

Index Layout::add(const std::string& layer, const std::string& tensor, std::vector<Index> shape, Role role,
                  bool integer) {
  const std::string name = layer + "." + tensor;
  check(std::none_of(parts_.begin(), parts_.end(), [&](const Part& part) { return part.name == name; }),
        "a parameter's name is used once");
  const Index size = std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
  parts_.push_back({name, layer, role, std::move(shape), size_, size, integer});
  size_ += size;
  return parts_.back().offset;
}

}  // namespace gradscape
