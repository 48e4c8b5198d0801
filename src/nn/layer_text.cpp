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
#include "gradscape/nn/op_shapes.hpp"
#include "gradscape/nn/op_words.hpp"
#include "gradscape/nn/statements.hpp"

namespace gradscape {
namespace {

/// Makes nodes of statements.
class Builder {
 public:
  explicit Builder(const std::string& where) : at_(where, {}, {}) {}

  ModelGraph graph(const StatementBlock& text) && {
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
    const Statement* item;
    std::size_t scope;
    std::string name;
    std::string number;
  };

  void expand(const std::vector<Statement>& body, std::size_t scope) {
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

  void repeat(const StatementBlock& block, std::size_t scope) {
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
  const StatementBlock statements = read_statements(text, where);
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
