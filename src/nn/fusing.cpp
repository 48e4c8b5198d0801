#include "gradscape/nn/fusing.hpp"

namespace gradscape {
namespace {

bool is_batch_norm(const Op& op) {
  const auto* norm = std::get_if<NormOp>(&op);
  return norm != nullptr && norm->kind == NormKind::batch;
}

bool is_relu(const Op& op) {
  const auto* activation = std::get_if<ActivationOp>(&op);
  return activation != nullptr && activation->kind == ActivationKind::relu;
}

bool is_halving_max_pool(const Op& op) {
  const auto* pool = std::get_if<PoolOp>(&op);
  return pool != nullptr && *pool == PoolOp{};
}

/// Whether a node's tensors follow directly on those of an earlier one, so that theta's order stays that of the nodes.
bool adjoins(const ModelGraph& graph, int earlier, int node) {
  for (int between = earlier + 1; between < node; ++between)
    if (has_tensors(graph.nodes[static_cast<std::size_t>(between)].op)) return false;
  return true;
}

}  // namespace

std::vector<std::vector<int>> fuse(const ModelGraph& graph, Fusion fusion) {
  const std::vector<int> consumer = only_consumers(graph);
  std::vector<bool> taken(graph.nodes.size());
  std::vector<std::vector<int>> groups;
  const auto op = [&](int node) -> const Op& { return graph.nodes[static_cast<std::size_t>(node)].op; };
  const auto behind = [&](int node) { return consumer[static_cast<std::size_t>(node)]; };
  for (int first = 0; first < static_cast<int>(graph.nodes.size()); ++first) {
    if (taken[static_cast<std::size_t>(first)]) continue;
    std::vector<int>& group = groups.emplace_back(std::vector<int>{first});
    if (fusion == Fusion::off) continue;
    const auto take = [&](auto&& fits) {
      const int next = behind(group.back());
      if (next < 0 || !fits(next)) return;
      group.push_back(next);
      taken[static_cast<std::size_t>(next)] = true;
    };
    if (std::holds_alternative<AddOp>(op(first))) take([&](int node) { return is_relu(op(node)); });
    const auto* conv = std::get_if<ConvOp>(&op(first));
    if (conv == nullptr || conv->groups != 1) continue;
    take([&](int node) {
      const int next = behind(node);
      return is_batch_norm(op(node)) && adjoins(graph, first, node) &&
             (next < 0 || !std::holds_alternative<NoiseOp>(op(next)));
    });
    take([&](int node) { return is_relu(op(node)); });
    take([&](int node) { return is_halving_max_pool(op(node)); });
  }
  return groups;
}

}  // namespace gradscape
