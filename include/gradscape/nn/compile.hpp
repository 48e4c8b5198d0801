// From a graph to a network that computes.
#pragma once

#include <memory>

#include "gradscape/kernel/engine.hpp"
#include "gradscape/nn/fusing.hpp"
#include "gradscape/nn/network.hpp"

namespace gradscape {

/// Builds the layers of the fused graph, in the order of its nodes. Initial weights, dropout masks and noise are
/// addressed by a node's ordinal among its kind. UsageError as output_shapes().
template <class S>
std::unique_ptr<Network<S>> compile(const ModelGraph& graph, Engine engine = Engine::direct,
                                    Fusion fusion = Fusion::on);

}  // namespace gradscape
