// Graphs written down by hand.
#pragma once

#include <fmt/format.h>

#include <vector>

#include "gradscape/nn/model_graph.hpp"

namespace gradscape::testing {

/// A chain of nodes with the names n0, n1, …
inline ModelGraph chain(FeatureShape input, const std::vector<Op>& ops) {
  ModelGraph graph{input, {}};
  for (const Op& op : ops) {
    const int number = static_cast<int>(graph.nodes.size());
    graph.nodes.push_back({op, fmt::format("n{}", number), {number - 1}});
  }
  return graph;
}

}  // namespace gradscape::testing
