#include "gradscape/nn/op_words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/nn/op_arguments.hpp"

namespace gradscape {
namespace {

// What each op's arguments are. `words` reads them into the op, writes them or names them.

template <class Words>
void describe_arguments(Words& words, ConvOp& op) {
  words.number("CHANNELS", op.channels, kPositiveCount);
  words.kernel(op.kernel_height, op.kernel_width);
  words.option("stride", op.stride, Index{1}, kPositiveCount);
  words.padding(op.padding);
  words.option("dilation", op.dilation, Index{1}, kPositiveCount);
  words.groups(op.groups);
  words.flag("no bias", op.bias, false, true);
}

template <class Words>
void describe_arguments(Words& words, DenseOp& op) {
  words.number("UNITS", op.units, kPositiveCount);
  words.flag("no bias", op.bias, false, true);
}

template <class Words>
void describe_arguments(Words& words, NormOp& op) {
  words.choice("batch | l1 | l2 | linf | layer | group GROUPS", norm_kinds(), op.kind);
  if (op.kind == NormKind::group) words.number("GROUPS", op.groups, kPositiveCount);
  const bool keeps_statistics = op.kind != NormKind::group && op.kind != NormKind::layer;
  words.option("eps", op.eps, 1e-5, kPositive);
  if (keeps_statistics) words.option("momentum", op.momentum, 0.1, Range{0, 1});
  words.flag("no affine", op.affine, false, true);
  if (keeps_statistics) words.flag("no track", op.track, false, true);
}

template <class Words>
void describe_arguments(Words& words, ActivationOp& op) {
  if (op.kind == ActivationKind::leaky_relu) words.number_or("SLOPE", op.a, 0.01, kFinite);
  if (op.kind == ActivationKind::elu) words.number_or("ALPHA", op.a, 1.0, kFinite);
  if (op.kind != ActivationKind::clip) return;
  words.number("LOW", op.a, kFinite);
  words.number("HIGH", op.b, kFinite);
}

template <class Words>
void describe_arguments(Words& words, PoolOp& op) {
  words.number("K", op.kernel, Range{1, 15});
  words.option("stride", op.stride, op.kernel, kPositiveCount);
  words.padding(op.padding);
  words.flag("ceil", op.ceil, true, false);
  if (op.kind == PoolKind::average) words.flag("exclude pad", op.exclude_padding, true, false);
}

template <class Words>
void describe_arguments(Words& words, GlobalPoolOp& op) {
  words.flag("max", op.kind, PoolKind::max, PoolKind::average);
}

template <class Words>
void describe_arguments(Words& words, PadOp& op) {
  words.sides(op.padding);
}

template <class Words>
void describe_arguments(Words& words, ShortcutOp& op) {
  words.number("STRIDE", op.stride, kPositiveCount);
  words.number("BEFORE", op.before, kCount);
  words.number("BEHIND", op.behind, kCount);
}

template <class Words>
void describe_arguments(Words& words, DropoutOp& op) {
  words.number("RATE", op.rate, Range{0, 1, false, true});
}

template <class Words>
void describe_arguments(Words& words, NoiseOp& op) {
  words.number("MEAN", op.options.mean, kNotNegative);
  words.number("SCALE", op.options.scale, kPositive);
  words.number("MEAN_SPREAD", op.options.mean_spread, kNotNegative);
  words.number("SCALE_SPREAD", op.options.scale_spread, kNotNegative);
}

template <class Words>
void describe_arguments(Words&, AddOp&) {}
template <class Words>
void describe_arguments(Words&, MulOp&) {}
template <class Words>
void describe_arguments(Words&, ConcatOp&) {}
template <class Words>
void describe_arguments(Words&, FlattenOp&) {}

/// The words of ops, each with an op as it is before its arguments are read.
const std::vector<std::pair<std::string, Op>>& ops() {
  static const auto list = [] {
    std::vector<std::pair<std::string, Op>> all = {{"conv", ConvOp{}}, {"dense", DenseOp{}}, {"norm", NormOp{}}};
    for (const std::string& name : activation_kinds().names())
      all.emplace_back(name, ActivationOp{activation_kinds().find(name)});
    for (const auto& [name, op] :
         std::initializer_list<std::pair<std::string, Op>>{{"maxpool", PoolOp{}},
                                                           {"avgpool", PoolOp{PoolKind::average}},
                                                           {"globalpool", GlobalPoolOp{}},
                                                           {"zeropad", PadOp{}},
                                                           {"shortcut", ShortcutOp{}},
                                                           {"add", AddOp{}},
                                                           {"mul", MulOp{}},
                                                           {"concat", ConcatOp{}},
                                                           {"flatten", FlattenOp{}},
                                                           {"dropout", DropoutOp{}},
                                                           {"noise", NoiseOp{}}})
      all.emplace_back(name, op);
    return all;
  }();
  return list;
}

/// The op of this word; null where there is none.
const Op* find_op(const std::string& name) {
  for (const auto& [known, op] : ops())
    if (known == name) return &op;
  return nullptr;
}

/// The word of an op: the first of its kind, and of its kind of activation or pooling.
const std::string& name_of(const Op& op) {
  for (const auto& [name, known] : ops()) {
    if (known.index() != op.index()) continue;
    if (const auto* activation = std::get_if<ActivationOp>(&op);
        activation != nullptr && std::get<ActivationOp>(known).kind != activation->kind)
      continue;
    if (const auto* pool = std::get_if<PoolOp>(&op); pool != nullptr && std::get<PoolOp>(known).kind != pool->kind)
      continue;
    return name;
  }
  throw std::logic_error("an op without a word");
}

}  // namespace

Word StatementWords::take() {
  const Word word = peek();
  if (more()) ++next_;
  return word;
}

void StatementWords::refuse(const Word& at, const std::string& what, const std::string& hint) const {
  throw UsageError(fmt::format("{}, line {}, column {}", *where_, at.line, at.column), what, hint);
}

std::string in_quotes(const std::string& word) {
  std::string text = abridge(word);
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return fmt::format("\"{}\"", text);
}

const std::vector<std::string>& op_names() {
  static const auto names = [] {
    std::vector<std::string> all;
    for (const auto& [name, op] : ops()) all.push_back(name);
    return all;
  }();
  return names;
}

Op read_op(StatementWords& words) {
  const Word word = words.take();
  const Op* known = find_op(word.text);
  if (known == nullptr) {
    const std::string near = nearest(word.text, op_names());
    words.refuse(word, fmt::format("there is no layer {}", in_quotes(word.text)),
                 near.empty() ? fmt::format("one of: {}", fmt::join(op_names(), ", "))
                              : fmt::format("did you mean {}? It is written as {}", near, op_form(near)));
  }
  Op op = *known;
  ArgumentReader reader(words, word.text);
  std::visit(
      [&](auto& kind) {
        describe_arguments(reader, kind);
        reader.finish();
      },
      op);
  return op;
}

std::string op_text(const Op& op) {
  ArgumentWriter writer;
  std::visit([&](auto kind) { describe_arguments(writer, kind); }, op);
  return name_of(op) + writer.text;
}

std::string op_form(const std::string& name) {
  FormWriter writer;
  std::visit([&](auto kind) { describe_arguments(writer, kind); }, *find_op(name));
  return name + writer.text;
}

}  // namespace gradscape
