#include "gradscape/nn/compile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/nn/activation.hpp"
#include "gradscape/nn/activation_noise.hpp"
#include "gradscape/nn/batch_norm.hpp"
#include "gradscape/nn/convolution.hpp"
#include "gradscape/nn/dense.hpp"
#include "gradscape/nn/group_norm.hpp"
#include "gradscape/nn/grouped_convolution.hpp"
#include "gradscape/nn/join.hpp"
#include "gradscape/nn/lp_norm.hpp"
#include "gradscape/nn/op_shapes.hpp"
#include "gradscape/nn/pooling.hpp"

namespace gradscape {
namespace {

BatchNormOptions batch_options(const NormOp& norm) {
  return {norm.eps, norm.momentum, norm.affine, norm.track};
}

/// Makes layers of groups of nodes, in order: their tensors and random numbers are addressed by what came before.
template <class S>
class LayerMaker {
 public:
  LayerMaker(const ModelGraph& graph, Engine engine, NetworkParts<S>& parts)
      : graph_(graph), engine_(engine), parts_(parts) {}

  std::unique_ptr<Layer<S>> make(const std::vector<int>& group, const std::vector<FeatureShape>& inputs) {
    const Node& first = node(group.front());
    return std::visit(
        [&](const auto& op) {
          return make(op, Site{first.name, group, inputs.front(), inputs});
        },
        first.op);
  }

 private:
  using LayerPointer = std::unique_ptr<Layer<S>>;

  /// Where a layer stands: its first node's name, all its nodes, and the shapes of its inputs, the first one `in`.
  struct Site {
    const std::string& name;
    const std::vector<int>& group;
    FeatureShape in;
    const std::vector<FeatureShape>& inputs;
  };

  const Node& node(int number) const { return graph_.nodes[static_cast<std::size_t>(number)]; }

  /// With what the group has behind the convolution.
  LayerPointer make(const ConvOp& op, const Site& at) {
    if (op.groups != 1)
      return std::make_unique<GroupedConvolution<S>>(parts_.parameters, at.name, at.in, op, linear_ordinal_++);
    ConvolutionOptions options{op.channels, op.kernel_height, op.kernel_width, op.stride, op.padding, op.bias};
    options.dilation = op.dilation;
    options.by_ranges = branches_;
    std::string norm_name;
    for (std::size_t i = 1; i < at.group.size(); ++i) {
      const Node& behind = node(at.group[i]);
      if (const auto* norm = std::get_if<NormOp>(&behind.op)) {
        options.norm = batch_options(*norm);
        norm_name = behind.name;
      }
      options.relu |= std::holds_alternative<ActivationOp>(behind.op);
      options.max_pool |= std::holds_alternative<PoolOp>(behind.op);
    }
    return std::make_unique<Convolution<S>>(parts_.parameters, parts_.buffers, at.name, norm_name, at.in, options,
                                            linear_ordinal_++, engine_);
  }

  LayerPointer make(const DenseOp& op, const Site& at) {
    return std::make_unique<Dense<S>>(parts_.parameters, at.name, at.in.channels, op.units, op.bias, linear_ordinal_++);
  }

  LayerPointer make(const NormOp& op, const Site& at) {
    const auto lp_norm = [&](LpKind kind) {
      return std::make_unique<LpNorm<S>>(parts_.parameters, parts_.buffers, at.name, at.in, kind, batch_options(op));
    };
    const auto group_norm = [&](Index groups) {
      return std::make_unique<GroupNorm<S>>(parts_.parameters, at.name, at.in,
                                            GroupNormOptions{groups, op.eps, op.affine});
    };
    switch (op.kind) {
      case NormKind::batch:
        return std::make_unique<BatchNorm<S>>(parts_.parameters, parts_.buffers, at.name, at.in, batch_options(op));
      case NormKind::l1:
        return lp_norm(LpKind::l1);
      case NormKind::l2:
        return lp_norm(LpKind::l2);
      case NormKind::linf:
        return lp_norm(LpKind::linf);
      case NormKind::layer:
        return group_norm(1);
      case NormKind::group:
        return group_norm(op.groups);
    }
    throw std::logic_error("a kind of norm");
  }

  LayerPointer make(const ActivationOp& op, const Site& at) {
    if (op.kind == ActivationKind::relu) return std::make_unique<Relu<S>>(at.in);
    return std::make_unique<Activation<S>>(at.in, op);
  }

  LayerPointer make(const PoolOp& op, const Site& at) {
    if (op.kind == PoolKind::max) return std::make_unique<MaxPool<S>>(at.in, op);
    return std::make_unique<AveragePool<S>>(at.in, op);
  }

  LayerPointer make(const GlobalPoolOp& op, const Site& at) { return std::make_unique<GlobalPool<S>>(at.in, op.kind); }

  LayerPointer make(const PadOp& op, const Site& at) {
    return std::make_unique<Place<S>>(
        Placement{.in = at.in, .out = value_of(op, at), .top = op.padding.top, .left = op.padding.left},
        describe(Op(op)));
  }

  LayerPointer make(const ShortcutOp& op, const Site& at) {
    return std::make_unique<Place<S>>(
        Placement{.in = at.in, .out = value_of(op, at), .stride = op.stride, .before = op.before}, describe(Op(op)));
  }

  LayerPointer make(const AddOp&, const Site& at) { return std::make_unique<Add<S>>(at.inputs, at.group.size() > 1); }

  LayerPointer make(const MulOp& op, const Site& at) {
    return std::make_unique<Multiply<S>>(at.inputs, value_of(op, at));
  }

  LayerPointer make(const ConcatOp& op, const Site& at) {
    return std::make_unique<Concat<S>>(at.inputs, value_of(op, at));
  }

  /// The shape of an op's value there.
  static FeatureShape value_of(const Op& op, const Site& at) { return outcome_of(op, at.inputs).shape; }

  LayerPointer make(const FlattenOp&, const Site& at) { return std::make_unique<Flatten<S>>(at.in); }

  LayerPointer make(const DropoutOp& op, const Site& at) {
    return std::make_unique<Dropout<S>>(at.in, op.rate, dropout_ordinal_++);
  }

  LayerPointer make(const NoiseOp& op, const Site& at) {
    return std::make_unique<ActivationNoise<S>>(at.in, op.options, noise_ordinal_++);
  }

  const ModelGraph& graph_;
  // Chains keep the order of sums that they have had before there were others: files of older programs hold their bits.
  bool branches_ =
      std::any_of(graph_.nodes.begin(), graph_.nodes.end(), [](const Node& n) { return n.inputs.size() > 1; });
  Engine engine_;
  NetworkParts<S>& parts_;
  std::uint32_t linear_ordinal_ = 0;
  std::uint32_t dropout_ordinal_ = 0;
  std::uint32_t noise_ordinal_ = 0;
};

/// Where the layers' parameters begin in theta; then where the last one's end.
using Offsets = std::vector<Index>;

/// The convolutions and dense layers, each with the norm and the noise directly behind it. `layer_of`: each node's
/// layer.
std::vector<LayerBlock> find_blocks(const ModelGraph& graph, const std::vector<std::size_t>& layer_of,
                                    const Offsets& offsets) {
  const std::vector<int> consumer = only_consumers(graph);
  const auto is = [&]<class Kind>(std::in_place_type_t<Kind>, int node) {
    return node >= 0 && std::holds_alternative<Kind>(graph.nodes[static_cast<std::size_t>(node)].op);
  };
  const auto layer = [&](int node) { return layer_of[static_cast<std::size_t>(node)]; };
  std::vector<LayerBlock> blocks;
  for (int node = 0; node < static_cast<int>(graph.nodes.size()); ++node) {
    if (!is(std::in_place_type<ConvOp>, node) && !is(std::in_place_type<DenseOp>, node)) continue;
    LayerBlock block{graph.nodes[static_cast<std::size_t>(node)].name, offsets[layer(node)], offsets[layer(node) + 1],
                     layer(node), std::nullopt};
    int next = consumer[static_cast<std::size_t>(node)];
    if (is(std::in_place_type<NormOp>, next) &&
        (layer(next) == layer(node) || offsets[layer(node) + 1] == offsets[layer(next)])) {
      block.end = offsets[layer(next) + 1];
      if (layer(next) != layer(node)) block.norm = layer(next);
      block.output = layer(next);
      next = consumer[static_cast<std::size_t>(next)];
    }
    if (is(std::in_place_type<NoiseOp>, next)) block.output = layer(next);
    blocks.push_back(block);
  }
  return blocks;
}

}  // namespace

template <class S>
std::unique_ptr<Network<S>> compile(const ModelGraph& graph, Engine engine, Fusion fusion) {
  const Layouts expected = layouts(graph);
  NetworkParts<S> parts;
  parts.input = graph.input;
  parts.loss = graph.loss;
  parts.label_smoothing = graph.label_smoothing;
  parts.loss_decay = graph.loss_decay;
  std::vector<std::size_t> layer_of(graph.nodes.size());
  Offsets offsets = {0};
  LayerMaker<S> maker(graph, engine, parts);
  for (const std::vector<int>& group : fuse(graph, fusion)) {
    std::vector<int> inputs;
    std::vector<FeatureShape> shapes;
    for (const int input : graph.nodes[static_cast<std::size_t>(group.front())].inputs) {
      inputs.push_back(input == kImages ? kImages : static_cast<int>(layer_of[static_cast<std::size_t>(input)]));
      shapes.push_back(inputs.back() == kImages ? graph.input
                                                : parts.layers[static_cast<std::size_t>(inputs.back())]->out());
    }
    for (const int node : group) layer_of[static_cast<std::size_t>(node)] = parts.layers.size();
    parts.layers.push_back(maker.make(group, shapes));
    parts.inputs.push_back(inputs);
    parts.trainable.push_back(parts.parameters.size() > offsets.back());
    offsets.push_back(parts.parameters.size());
  }
  check(parts.parameters == expected.parameters && parts.buffers == expected.buffers,
        "the layers have the tensors that their graph says");
  parts.blocks = find_blocks(graph, layer_of, offsets);
  return std::make_unique<Network<S>>(std::move(parts));
}

template std::unique_ptr<Network<float>> compile<float>(const ModelGraph&, Engine, Fusion);
template std::unique_ptr<Network<double>> compile<double>(const ModelGraph&, Engine, Fusion);

}  // namespace gradscape
