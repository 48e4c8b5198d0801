// How help is laid out. What there is to say comes from the verbs; nothing here knows the parser.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace gradscape {

/// "--steps RANGES" and what it means; or a command and what it does.
struct HelpEntry {
  std::string name;
  std::string text;
};

struct HelpGroup {
  std::string title;  // "Options"; empty: none
  std::vector<HelpEntry> entries;
};

/// A screen of help.
struct HelpPage {
  std::string title;               // "gradscape run: train every variant …"
  std::string usage;               // "gradscape run CONFIG [options]"
  std::vector<HelpGroup> groups;   // in this order
  std::vector<std::string> notes;  // paragraphs, below them
  bool dense = false;              // names of all groups but the last in one column, without blank lines between
};

/// The words of a text in lines of at most so many columns; a single word that is too long has a line of its own.
std::vector<std::string> wrap(const std::string& text, std::size_t columns);

/// The page in lines of at most so many columns (at least 40), words whole where they fit. Texts stand in a column of
/// their own, below a name that is too long for its own.
std::string layout_help(const HelpPage& page, std::size_t columns);

}  // namespace gradscape
