#include "gradscape/nn/op_words.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/named_table.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/core/number.hpp"

namespace gradscape {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Range kPositiveCount{1, 1 << 30};
constexpr Range kCount{0, 1 << 30};
constexpr Range kFinite{-kInfinity, kInfinity, true, true};
constexpr Range kPositive{0, kInfinity, true, true};
constexpr Range kNotNegative{0, kInfinity, false, true};

const NamedTable<NormKind>& norm_kinds() {
  static const NamedTable<NormKind> table("norm", {{"batch", NormKind::batch},
                                                   {"l1", NormKind::l1},
                                                   {"l2", NormKind::l2},
                                                   {"linf", NormKind::linf},
                                                   {"layer", NormKind::layer},
                                                   {"group", NormKind::group}});
  return table;
}

/// Whether all sides have the same padding.
bool is_even(const Padding& padding) {
  return padding == Padding(padding.top);
}

/// Reads arguments: those with a place as they are described, then the named ones, in any order.
class ArgumentReader {
 public:
  ArgumentReader(StatementWords& words, std::string op) : words_(words), op_(std::move(op)) {}

  void number(const char* name, Index& value, const Range& range) { value = read<Index>(name, range); }
  void number(const char* name, double& value, const Range& range) { value = read<double>(name, range); }

  /// Left out where no further word is a number's place.
  void number_or(const char* name, double& value, double standard, const Range& range) {
    value = at_end() ? standard : read<double>(name, range);
  }

  void kernel(Index& height, Index& width) {
    const Word word = need("KxK");
    const std::size_t cross = word.text.find('x');
    if (cross == std::string::npos || !parse(word.text.substr(0, cross), kPositiveCount, height) ||
        !parse(word.text.substr(cross + 1), kPositiveCount, width))
      words_.refuse(word, fmt::format("{} is no kernel", in_quotes(word.text)), "its height and width, as in 3x3");
  }

  template <class Value>
  void choice(const char*, const NamedTable<Value>& table, Value& value) {
    const Word word = need("its kind");
    for (const std::string& known : table.names())
      if (known == word.text) return void(value = table.find(known));
    refuse_unknown(word, fmt::format("{} is no {}", in_quotes(word.text), op_), table.names());
  }

  void sides(Padding& padding) { padding = read_sides(op_); }

  void option(const char* word, Index& value, Index standard, const Range& range) {
    value = standard;
    add(word, word, [this, word, &value, range] { value = read<Index>(word, range); });
  }
  void option(const char* word, double& value, double standard, const Range& range) {
    value = standard;
    add(word, word, [this, word, &value, range] { value = read<double>(word, range); });
  }
  void padding(Padding& value) {
    add("pad", "pad", [this, &value] { value = read_sides("pad"); });
  }
  /// A word or two that make `value` what it otherwise is not.
  template <class Value>
  void flag(const char* words, Value& value, Value set, Value standard) {
    value = standard;
    add(words, words, [&value, set] { value = set; });
  }
  void groups(Index& value) {
    option("groups", value, 1, kPositiveCount);
    add("depthwise", "groups", [&value] { value = 0; });
  }

  /// Reads the named arguments.
  void finish() {
    std::set<std::string> seen;
    while (!at_end()) {
      Word word = words_.take();
      if ((word.text == "no" || word.text == "exclude") && !at_end())
        word.text = fmt::format("{} {}", word.text, words_.take().text);
      const auto found =
          std::find_if(options_.begin(), options_.end(), [&](const Option& o) { return o.word == word.text; });
      if (found == options_.end()) {
        std::vector<std::string> names;
        for (const Option& option : options_) names.push_back(option.word);
        refuse_unknown(word, fmt::format("{} takes no {}", op_, in_quotes(word.text)), names);
      }
      if (!seen.insert(found->what).second)
        words_.refuse(word, fmt::format("{} is given twice", found->what), "once is enough");
      found->read();
    }
  }

 private:
  struct Option {
    std::string word;
    std::string what;  // options that say the same are alternatives
    std::function<void()> read;
  };

  bool at_end() const { return !words_.more() || words_.peek().text == "from"; }

  void add(const char* word, const char* what, std::function<void()> read) {
    options_.push_back({word, what, std::move(read)});
  }

  Word need(const std::string& name) {
    if (at_end()) words_.refuse(words_.peek(), fmt::format("{} is missing", name), "it is written as " + op_form(op_));
    return words_.take();
  }

  template <class T>
  static bool parse(const std::string& text, const Range& range, T& value) {
    return parse_number(text, value) && range.contains(static_cast<double>(value));
  }

  template <class T>
  T read(const std::string& name, const Range& range) {
    const Word word = need(name);
    T value = 0;
    if (!parse(word.text, range, value))
      words_.refuse(word, fmt::format("{}: {} is not allowed", name, in_quotes(word.text)),
                    fmt::format("a {} {}", std::is_same_v<T, Index> ? "whole number" : "number", range.text()));
    return value;
  }

  /// One number, of all sides, or four.
  Padding read_sides(const std::string& name) {
    const auto side = [&] { return read<Index>(name, kCount); };
    Index number = 0;
    const auto more = [&] { return !at_end() && parse_number(words_.peek().text, number); };
    const Index top = side();
    if (!more()) return top;
    const Index left = side();
    const Word& third = words_.peek();
    if (!more()) words_.refuse(third, name + " has two numbers", "one, of all sides, or TOP LEFT BOTTOM RIGHT");
    const Index bottom = side();
    if (!more())
      words_.refuse(words_.peek(), name + " has three numbers", "one, of all sides, or TOP LEFT BOTTOM RIGHT");
    return {top, left, bottom, side()};
  }

  [[noreturn]] void refuse_unknown(const Word& word, const std::string& what, const std::vector<std::string>& known) {
    const std::string near = nearest(word.text, known);
    words_.refuse(word, what,
                  (near.empty() ? "" : fmt::format("did you mean {}? ", near)) + "It is written as " + op_form(op_));
  }

  StatementWords& words_;
  std::string op_;
  std::vector<Option> options_;
};

/// Writes arguments that differ from what they are when left out.
class ArgumentWriter {
 public:
  void number(const char*, Index value, const Range&) { add(value); }
  void number(const char*, double value, const Range&) { add(value); }
  void number_or(const char*, double value, double standard, const Range&) {
    if (value != standard) add(value);
  }
  void kernel(Index height, Index width) { text += fmt::format(" {}x{}", height, width); }
  template <class Value>
  void choice(const char*, const NamedTable<Value>& table, Value value) {
    add(table.name(value));
  }
  void sides(const Padding& p) {
    text += is_even(p) ? fmt::format(" {}", p.top) : fmt::format(" {} {} {} {}", p.top, p.left, p.bottom, p.right);
  }
  template <class T>
  void option(const char* word, T value, T standard, const Range&) {
    if (value != standard) text += fmt::format(" {} {}", word, value);
  }
  void padding(const Padding& value) {
    if (value == Padding()) return;
    add("pad");
    sides(value);
  }
  template <class Value>
  void flag(const char* words, Value value, Value set, Value) {
    if (value == set) add(words);
  }
  void groups(Index value) { option<Index>("groups", value, 1, kPositiveCount); }

  std::string text;

 private:
  template <class T>
  void add(const T& word) {
    text += fmt::format(" {}", word);
  }
};

/// Writes the names of arguments.
class FormWriter {
 public:
  template <class T>
  void number(const char* name, T, const Range&) {
    add(name);
  }
  void number_or(const char* name, double, double, const Range&) { text += fmt::format(" [{}]", name); }
  void kernel(Index, Index) { add("KxK"); }
  template <class Value>
  void choice(const char* form, const NamedTable<Value>&, Value) {
    add(form);
  }
  void sides(const Padding&) { add("P or TOP LEFT BOTTOM RIGHT"); }
  template <class T>
  void option(const char* word, T, T, const Range&) {
    text += fmt::format(" [{} N]", word);
  }
  void padding(const Padding&) { add("[pad P]"); }
  template <class Value>
  void flag(const char* words, Value, Value, Value) {
    text += fmt::format(" [{}]", words);
  }
  void groups(Index) { add("[groups N | depthwise]"); }

  std::string text;

 private:
  void add(const char* word) { text += fmt::format(" {}", word); }
};

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
