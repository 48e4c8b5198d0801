// The words of one op in a network's text (docs/guide/own-networks.md): one description of its arguments serves for
// reading, writing and help.
#pragma once

#include <string>
#include <vector>

#include "gradscape/nn/model_graph.hpp"

namespace gradscape {

/// A word of a text, and where it stands, both from 1 on.
struct Word {
  std::string text;
  int line = 0;
  int column = 0;
};

/// A statement's words, read one after the other.
class StatementWords {
 public:
  /// `end`: what stands behind the last word, with an empty text. `where`: the text's name in messages.
  StatementWords(const std::string& where, std::vector<Word> words, Word end)
      : where_(&where), words_(std::move(words)), end_(std::move(end)) {}

  bool more() const { return next_ < words_.size(); }
  /// The next word; the end where there is none.
  const Word& peek(std::size_t ahead = 0) const { return next_ + ahead < words_.size() ? words_[next_ + ahead] : end_; }
  /// The same, and goes on to the one behind it.
  Word take();
  /// UsageError that names the word's line and column.
  [[noreturn]] void refuse(const Word& at, const std::string& what, const std::string& hint) const;

 private:
  const std::string* where_;
  std::vector<Word> words_;
  Word end_;
  std::size_t next_ = 0;
};

/// A word as messages show it: in quotes, abridged.
std::string in_quotes(const std::string& word);

/// Every op's word, in the order to show them.
const std::vector<std::string>& op_names();

/// Reads an op and its arguments up to `from` or the statement's end. A convolution's `depthwise` is groups = 0, until
/// the channels that come in are known. UsageError for an unknown op or argument, one that is given twice or is
/// missing, and a number that is none or out of its range.
Op read_op(StatementWords& words);

/// The op's word and its arguments, those left out that have their default: "conv 16 3x3 pad 1 no bias".
std::string op_text(const Op& op);

/// How the op is written: "conv CHANNELS KxK [stride N] …".
std::string op_form(const std::string& name);

}  // namespace gradscape
