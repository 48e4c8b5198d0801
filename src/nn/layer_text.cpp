#include "gradscape/nn/layer_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/nn/op_shapes.hpp"
#include "gradscape/nn/op_words.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kDeepest = 16;       // repeats in repeats
constexpr std::size_t kLongestName = 200;  // bytes, as it is written
constexpr const char* kStatement = "[NAME:] LAYER [ARGUMENTS] [from VALUE, …]";

struct Item;

/// repeat COUNT PREFIX from FIRST { body }; the whole text is one, too.
struct Block {
  Index count = 1;
  std::string prefix;
  Index first = 0;
  Word at;  // of `repeat`
  std::vector<Item> body;
};

/// A statement, or the repeat in its place.
struct Item {
  std::string name;
  Op op;
  std::vector<Word> from;
  Word at;  // its first word
  std::optional<Block> repeat;
};

/// The words of a line: blanks part them, and : , { } are words of their own.
StatementWords words_of(const std::string& line, int number, const std::string& where) {
  std::vector<Word> words;
  int column = 0;
  bool inside = false;
  for (const char c : line) {
    if (c == '#') break;
    if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) ++column;  // characters of UTF-8, not bytes
    const bool blank = c == ' ' || c == '\t' || c == '\r';
    const bool mark = std::string_view(":,{}").find(c) != std::string_view::npos;
    if (!blank && (mark || !inside)) words.push_back({"", number, column});
    if (!blank) words.back().text += c;
    inside = !blank && !mark;
  }
  return {where, std::move(words), {"", number, column + 1}};
}

void check_name(const StatementWords& words, const Word& name) {
  const bool good = std::all_of(name.text.begin(), name.text.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
           c == '.';
  });
  if (!good || name.text.empty() || name.text.size() > kLongestName)
    words.refuse(name, fmt::format("{} is no name", in_quotes(name.text)),
                 fmt::format("letters, digits, _, - and ., at most {}", kLongestName));
  if (name.text == "input") words.refuse(name, "\"input\" is the images' own name", "take another");
}

/// UsageError where words are left.
void require_end(const StatementWords& words, const char* hint) {
  if (words.more()) words.refuse(words.peek(), fmt::format("{} is not expected", in_quotes(words.peek().text)), hint);
}

Index read_count(StatementWords& words, const char* what, const Range& range) {
  const Word word = words.take();
  Index value = 0;
  if (!parse_number(word.text, value) || !range.contains(static_cast<double>(value)))
    words.refuse(word, fmt::format("{}: {} is not allowed", what, in_quotes(word.text)),
                 fmt::format("a whole number {}: repeat COUNT PREFIX [from FIRST] {{", range.text()));
  return value;
}

Block read_repeat(StatementWords& words) {
  Block block;
  block.at = words.take();
  block.count = read_count(words, "COUNT", {1, kMostNodes});
  const Word prefix = words.take();
  check_name(words, prefix);
  block.prefix = prefix.text;
  if (words.peek().text == "from") {
    words.take();
    block.first = read_count(words, "FIRST", {0, 1 << 30});
  }
  if (words.peek().text != "{") words.refuse(words.peek(), "a { is expected", "repeat COUNT PREFIX [from FIRST] {");
  words.take();
  require_end(words, "what is repeated stands on lines of its own");
  return block;
}

/// The values behind `from`.
std::vector<Word> read_values(StatementWords& words) {
  std::vector<Word> values;
  while (true) {
    const Word value = words.take();
    if (value.text.empty() || value.text == ",") words.refuse(value, "a value is missing", "from VALUE, VALUE, …");
    values.push_back(value);
    if (!words.more()) return values;
    if (words.peek().text != ",")
      words.refuse(words.peek(), fmt::format("{} is not expected", in_quotes(words.peek().text)),
                   "commas part values: from VALUE, VALUE, …");
    words.take();
  }
}

/// "one value", "two values", "two values or more"
std::string describe(const Arity& takes) {
  return takes.most == 1 ? "one value" : takes.least == takes.most ? "two values" : "two values or more";
}

Item read_statement(StatementWords& words) {
  Item item;
  item.at = words.peek();
  if (words.peek(1).text == ":") {
    const Word name = words.take();
    check_name(words, name);
    item.name = name.text;
    words.take();
    if (!words.more()) words.refuse(words.peek(), "a layer is missing", kStatement);
  }
  const Word op = words.peek();
  item.op = read_op(words);
  if (words.more()) {  // `from`
    words.take();
    item.from = read_values(words);
  }
  const Arity takes = arity(item.op);
  const std::size_t given = std::max<std::size_t>(item.from.size(), 1);
  if (given < takes.least || given > takes.most)
    words.refuse(op,
                 fmt::format("{} takes {}, and here {} {}", op.text, describe(takes), given == 1 ? "is" : "are", given),
                 takes.most == 1 ? "add, mul and concat take several" : "name them: from VALUE, VALUE");
  return item;
}

/// The statements of a text, repeats as they are written.
Block read_text(const std::string& text, const std::string& where) {
  std::vector<Block> open(1);
  const std::vector<std::string> lines = split(text, '\n');
  for (std::size_t i = 0; i < lines.size(); ++i) {
    StatementWords words = words_of(lines[i], static_cast<int>(i) + 1, where);
    if (!words.more()) continue;
    const Word& first = words.peek();
    if (first.text == "}") {
      if (open.size() == 1) words.refuse(first, "this } closes nothing", "it ends a repeat");
      if (open.back().body.empty()) words.refuse(first, "nothing is repeated", "statements stand between { and }");
      words.take();
      require_end(words, "} stands on a line of its own");
      Item item;
      item.at = open.back().at;
      item.repeat = std::move(open.back());
      open.pop_back();
      open.back().body.push_back(std::move(item));
    } else if (first.text == "repeat" && words.peek(1).text != ":") {
      if (open.size() > kDeepest) words.refuse(first, fmt::format("more than {} repeats in each other", kDeepest), "");
      open.push_back(read_repeat(words));
    } else {
      open.back().body.push_back(read_statement(words));
    }
  }
  const StatementWords end(where, {}, {"", static_cast<int>(lines.size()), 1});
  if (open.size() > 1) end.refuse(open.back().at, "this repeat is not closed", "a line with } ends it");
  if (open.front().body.empty()) throw UsageError(where, "holds no layer", fmt::format("a line of it: {}", kStatement));
  return std::move(open.front());
}

/// Makes nodes of statements.
class Builder {
 public:
  explicit Builder(const std::string& where) : at_(where, {}, {}) {}

  ModelGraph graph(const Block& text) && {
    scopes_.push_back({"", -1, kImages});
    expand(text.body, 0);
    for (std::size_t i = 0; i < flat_.size(); ++i) {
      const Flat& made = flat_[i];
      Node node{made.item->op, made.name, {}};
      for (const Word& value : made.item->from) node.inputs.push_back(find_value(value, i));
      if (node.inputs.empty()) node.inputs = {static_cast<int>(i) - 1};
      graph_.nodes.push_back(std::move(node));
      graph_.lines.push_back(made.item->at.line);
    }
    return std::move(graph_);
  }

  /// What each node without a name is called by.
  std::vector<std::string> numbers() const {
    std::vector<std::string> all;
    for (const Flat& made : flat_) all.push_back(made.number);
    return all;
  }

 private:
  /// A copy of a block, or the whole text.
  struct Scope {
    std::string prefix;
    int parent;
    int enters;  // the node whose value is `input` in it
  };

  /// A statement in a copy.
  struct Flat {
    const Item* item;
    std::size_t scope;
    std::string name;
    std::string number;
  };

  void expand(const std::vector<Item>& body, std::size_t scope) {
    for (std::size_t i = 0; i < body.size(); ++i) {
      if (body[i].repeat) {
        repeat(*body[i].repeat, scope);
        continue;
      }
      if (flat_.size() >= kMostNodes)
        at_.refuse(body[i].at, fmt::format("the network has more than {} layers", kMostNodes), "repeat fewer times");
      Flat made{&body[i], scope, body[i].name, fmt::format("{}{}", scopes_[scope].prefix, i)};
      if (!made.name.empty())
        made.name = scopes_[scope].prefix + made.name;
      else if (has_tensors(body[i].op))
        made.name = made.number;
      const int index = static_cast<int>(flat_.size());
      if (!made.name.empty()) {
        const auto [known, is_new] = names_.emplace(made.name, index);
        if (!is_new)
          at_.refuse(body[i].at, fmt::format("{} is a name already", in_quotes(made.name)),
                     fmt::format("of line {}", flat_[static_cast<std::size_t>(known->second)].item->at.line));
      } else if (!numbers_.emplace(made.number, index).second) {
        numbers_[made.number] = kSeveral;
      }
      flat_.push_back(std::move(made));
    }
  }

  void repeat(const Block& block, std::size_t scope) {
    if (scopes_[scope].prefix.size() > kLongestName)
      at_.refuse(block.at, "the names in it would be too long", "shorter prefixes, or fewer repeats in each other");
    for (Index i = 0; i < block.count; ++i) {
      scopes_.push_back({fmt::format("{}{}.{}.", scopes_[scope].prefix, block.prefix, block.first + i),
                         static_cast<int>(scope), static_cast<int>(flat_.size()) - 1});
      expand(block.body, scopes_.size() - 1);
    }
  }

  /// The node that a statement means by a value: made before it, in its copy or else outside.
  int find_value(const Word& value, std::size_t statement) const {
    const Flat& here = flat_[statement];
    if (value.text == "input") return scopes_[here.scope].enters;
    const int before = static_cast<int>(statement);
    std::optional<int> later;
    for (int scope = static_cast<int>(here.scope); scope >= 0;
         scope = scopes_[static_cast<std::size_t>(scope)].parent) {
      const std::string full = scopes_[static_cast<std::size_t>(scope)].prefix + value.text;
      for (const auto* table : {&names_, &numbers_}) {
        const auto found = table->find(full);
        if (found == table->end()) continue;
        if (found->second == kSeveral)
          at_.refuse(value, fmt::format("{} are several layers", in_quotes(value.text)),
                     "give the one that is meant a name");
        if (found->second < before) return found->second;
        if (!later) later = found->second;
      }
    }
    if (later == before)
      at_.refuse(value, fmt::format("{} is this layer itself", in_quotes(value.text)), "values go from top to bottom");
    if (later)
      at_.refuse(value,
                 fmt::format("{} is made later, in line {}", in_quotes(value.text),
                             flat_[static_cast<std::size_t>(*later)].item->at.line),
                 "values go from top to bottom: no cycles");
    std::vector<std::string> known = {"input"};
    for (std::size_t i = 0; i < statement; ++i) {
      const Flat& made = flat_[i];
      if (made.name.empty()) continue;
      known.push_back(made.name);
      if (made.scope == here.scope) known.push_back(made.name.substr(scopes_[here.scope].prefix.size()));
    }
    const std::string near = nearest(value.text, known);
    at_.refuse(value, fmt::format("there is no value {}", in_quotes(value.text)),
               near.empty() ? "write NAME: before the layer that makes it" : fmt::format("did you mean {}?", near));
  }

  static constexpr int kSeveral = -2;

  StatementWords at_;  // to tell where errors are
  ModelGraph graph_;
  std::vector<Scope> scopes_;
  std::vector<Flat> flat_;
  std::map<std::string, int> names_;
  std::map<std::string, int> numbers_;  // of nodes without a name
};

/// Whether a node takes the value of the node before it and no other.
bool follows(const ModelGraph& graph, std::size_t node) {
  return graph.nodes[node].inputs == std::vector<int>{static_cast<int>(node) - 1};
}

/// Which values a `from` takes: not only the next node does.
std::vector<bool> branches(const ModelGraph& graph) {
  std::vector<bool> found(graph.nodes.size());
  for (std::size_t i = 0; i < graph.nodes.size(); ++i)
    if (!follows(graph, i))
      for (const int input : graph.nodes[i].inputs)
        if (input != kImages) found[static_cast<std::size_t>(input)] = true;
  return found;
}

/// Gives each of these values a name: its number, or the like where another has that name.
void name_branches(ModelGraph& graph, const std::vector<std::string>& numbers) {
  std::set<std::string> names;
  for (const Node& node : graph.nodes) names.insert(node.name);
  const std::vector<bool> taken = branches(graph);
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    std::string& name = graph.nodes[i].name;
    if (!taken[i] || !name.empty()) continue;
    name = numbers[i];
    while (!names.insert(name).second) name += "_";
  }
}

/// What nodes without a name are called by in a text without repeats.
std::vector<std::string> numbers_in_text(const ModelGraph& graph) {
  std::vector<std::string> numbers;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

/// A convolution in groups of one channel each, where that was asked for, up to a node that does not take its input.
void resolve_depthwise(ModelGraph& graph) {
  std::vector<FeatureShape> shapes;
  for (Node& node : graph.nodes) {
    std::vector<FeatureShape> inputs;
    for (const int input : node.inputs)
      inputs.push_back(input == kImages ? graph.input : shapes[static_cast<std::size_t>(input)]);
    auto* conv = std::get_if<ConvOp>(&node.op);
    if (conv != nullptr && conv->groups == 0) conv->groups = inputs.front().channels;
    const Outcome outcome = outcome_of(node.op, inputs);
    if (outcome.misfit) return;
    shapes.push_back(outcome.shape);
  }
}

ModelGraph read_graph(const std::string& text, const std::string& where) {
  const Block statements = read_text(text, where);
  Builder builder(where);
  ModelGraph graph = std::move(builder).graph(statements);
  name_branches(graph, builder.numbers());
  return graph;
}

}  // namespace

ModelGraph parse_graph(const std::string& text, FeatureShape input, const std::string& where) {
  ModelGraph graph = read_graph(text, where);
  graph.input = input;
  resolve_depthwise(graph);
  return graph;
}

void check_layer_text(const std::string& text, const std::string& where) {
  (void)read_graph(text, where);
}

void name_branches(ModelGraph& graph) {
  name_branches(graph, numbers_in_text(graph));
}

std::string graph_text(const ModelGraph& graph) {
  const std::vector<std::string> numbers = numbers_in_text(graph);
  ModelGraph named = graph;
  name_branches(named, numbers);
  const std::vector<bool> taken = branches(named);
  std::string text;
  for (std::size_t i = 0; i < named.nodes.size(); ++i) {
    const Node& node = named.nodes[i];
    const bool by_number = node.name == numbers[i] && (has_tensors(node.op) || taken[i]);
    if (!node.name.empty() && !by_number) text += node.name + ": ";
    text += op_text(node.op);
    if (!follows(named, i)) {
      std::vector<std::string> values;
      for (const int input : node.inputs)
        values.push_back(input == kImages ? "input" : named.nodes[static_cast<std::size_t>(input)].name);
      text += fmt::format(" from {}", fmt::join(values, ", "));
    }
    text += '\n';
  }
  return text;
}

}  // namespace gradscape
