// Which nodes of a graph are computed together.
#pragma once

#include <vector>

#include "gradscape/nn/model_graph.hpp"

namespace gradscape {

/// Whether convolutions carry the batch norm, activation and pooling that follow them, which is faster, or every node
/// is a layer of its own, whose values can be seen. The same function, rounded elsewhere.
enum class Fusion { off, on };

/// The graph's nodes, each in one group; a group is one layer of the network. With Fusion::on a convolution takes along
/// the batch norm, the ReLU and the 2×2 max-pool of stride 2 that follow it in this order, each where it is there and
/// nothing else takes the value before it, and a sum the ReLU behind it. A norm with noise behind it stays a layer of
/// its own.
std::vector<std::vector<int>> fuse(const ModelGraph& graph, Fusion fusion);

}  // namespace gradscape
