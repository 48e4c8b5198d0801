// The arguments of an op in a text: read, written, or named for help, by one description (op_words.cpp).
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gradscape/core/named_table.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/nn/op_words.hpp"

namespace gradscape {

inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();
inline constexpr Range kPositiveCount{1, 1 << 30};
inline constexpr Range kCount{0, 1 << 30};
inline constexpr Range kFinite{-kUnbounded, kUnbounded, true, true};
inline constexpr Range kPositive{0, kUnbounded, true, true};
inline constexpr Range kNotNegative{0, kUnbounded, false, true};

/// Whether all sides have the same padding.
inline bool is_even(const Padding& padding) {
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

}  // namespace gradscape
