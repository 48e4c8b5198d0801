// What a network is, as plain data. Shapes, parameters and costs follow from it by pure functions; compile.hpp makes a
// Network of it.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "gradscape/core/named_table.hpp"
#include "gradscape/nn/activation_noise.hpp"
#include "gradscape/nn/layout.hpp"
#include "gradscape/nn/loss.hpp"

namespace gradscape {

/// Cross-correlation of images with zeros around them (torch.nn.Conv2d): [H, W, Cin] → [H', W', channels],
/// H' = (H + top + bottom − dilation·(kernel_height − 1) − 1) / stride + 1, rounded down. Channels in `groups`: outputs
/// of a group see the inputs of that group alone; its weight is [channels, Cin/groups, kernel_height, kernel_width].
struct ConvOp {
  Index channels = 0;
  Index kernel_height = 3;
  Index kernel_width = 3;
  Index stride = 1;
  Padding padding = {};
  bool bias = true;
  Index dilation = 1;
  Index groups = 1;
  bool operator==(const ConvOp&) const = default;
};

/// [1, 1, in] → [1, 1, units].
struct DenseOp {
  Index units = 0;
  bool bias = true;
  bool operator==(const DenseOp&) const = default;
};

enum class NormKind { batch, l1, l2, linf, layer, group };

/// Normalisation of channels over the batch (batch, l1, l2, linf), or of each sample in groups of channels.
struct NormOp {
  NormKind kind = NormKind::batch;
  double eps = 1e-5;
  bool affine = true;     // γ and β are learned
  double momentum = 0.1;  // batch, l1, l2, linf: of the running statistics
  bool track = true;      // likewise: there are running statistics
  Index groups = 1;       // group; layer: one
  bool operator==(const NormOp&) const = default;
};

/// As torch.nn names them: gelu by the error function, gelu_tanh by its approximation.
enum class ActivationKind {
  relu,
  leaky_relu,
  elu,
  clip,
  sigmoid,
  hard_sigmoid,
  tanh,
  silu,
  hard_swish,
  gelu,
  gelu_tanh
};

struct ActivationOp {
  ActivationKind kind = ActivationKind::relu;
  double a = 0;  // leaky_relu: slope below 0; elu: α; clip: the least value
  double b = 0;  // clip: the largest
  bool operator==(const ActivationOp&) const = default;
};

enum class PoolKind { max, average };

/// Over windows kernel × kernel (torch.nn.MaxPool2d, AvgPool2d): [H, W, C] → [H', W', C],
/// H' = (H + top + bottom − kernel) / stride + 1, rounded down or, with `ceil`, up, but no window begins behind image
/// and padding in front. Padding is below every number for a maximum; for a mean it is 0, and counts among the pixels
/// unless `exclude_padding` (what `ceil` adds behind the padding never counts).
struct PoolOp {
  PoolKind kind = PoolKind::max;
  Index kernel = 2;
  Index stride = 2;
  Padding padding = {};
  bool ceil = false;
  bool exclude_padding = false;
  bool operator==(const PoolOp&) const = default;
};

/// Over all pixels: [H, W, C] → [1, 1, C].
struct GlobalPoolOp {
  PoolKind kind = PoolKind::average;
  bool operator==(const GlobalPoolOp&) const = default;
};

/// Zeros around the image: [H, W, C] → [H + top + bottom, W + left + right, C].
struct PadOp {
  Padding padding = {};
  bool operator==(const PadOp&) const = default;
};

/// The shortcut without parameters of a residual network (He et al. 2015, option A): every stride-th pixel, and zero
/// channels before and behind: [H, W, C] → [⌈H/stride⌉, ⌈W/stride⌉, before + C + behind].
struct ShortcutOp {
  Index stride = 2;
  Index before = 0;
  Index behind = 0;
  bool operator==(const ShortcutOp&) const = default;
};

/// Sum of two values or more of one shape.
struct AddOp {
  bool operator==(const AddOp&) const = default;
};

/// Product of two values of one shape, or of an image and a value [1, 1, C] of as many channels, in either order.
struct MulOp {
  bool operator==(const MulOp&) const = default;
};

/// The channels of two values or more of one height and width, one after the other.
struct ConcatOp {
  bool operator==(const ConcatOp&) const = default;
};

/// [H, W, C] → [1, 1, C·H·W].
struct FlattenOp {
  bool operator==(const FlattenOp&) const = default;
};

struct DropoutOp {
  double rate = 0;
  bool operator==(const DropoutOp&) const = default;
};

/// Noise on activations in train mode.
struct NoiseOp {
  NoiseOptions options;
  bool operator==(const NoiseOp&) const = default;
};

using Op = std::variant<ConvOp, DenseOp, NormOp, ActivationOp, PoolOp, GlobalPoolOp, PadOp, ShortcutOp, AddOp, MulOp,
                        ConcatOp, FlattenOp, DropoutOp, NoiseOp>;

/// One module of the network.
struct Node {
  Op op;
  std::string name;         // PyTorch's: "features.3"; empty of modules that a PyTorch network would not have
  std::vector<int> inputs;  // nodes before this one whose values it takes, or kImages
  bool operator==(const Node&) const = default;
};

/// The nodes in the order of evaluation, which is also that of their parameters in theta. The last one's value is the
/// network's output, one number for each class. Where they stand in a text makes no difference between two graphs.
struct ModelGraph {
  FeatureShape input;  // of one image
  std::vector<Node> nodes;
  Loss loss = Loss::cross_entropy;
  double label_smoothing = 0;   // of cross-entropy: evaluate_loss()
  double loss_decay = 0;        // weight decay inside of the loss: add_decay()
  std::vector<int> lines = {};  // of each node in the text that it was read from, for messages; empty: of none
  bool operator==(const ModelGraph& other) const {
    return input == other.input && nodes == other.nodes && loss == other.loss &&
           label_smoothing == other.label_smoothing && loss_decay == other.loss_decay;
  }
};

/// The names of norms: "batch", "l1", …
const NamedTable<NormKind>& norm_kinds();

/// The names of activations: "relu", "leaky-relu", …
const NamedTable<ActivationKind>& activation_kinds();

/// Whether it can have parameters or statistics, which are called by its node's name.
bool has_tensors(const Op& op);

/// In words, without shapes: "conv 3×3", "group norm in 8", "max pool 2×2".
std::string describe(const Op& op);

/// A node as messages name it: by its name or, without one, by its op.
std::string label(const Node& node);

/// "32×32×3": height, width, channels.
std::string describe(FeatureShape shape);

/// The shape of every node's value. UsageError naming the node, its input and what would fit: a window or kernel larger
/// than its image, groups that do not divide the channels, images where a vector is wanted, a name used twice, an input
/// that is no earlier node, an option out of its range, values that do not add, an output that is no vector, a node
/// whose value nobody takes.
std::vector<FeatureShape> output_shapes(const ModelGraph& graph);

/// Every tensor of the network, in the order of the nodes.
struct Layouts {
  Layout parameters;
  Layout buffers;
};
Layouts layouts(const ModelGraph& graph);

/// Multiplications with an addition that each node's definition takes per image; 0 of nodes that are not products.
std::vector<Index> multiply_adds(const ModelGraph& graph);

/// Biases that batch norm behind them, or group norm in groups of one channel, takes out with the mean: their gradient
/// is 0 by definition, and what rounding leaves of it otherwise.
std::vector<std::string> idle_biases(const ModelGraph& graph);

/// For each node the one node that takes its value; -1 where none or several do.
std::vector<int> only_consumers(const ModelGraph& graph);

}  // namespace gradscape
