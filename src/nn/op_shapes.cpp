#include "gradscape/nn/op_shapes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>
#include <limits>

namespace gradscape {
namespace {

/// Products of a node, and each of a node's numbers.
constexpr double kMostProducts = 1e18;
constexpr Index kMostOfANumber = Index{1} << 30;

Outcome refuse(const std::string& what, const std::string& hint = "") {
  return {{}, Misfit{what, hint}};
}

Outcome too_small(FeatureShape in, const std::string& window) {
  return {
      {},
      Misfit{fmt::format("{} does not fit into {}×{} pixels", window, in.height, in.width), "", Cure::larger_images}};
}

bool allowed(Index least, std::initializer_list<Index> numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [&](Index n) { return n >= least && n <= kMostOfANumber; });
}

bool allowed(const Padding& padding) {
  return allowed(0, {padding.top, padding.left, padding.bottom, padding.right});
}

std::string text_of(const Padding& p) {
  if (p == Padding(p.top)) return fmt::format("{}", p.top);
  return fmt::format("{} {} {} {}", p.top, p.left, p.bottom, p.right);
}

FeatureShape padded(FeatureShape in, const Padding& padding) {
  return {in.height + padding.height(), in.width + padding.width(), in.channels};
}

Outcome shape_of(const ConvOp& op, FeatureShape in) {
  if (!allowed(1, {op.channels, op.kernel_height, op.kernel_width, op.stride, op.dilation, op.groups}) ||
      !allowed(op.padding))
    return refuse(fmt::format("{} channels in {} groups, kernel {}×{}, stride {}, dilation {} and padding {} make no "
                              "convolution",
                              op.channels, op.groups, op.kernel_height, op.kernel_width, op.stride, op.dilation,
                              text_of(op.padding)),
                  "channels, groups, kernel, stride and dilation are 1 or more, the padding 0 or more");
  if (in.channels % op.groups != 0 || op.channels % op.groups != 0)
    return refuse(
        fmt::format("{} groups do not divide its channels, {} in and {} out", op.groups, in.channels, op.channels),
        "a number that divides both");
  const FeatureShape image = padded(in, op.padding);
  const Index height = op.dilation * (op.kernel_height - 1) + 1, width = op.dilation * (op.kernel_width - 1) + 1;
  if (image.height < height || image.width < width)
    return too_small(image, fmt::format("its kernel of {}×{}", height, width));
  return {convolved(op, in)};
}

Outcome shape_of(const DenseOp& op, FeatureShape in) {
  if (op.units < 1 || op.units > kMostOfANumber)
    return refuse(fmt::format("{} units make no dense layer", op.units), "1 or more");
  if (in.pixels() != 1) return refuse("a dense layer takes vectors", "put a flatten before it");
  return {{1, 1, op.units}};
}

Outcome shape_of(const NormOp& op, FeatureShape in) {
  if (!(op.eps > 0)) return refuse(fmt::format("eps = {} is not allowed", op.eps), "more than 0");
  if (!(op.momentum >= 0 && op.momentum <= 1))
    return refuse(fmt::format("momentum = {} is not allowed", op.momentum), "0 to 1");
  if (op.kind == NormKind::group && (op.groups < 1 || in.channels % op.groups != 0))
    return {{},
            Misfit{fmt::format("{} groups do not divide {} channels", op.groups, in.channels), "", Cure::other_groups}};
  return {in};
}

Outcome shape_of(const ActivationOp& op, FeatureShape in) {
  if (op.kind == ActivationKind::clip && !(op.a <= op.b))
    return refuse(fmt::format("clip from {} to {} leaves nothing", op.a, op.b), "the smaller number first");
  return {in};
}

Outcome shape_of(const PoolOp& op, FeatureShape in) {
  if (op.kernel < 1 || op.kernel > 15 || op.stride < 1 || op.stride > kMostOfANumber)
    return refuse(fmt::format("windows of {}×{} and stride {} are not allowed", op.kernel, op.kernel, op.stride),
                  "windows of 1 to 15, a stride of 1 or more");
  const Padding& p = op.padding;
  if (!allowed(p) || 2 * std::max({p.top, p.left, p.bottom, p.right}) > op.kernel)
    return refuse(fmt::format("padding {} with windows of {}×{} is not allowed", text_of(p), op.kernel, op.kernel),
                  "at most half a window: every window sees a pixel");
  const FeatureShape image = padded(in, p);
  if (image.height < op.kernel || image.width < op.kernel)
    return too_small(image, fmt::format("a window of {}×{}", op.kernel, op.kernel));
  return {pooled(op, in)};
}

Outcome shape_of(const GlobalPoolOp&, FeatureShape in) {
  return {{1, 1, in.channels}};
}

Outcome shape_of(const PadOp& op, FeatureShape in) {
  if (!allowed(op.padding)) return refuse("a padding of " + text_of(op.padding) + " is not allowed", "0 or more");
  return {padded(in, op.padding)};
}

Outcome shape_of(const ShortcutOp& op, FeatureShape in) {
  if (!allowed(1, {op.stride}) || !allowed(0, {op.before, op.behind}))
    return refuse(
        fmt::format("stride {} with {} and {} more channels make no shortcut", op.stride, op.before, op.behind),
        "a stride of 1 or more");
  return {{(in.height - 1) / op.stride + 1, (in.width - 1) / op.stride + 1, op.before + in.channels + op.behind}};
}

Outcome shape_of(const FlattenOp&, FeatureShape in) {
  return {{1, 1, in.size()}};
}

Outcome shape_of(const DropoutOp& op, FeatureShape in) {
  if (!(op.rate >= 0 && op.rate < 1))
    return refuse(fmt::format("rate = {} is not allowed", op.rate), "0 or more, and less than 1");
  return {in};
}

Outcome shape_of(const NoiseOp&, FeatureShape in) {
  return {in};
}

Outcome joined(const AddOp&, std::span<const FeatureShape> inputs) {
  for (const FeatureShape& other : inputs)
    if (!(other == inputs.front()))
      return refuse(fmt::format("{} and {} do not add", describe(inputs.front()), describe(other)),
                    "values of one shape: a shortcut of stride and channels like its block's makes them so");
  return {inputs.front()};
}

Outcome joined(const MulOp&, std::span<const FeatureShape> inputs) {
  const FeatureShape a = inputs[0], b = inputs[1];
  const bool fits = a.channels == b.channels && (a == b || a.pixels() == 1 || b.pixels() == 1);
  if (!fits)
    return refuse(fmt::format("{} and {} do not multiply", describe(a), describe(b)),
                  "values of one shape, or an image and a vector of as many channels");
  return {a.pixels() >= b.pixels() ? a : b};
}

Outcome joined(const ConcatOp&, std::span<const FeatureShape> inputs) {
  FeatureShape shape = inputs.front();
  for (const FeatureShape& other : inputs.subspan(1)) {
    if (other.height != shape.height || other.width != shape.width)
      return refuse(fmt::format("{} and {} have different pixels", describe(inputs.front()), describe(other)),
                    "channels are concatenated, of images of one height and width");
    shape.channels += other.channels;
  }
  return {shape};
}

/// Elements of a node's largest tensor.
double weights(const Op& op, FeatureShape in) {
  if (const auto* conv = std::get_if<ConvOp>(&op))
    return static_cast<double>(conv->channels) * static_cast<double>(in.channels / std::max<Index>(1, conv->groups)) *
           static_cast<double>(conv->kernel_height) * static_cast<double>(conv->kernel_width);
  if (const auto* dense = std::get_if<DenseOp>(&op))
    return static_cast<double>(dense->units) * static_cast<double>(in.channels);
  return 0;
}

template <class T>
constexpr bool kJoins = std::is_same_v<T, AddOp> || std::is_same_v<T, MulOp> || std::is_same_v<T, ConcatOp>;

/// Windows of `kernel` at every `stride` of a line of `size` with `padding` around it.
Index places(Index size, Index kernel, Index stride, Index before, Index behind, bool ceil) {
  const Index room = size + before + behind - kernel;
  Index count = (room + (ceil ? stride - 1 : 0)) / stride + 1;
  if ((count - 1) * stride >= size + before) --count;  // it would see nothing but what lies behind
  return count;
}

}  // namespace

FeatureShape convolved(const ConvOp& op, FeatureShape in) {
  const auto along = [&](Index size, Index kernel, Index padding) {
    return (size + padding - op.dilation * (kernel - 1) - 1) / op.stride + 1;
  };
  return {along(in.height, op.kernel_height, op.padding.height()), along(in.width, op.kernel_width, op.padding.width()),
          op.channels};
}

FeatureShape pooled(const PoolOp& op, FeatureShape in) {
  const Padding& p = op.padding;
  return {places(in.height, op.kernel, op.stride, p.top, p.bottom, op.ceil),
          places(in.width, op.kernel, op.stride, p.left, p.right, op.ceil), in.channels};
}

Arity arity(const Op& op) {
  if (std::holds_alternative<AddOp>(op) || std::holds_alternative<ConcatOp>(op))
    return {2, std::numeric_limits<std::size_t>::max()};
  if (std::holds_alternative<MulOp>(op)) return {2, 2};
  return {1, 1};
}

double elements(FeatureShape shape) {
  return static_cast<double>(shape.height) * static_cast<double>(shape.width) * static_cast<double>(shape.channels);
}

Outcome outcome_of(const Op& op, std::span<const FeatureShape> inputs) {
  Outcome outcome = std::visit(
      [&](const auto& kind) {
        if constexpr (kJoins<std::remove_cvref_t<decltype(kind)>>)
          return joined(kind, inputs);
        else
          return shape_of(kind, inputs.front());
      },
      op);
  const FeatureShape in = inputs.front();
  if (!outcome.misfit && (std::max(elements(outcome.shape), weights(op, in)) > kMostElements ||
                          weights(op, in) * static_cast<double>(outcome.shape.pixels()) > kMostProducts))
    return refuse("its value, its weight or its products are more than can be counted");
  return outcome;
}

}  // namespace gradscape
