#include "gradscape/nn/statements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/nn/layer_text.hpp"
#include "gradscape/nn/op_shapes.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kDeepest = 16;  // repeats in repeats
constexpr const char* kStatement = "[NAME:] LAYER [ARGUMENTS] [from VALUE, …]";

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

StatementBlock read_repeat(StatementWords& words) {
  StatementBlock block;
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

Statement read_statement(StatementWords& words) {
  Statement item;
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

}  // namespace

StatementBlock read_statements(const std::string& text, const std::string& where) {
  std::vector<StatementBlock> open(1);
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
      Statement item;
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

}  // namespace gradscape
