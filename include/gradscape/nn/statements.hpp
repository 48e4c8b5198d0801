// A network's text as its statements, before they become nodes (docs/guide/own-networks.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gradscape/nn/op_words.hpp"

namespace gradscape {

inline constexpr std::size_t kLongestName = 200;  // bytes, as it is written

struct Statement;

/// repeat COUNT PREFIX from FIRST { body }; the whole text is one, too.
struct StatementBlock {
  Index count = 1;
  std::string prefix;
  Index first = 0;
  Word at;  // of `repeat`
  std::vector<Statement> body;
};

/// A statement, or the repeat in its place.
struct Statement {
  std::string name;
  Op op;
  std::vector<Word> from;
  Word at;  // its first word
  std::optional<StatementBlock> repeat;
};

/// The statements of a text, repeats as they are written. UsageError naming line and column where it is none.
StatementBlock read_statements(const std::string& text, const std::string& where);

}  // namespace gradscape
