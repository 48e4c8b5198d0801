#include "gradscape/core/split.hpp"

namespace gradscape {
namespace {

constexpr const char* kBlanks = " \t\n\r";

std::string trim(const std::string& text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
}

/// Without the marks that enclose it.
std::string strip(const std::string& text, char open, char close) {
  if (text.size() < 2 || text.front() != open || text.back() != close) return text;
  return trim(text.substr(1, text.size() - 2));
}

}  // namespace

std::vector<std::string> split_list(const std::string& text) {
  std::string inner = trim(text);
  const bool bracketed = strip(inner, '[', ']') != inner;
  inner = strip(inner, '[', ']');
  if (bracketed && inner.empty()) return {};
  std::vector<std::string> elements;
  if (inner.find(',') != std::string::npos) {
    elements = split(inner, ',');
  } else {
    std::size_t start = 0;
    while (start != std::string::npos) {
      const std::size_t end = inner.find_first_of(kBlanks, start);
      elements.push_back(inner.substr(start, end - start));
      start = inner.find_first_not_of(kBlanks, end);
    }
  }
  for (std::string& element : elements) {
    element = strip(trim(element), '"', '"');
    element = strip(element, '\'', '\'');
  }
  return elements;
}

}  // namespace gradscape
