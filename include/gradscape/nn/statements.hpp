// A network's text as its statements, before they become nodes (docs/networks.md).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gradscape/nn/op_words.hpp"

namespace gradscape {

inline constexpr std::size_t kLongestName = 200;  // bytes, as it is written

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

/// The statements of a text, repeats as they are written. UsageError naming line and column where it is none.
Block read_statements(const std::string& text, const std::string& where);

}  // namespace gradscape
