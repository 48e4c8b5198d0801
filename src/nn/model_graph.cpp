#include "gradscape/nn/model_graph.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <optional>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

/// Elements of a value or a tensor, products of a node, and each of a node's numbers: what is counted stays far below
/// 2^63.
constexpr double kMostElements = 1e15;
constexpr double kMostProducts = 1e18;
constexpr Index kMostOfANumber = Index{1} << 30;

/// A remedy for a node that does not take its input: the hint's own, or one that only the whole graph can give.
enum class Cure { told, larger_images, other_groups };

/// Why an op does not take its input.
struct Misfit {
  std::string what;
  std::string hint = "";
  Cure cure = Cure::told;
};

/// What becomes of an input: its shape, or why there is none.
struct Outcome {
  FeatureShape shape;
  std::optional<Misfit> misfit = {};
};

Outcome refuse(const std::string& what, const std::string& hint = "") {
  return {{}, Misfit{what, hint}};
}

const char* word(NormKind kind) {
  switch (kind) {
    case NormKind::batch:
      return "batch norm";
    case NormKind::l1:
      return "l1 norm";
    case NormKind::l2:
      return "l2 norm";
    case NormKind::linf:
      return "linf norm";
    case NormKind::layer:
      return "layer norm";
    case NormKind::group:
      return "group norm";
  }
  throw std::logic_error("a kind of norm");
}

/// What windows at every `stride` pixels make of an image that has room for one.
FeatureShape windows(FeatureShape in, Index height, Index width, Index stride, Index channels) {
  return {(in.height - height) / stride + 1, (in.width - width) / stride + 1, channels};
}

Outcome too_small(FeatureShape in, const std::string& window) {
  return {
      {},
      Misfit{fmt::format("{} does not fit into {}×{} pixels", window, in.height, in.width), "", Cure::larger_images}};
}

Outcome outcome_of(const ConvOp& op, FeatureShape in) {
  const auto allowed = [](Index least, std::initializer_list<Index> numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [&](Index n) { return n >= least && n <= kMostOfANumber; });
  };
  if (!allowed(1, {op.channels, op.kernel_height, op.kernel_width, op.stride}) || !allowed(0, {op.padding}))
    return refuse(fmt::format("{} channels, kernel {}×{}, stride {} and padding {} make no convolution", op.channels,
                              op.kernel_height, op.kernel_width, op.stride, op.padding),
                  "channels, kernel and stride are 1 or more, the padding 0 or more");
  const FeatureShape padded = {in.height + 2 * op.padding, in.width + 2 * op.padding, in.channels};
  if (padded.height < op.kernel_height || padded.width < op.kernel_width)
    return too_small(padded, fmt::format("its kernel of {}×{}", op.kernel_height, op.kernel_width));
  return {windows(padded, op.kernel_height, op.kernel_width, op.stride, op.channels)};
}

Outcome outcome_of(const DenseOp& op, FeatureShape in) {
  if (op.units < 1 || op.units > kMostOfANumber)
    return refuse(fmt::format("{} units make no dense layer", op.units), "1 or more");
  if (in.pixels() != 1) return refuse("a dense layer takes vectors", "put a flatten before it");
  return {{1, 1, op.units}};
}

Outcome outcome_of(const NormOp& op, FeatureShape in) {
  if (!(op.eps > 0)) return refuse(fmt::format("eps = {} is not allowed", op.eps), "more than 0");
  if (!(op.momentum >= 0 && op.momentum <= 1))
    return refuse(fmt::format("momentum = {} is not allowed", op.momentum), "0 to 1");
  if (op.kind == NormKind::group && (op.groups < 1 || in.channels % op.groups != 0))
    return {{},
            Misfit{fmt::format("{} groups do not divide {} channels", op.groups, in.channels), "", Cure::other_groups}};
  return {in};
}

Outcome outcome_of(const ActivationOp&, FeatureShape in) {
  return {in};
}

Outcome outcome_of(const PoolOp& op, FeatureShape in) {
  if (op.kernel < 1 || op.kernel > 15 || op.stride < 1)
    return refuse(fmt::format("windows of {}×{} and stride {} are not allowed", op.kernel, op.kernel, op.stride),
                  "windows of 1 to 15, a stride of 1 or more");
  if (in.height < op.kernel || in.width < op.kernel)
    return too_small(in, fmt::format("a window of {}×{}", op.kernel, op.kernel));
  return {windows(in, op.kernel, op.kernel, op.stride, in.channels)};
}

Outcome outcome_of(const FlattenOp&, FeatureShape in) {
  return {{1, 1, in.size()}};
}

Outcome outcome_of(const DropoutOp& op, FeatureShape in) {
  if (!(op.rate >= 0 && op.rate < 1))
    return refuse(fmt::format("rate = {} is not allowed", op.rate), "0 or more, and less than 1");
  return {in};
}

Outcome outcome_of(const NoiseOp&, FeatureShape in) {
  return {in};
}

double elements(FeatureShape shape) {
  return static_cast<double>(shape.height) * static_cast<double>(shape.width) * static_cast<double>(shape.channels);
}

/// Elements of a node's largest tensor.
double weights(const Op& op, FeatureShape in) {
  if (const auto* conv = std::get_if<ConvOp>(&op))
    return static_cast<double>(conv->channels) * static_cast<double>(in.channels) *
           static_cast<double>(conv->kernel_height) * static_cast<double>(conv->kernel_width);
  if (const auto* dense = std::get_if<DenseOp>(&op))
    return static_cast<double>(dense->units) * static_cast<double>(in.channels);
  return 0;
}

/// The shape of an op's value for an input that has one.
Outcome outcome_of(const Op& op, FeatureShape in) {
  Outcome outcome = std::visit([&](const auto& kind) { return outcome_of(kind, in); }, op);
  if (!outcome.misfit && (std::max(elements(outcome.shape), weights(op, in)) > kMostElements ||
                          weights(op, in) * static_cast<double>(outcome.shape.pixels()) > kMostProducts))
    return refuse("its value, its weight or its products are more than can be counted");
  return outcome;
}

FeatureShape input_of(const ModelGraph& graph, std::size_t node, const std::vector<FeatureShape>& shapes) {
  const int input = graph.nodes[node].inputs.front();
  return input == kImages ? graph.input : shapes[static_cast<std::size_t>(input)];
}

/// Where an error lies.
std::string place(const Node& node) {
  return "network, " + label(node);
}

/// UsageError unless names are there where parameters need them and used once, and every node takes one earlier value.
void require_sound(const ModelGraph& graph) {
  if (graph.nodes.empty()) throw UsageError("network", "has no nodes", "it takes one dense layer at least");
  std::set<std::string> names;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const bool unnamed = node.name.empty();
    if (unnamed && (std::holds_alternative<ConvOp>(node.op) || std::holds_alternative<DenseOp>(node.op) ||
                    std::holds_alternative<NormOp>(node.op)))
      throw UsageError(fmt::format("network, node {}", i), fmt::format("{} has no name", describe(node.op)),
                       "its parameters are called by it");
    if (!unnamed && !names.insert(node.name).second)
      throw UsageError(place(node), "is the name of two nodes", "parameters are told apart by it");
    if (node.inputs.size() != 1)
      throw UsageError(place(node), fmt::format("{} takes one input, not {}", describe(node.op), node.inputs.size()));
    for (const int input : node.inputs)
      if (input < kImages || input >= static_cast<int>(i))
        throw UsageError(place(node), fmt::format("its input {} is no node before it", input),
                         fmt::format("nodes are in the order of evaluation, and this is number {}", i));
  }
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
    const Outcome outcome = outcome_of(graph.nodes[i].op, input_of(graph, i, shapes));
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

std::string describe(const Op& op) {
  return std::visit(Overloaded{[](const ConvOp& conv) {
                                 std::string text = fmt::format("conv {}×{}", conv.kernel_height, conv.kernel_width);
                                 if (conv.stride != 1) text += fmt::format(" stride {}", conv.stride);
                                 return text;
                               },
                               [](const DenseOp&) { return std::string("dense"); },
                               [](const NormOp& norm) {
                                 return norm.kind == NormKind::group ? fmt::format("group norm in {}", norm.groups)
                                                                     : std::string(word(norm.kind));
                               },
                               [](const ActivationOp&) { return std::string("relu"); },
                               [](const PoolOp& pool) {
                                 return fmt::format("{} pool {}×{}", pool.kind == PoolKind::max ? "max" : "average",
                                                    pool.kernel, pool.kernel);
                               },
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
    throw UsageError(place(node),
                     fmt::format("{} with an input of {}: {}", describe(node.op),
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
        place(graph.nodes.back()),
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
    std::visit(Overloaded{[&](const ConvOp& conv) {
                            LinearTensors(all.parameters, node.name,
                                          {conv.channels, channels, conv.kernel_height, conv.kernel_width}, conv.bias);
                          },
                          [&](const DenseOp& dense) {
                            LinearTensors(all.parameters, node.name, {dense.units, channels}, dense.bias);
                          },
                          [&](const NormOp& norm) {
                            ChannelAffine(all.parameters, node.name, channels, norm.affine);
                            if (norm.kind == NormKind::layer || norm.kind == NormKind::group) return;
                            RunningTensors(all.buffers, node.name,
                                           norm.kind == NormKind::batch ? kRunningVariance : kRunningScale, channels,
                                           norm.track);
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
        Overloaded{
            [&](const ConvOp& conv) { return conv.kernel_height * conv.kernel_width * channels * shapes[i].size(); },
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
