#include "gradscape/nn/model_graph.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/core/named_table.hpp"
#include "gradscape/nn/op_shapes.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

std::string describe_activation(const ActivationOp& op) {
  const std::string name = activation_kinds().name(op.kind);
  if (op.kind == ActivationKind::clip) return fmt::format("{} {} to {}", name, op.a, op.b);
  if (op.kind == ActivationKind::leaky_relu || op.kind == ActivationKind::elu) return fmt::format("{} {}", name, op.a);
  return name;
}

FeatureShape value_shape(const ModelGraph& graph, int input, const std::vector<FeatureShape>& shapes) {
  return input == kImages ? graph.input : shapes[static_cast<std::size_t>(input)];
}

/// The shape of a node's first input.
FeatureShape input_of(const ModelGraph& graph, std::size_t node, const std::vector<FeatureShape>& shapes) {
  return value_shape(graph, graph.nodes[node].inputs.front(), shapes);
}

std::vector<FeatureShape> inputs_of(const ModelGraph& graph, std::size_t node,
                                    const std::vector<FeatureShape>& shapes) {
  std::vector<FeatureShape> inputs;
  for (const int input : graph.nodes[node].inputs) inputs.push_back(value_shape(graph, input, shapes));
  return inputs;
}

/// Where an error lies: "network, line 7, layer1.0.conv1".
std::string place(const ModelGraph& graph, std::size_t node) {
  const std::string line = node < graph.lines.size() ? fmt::format("line {}, ", graph.lines[node]) : "";
  return fmt::format("network, {}{}", line, label(graph.nodes[node]));
}

/// UsageError unless names are there where parameters need them and used once, and every node takes one earlier value.
void require_sound(const ModelGraph& graph) {
  if (graph.nodes.empty()) throw UsageError("network", "has no nodes", "it takes one dense layer at least");
  std::set<std::string> names;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const bool unnamed = node.name.empty();
    if (unnamed && has_tensors(node.op))
      throw UsageError(fmt::format("network, node {}", i), fmt::format("{} has no name", describe(node.op)),
                       "its parameters are called by it");
    if (!unnamed && !names.insert(node.name).second)
      throw UsageError(place(graph, i), "is the name of two nodes", "parameters are told apart by it");
    const Arity takes = arity(node.op);
    if (node.inputs.size() < takes.least || node.inputs.size() > takes.most)
      throw UsageError(place(graph, i), fmt::format("{} takes {}, not {}", describe(node.op),
                                                    takes.most == 1             ? "one input"
                                                    : takes.least == takes.most ? "two inputs"
                                                                                : "two inputs or more",
                                                    node.inputs.size()));
    for (const int input : node.inputs)
      if (input < kImages || input >= static_cast<int>(i))
        throw UsageError(place(graph, i), fmt::format("its input {} is no node before it", input),
                         fmt::format("nodes are in the order of evaluation, and this is number {}", i));
  }
  std::vector<bool> used(graph.nodes.size());
  for (const Node& node : graph.nodes)
    for (const int input : node.inputs)
      if (input != kImages) used[static_cast<std::size_t>(input)] = true;
  used.back() = true;
  for (std::size_t i = 0; i < used.size(); ++i)
    if (!used[i])
      throw UsageError(place(graph, i), "nobody takes its value", "it is no part of the network: leave it out");
}

/// The node that does not take its input, and why.
struct Failure {
  std::size_t node;
  Misfit misfit;
};

/// Fills in the shape of every node's value, up to one that does not take its input.
std::optional<Failure> find_shapes(const ModelGraph& graph, std::vector<FeatureShape>& shapes) {
  shapes.clear();
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Outcome outcome = outcome_of(graph.nodes[i].op, inputs_of(graph, i, shapes));
    if (outcome.misfit) return Failure{i, *outcome.misfit};
    shapes.push_back(outcome.shape);
  }
  return std::nullopt;
}

/// The smallest square images, larger than the graph's, that all nodes take.
std::string describe_larger_images(const ModelGraph& graph) {
  constexpr Index kLargest = 4096;
  std::vector<FeatureShape> shapes;
  ModelGraph other = graph;
  for (Index side = std::min(graph.input.height, graph.input.width) + 1; side <= kLargest; ++side) {
    other.input = {side, side, graph.input.channels};
    if (!find_shapes(other, shapes))
      return fmt::format("the network takes images of {}×{} pixels or more, these have {}×{}; an mlp takes any", side,
                         side, graph.input.height, graph.input.width);
  }
  return "";
}

/// The numbers of groups that all group norms of the graph could have.
std::string describe_groups(const ModelGraph& graph) {
  constexpr Index kMostGroups = 4096;  // to tell of
  ModelGraph other = graph;
  for (Node& node : other.nodes)
    if (auto* norm = std::get_if<NormOp>(&node.op)) norm->groups = 1;
  std::vector<FeatureShape> shapes;
  if (find_shapes(other, shapes)) return "";
  Index common = 0;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (const auto* norm = std::get_if<NormOp>(&graph.nodes[i].op); norm != nullptr && norm->kind == NormKind::group)
      common = std::gcd(common, shapes[i].channels);
  std::vector<Index> divisors;
  for (Index number = 1; number <= std::min(common, kMostGroups); ++number)
    if (common % number == 0) divisors.push_back(number);
  return fmt::format("all group norms of the network take {} groups", fmt::join(divisors, ", "));
}

std::string describe_cure(const ModelGraph& graph, const Misfit& misfit) {
  switch (misfit.cure) {
    case Cure::told:
      return misfit.hint;
    case Cure::larger_images:
      return describe_larger_images(graph);
    case Cure::other_groups:
      return describe_groups(graph);
  }
  throw std::logic_error("a cure");
}

}  // namespace

const NamedTable<NormKind>& norm_kinds() {
  static const NamedTable<NormKind> table("norm", {{"batch", NormKind::batch},
                                                   {"l1", NormKind::l1},
                                                   {"l2", NormKind::l2},
                                                   {"linf", NormKind::linf},
                                                   {"layer", NormKind::layer},
                                                   {"group", NormKind::group}});
  return table;
}

const NamedTable<ActivationKind>& activation_kinds() {
  static const NamedTable<ActivationKind> table("activation", {{"relu", ActivationKind::relu},
                                                               {"leaky-relu", ActivationKind::leaky_relu},
                                                               {"elu", ActivationKind::elu},
                                                               {"clip", ActivationKind::clip},
                                                               {"sigmoid", ActivationKind::sigmoid},
                                                               {"hard-sigmoid", ActivationKind::hard_sigmoid},
                                                               {"tanh", ActivationKind::tanh},
                                                               {"silu", ActivationKind::silu},
                                                               {"hard-swish", ActivationKind::hard_swish},
                                                               {"gelu", ActivationKind::gelu},
                                                               {"gelu-tanh", ActivationKind::gelu_tanh}});
  return table;
}

bool has_tensors(const Op& op) {
  return std::holds_alternative<ConvOp>(op) || std::holds_alternative<DenseOp>(op) ||
         std::holds_alternative<NormOp>(op);
}

std::string describe(const Op& op) {
  return std::visit(
      Overloaded{[](const ConvOp& conv) {
                   std::string text = fmt::format("conv {}×{}", conv.kernel_height, conv.kernel_width);
                   if (conv.stride != 1) text += fmt::format(" stride {}", conv.stride);
                   if (conv.dilation != 1) text += fmt::format(" dilation {}", conv.dilation);
                   if (conv.groups != 1) text += fmt::format(" groups {}", conv.groups);
                   return text;
                 },
                 [](const DenseOp&) { return std::string("dense"); },
                 [](const NormOp& norm) {
                   return norm.kind == NormKind::group ? fmt::format("group norm in {}", norm.groups)
                                                       : norm_kinds().name(norm.kind) + " norm";
                 },
                 [](const ActivationOp& activation) { return describe_activation(activation); },
                 [](const PoolOp& pool) {
                   return fmt::format("{} pool {}×{}", pool.kind == PoolKind::max ? "max" : "average", pool.kernel,
                                      pool.kernel);
                 },
                 [](const GlobalPoolOp& pool) {
                   return fmt::format("global {} pool", pool.kind == PoolKind::max ? "max" : "average");
                 },
                 [](const PadOp&) { return std::string("zero pad"); },
                 [](const ShortcutOp& shortcut) {
                   return fmt::format("shortcut stride {}, {} channels more", shortcut.stride,
                                      shortcut.before + shortcut.behind);
                 },
                 [](const AddOp&) { return std::string("add"); }, [](const MulOp&) { return std::string("multiply"); },
                 [](const ConcatOp&) { return std::string("concatenate"); },
                 [](const FlattenOp&) { return std::string("flatten"); },
                 [](const DropoutOp& dropout) { return fmt::format("dropout {}", dropout.rate); },
                 [](const NoiseOp&) { return std::string("noise"); }},
      op);
}

std::string label(const Node& node) {
  return node.name.empty() ? describe(node.op) : node.name;
}

std::string describe(FeatureShape shape) {
  return fmt::format("{}×{}×{}", shape.height, shape.width, shape.channels);
}

std::vector<FeatureShape> output_shapes(const ModelGraph& graph) {
  if (graph.input.height < 1 || graph.input.width < 1 || graph.input.channels < 1 ||
      elements(graph.input) > kMostElements)
    throw UsageError("network", fmt::format("images of {} make no input", describe(graph.input)));
  require_sound(graph);
  std::vector<FeatureShape> shapes;
  if (const auto failure = find_shapes(graph, shapes)) {
    const Node& node = graph.nodes[failure->node];
    throw UsageError(
        place(graph, failure->node),
        fmt::format("{} with {} of {}: {}", describe(node.op), node.inputs.size() == 1 ? "an input" : "a first input",
                    describe(input_of(graph, failure->node, shapes)), failure->misfit.what),
        describe_cure(graph, failure->misfit));
  }
  const auto noisy = std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                   [](const Node& node) { return std::holds_alternative<NoiseOp>(node.op); });
  if (noisy > kMostNoiseLayers)
    throw UsageError("network", fmt::format("has noise in {} places", noisy),
                     fmt::format("random numbers are addressed for {}", kMostNoiseLayers));
  if (shapes.back().pixels() != 1)
    throw UsageError(
        place(graph, graph.nodes.size() - 1),
        fmt::format("the network's output is {}, and a loss takes one number for each class", describe(shapes.back())),
        "end with a flatten and a dense layer");
  return shapes;
}

Layouts layouts(const ModelGraph& graph) {
  const std::vector<FeatureShape> shapes = output_shapes(graph);
  Layouts all;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const Index channels = input_of(graph, i, shapes).channels;
    std::visit(
        Overloaded{
            [&](const ConvOp& conv) {
              LinearTensors(all.parameters, node.name,
                            {conv.channels, channels / conv.groups, conv.kernel_height, conv.kernel_width}, conv.bias);
            },
            [&](const DenseOp& dense) {
              LinearTensors(all.parameters, node.name, {dense.units, channels}, dense.bias);
            },
            [&](const NormOp& norm) {
              ChannelAffine(all.parameters, node.name, channels, norm.affine);
              if (norm.kind == NormKind::layer || norm.kind == NormKind::group) return;
              RunningTensors(all.buffers, node.name, norm.kind == NormKind::batch ? kRunningVariance : kRunningScale,
                             channels, norm.track);
            },
            [](const auto&) {}},
        node.op);
  }
  return all;
}

std::vector<Index> multiply_adds(const ModelGraph& graph) {
  const std::vector<FeatureShape> shapes = output_shapes(graph);
  std::vector<Index> counts;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Index channels = input_of(graph, i, shapes).channels;
    counts.push_back(std::visit(
        Overloaded{[&](const ConvOp& conv) {
                     return conv.kernel_height * conv.kernel_width * (channels / conv.groups) * shapes[i].size();
                   },
                   [&](const DenseOp& dense) { return channels * dense.units; }, [](const auto&) { return Index{0}; }},
        graph.nodes[i].op));
  }
  return counts;
}

std::vector<std::string> idle_biases(const ModelGraph& graph) {
  const std::vector<int> consumers = only_consumers(graph);
  const std::vector<FeatureShape> shapes = output_shapes(graph);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Op& op = graph.nodes[i].op;
    const auto* convolution = std::get_if<ConvOp>(&op);
    const auto* dense = std::get_if<DenseOp>(&op);
    if (!(convolution != nullptr && convolution->bias) && !(dense != nullptr && dense->bias)) continue;
    if (consumers[i] < 0) continue;
    const auto* norm = std::get_if<NormOp>(&graph.nodes[static_cast<std::size_t>(consumers[i])].op);
    if (norm == nullptr) continue;
    const bool single = norm->kind == NormKind::group && norm->groups == shapes[i].channels;
    if (single || norm->kind == NormKind::batch) names.push_back(graph.nodes[i].name + ".bias");
  }
  return names;
}

std::vector<int> only_consumers(const ModelGraph& graph) {
  constexpr int kSeveral = -2;
  std::vector<int> consumer(graph.nodes.size(), -1);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    for (const int input : graph.nodes[i].inputs) {
      if (input == kImages) continue;
      int& of_input = consumer[static_cast<std::size_t>(input)];
      of_input = of_input == -1 ? static_cast<int>(i) : kSeveral;
    }
  for (int& node : consumer) node = std::max(node, -1);
  return consumer;
}

}  // namespace gradscape
