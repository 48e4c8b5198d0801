#pragma once

#include <string>
#include <vector>

namespace gradscape {

/// The parts of a text between its separators; one part, the text, where there is none.
inline std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (true) {
    const std::size_t end = text.find(separator, start);
    parts.push_back(text.substr(start, end - start));
    if (end == std::string::npos) return parts;
    start = end + 1;
  }
}

/// The text within single quotes, as a shell of the Bourne family takes it for one word.
inline std::string shell_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const std::string& part : split(text, '\'')) quoted += (quoted.size() > 1 ? "'\\''" : "") + part;
  return quoted + "'";
}

/// The elements of a list as people write it: "0.5,1", "0.5, 1", "0.5 1", "[0.5, 1]", ["a", 'b']. Where commas are
/// missing beside blanks, as in "1 2, 3", or nothing stands between two, an element is no number, for the reader to
/// refuse. "[]" has none, an empty text an empty one.
std::vector<std::string> split_list(const std::string& text);

}  // namespace gradscape
