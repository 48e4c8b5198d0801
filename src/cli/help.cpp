#include "gradscape/cli/help.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "gradscape/core/split.hpp"
#include "gradscape/host/console.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kWidestName = 44;
constexpr std::size_t kNarrowest = 40;

std::string paragraph(const std::string& text, std::size_t columns) {
  return fmt::format("{}\n", fmt::join(wrap(text, columns), "\n"));
}

/// Columns of the widest name that others are aligned with.
std::size_t widest_name(const HelpGroup& group) {
  std::size_t widest = 0;
  for (const HelpEntry& entry : group.entries)
    if (const std::size_t width = columns_of(entry.name); width <= kWidestName) widest = std::max(widest, width);
  return widest;
}

std::string layout_group(const HelpGroup& group, std::size_t columns, std::size_t widest) {
  const std::size_t indent = std::min(2 + widest + 2, columns / 2);
  std::string text = group.title.empty() ? "" : group.title + ":\n";
  for (const HelpEntry& entry : group.entries) {
    std::string line = "  " + entry.name;
    for (const std::string& part : wrap(entry.text, columns - indent)) {
      if (columns_of(line) + 2 > indent) text += std::exchange(line, "") + "\n";
      text += fmt::format("{}{:{}}{}\n", line, "", indent - columns_of(line), part);
      line.clear();
    }
  }
  return text;
}

}  // namespace

std::vector<std::string> wrap(const std::string& text, std::size_t columns) {
  std::vector<std::string> lines;
  for (const std::string& word : split(text, ' ')) {
    if (!lines.empty() && columns_of(lines.back()) + 1 + columns_of(word) <= columns)
      lines.back() += " " + word;
    else
      lines.push_back(word);
  }
  return lines;
}

std::string layout_help(const HelpPage& page, std::size_t columns) {
  columns = std::max(columns, kNarrowest);
  std::string text =
      paragraph(page.title, columns) + (page.dense ? "" : "\n") + paragraph("Usage: " + page.usage, columns);
  std::size_t widest = 0;
  if (page.dense)
    for (const HelpGroup& group : page.groups)
      if (&group != &page.groups.back()) widest = std::max(widest, widest_name(group));
  for (const HelpGroup& group : page.groups) {
    if (group.entries.empty()) continue;
    const bool together = page.dense && &group != &page.groups.back();
    if (!together || &group == &page.groups.front()) text += "\n";
    text += layout_group(group, columns, together ? widest : widest_name(group));
  }
  for (const std::string& note : page.notes) text.append("\n").append(paragraph(note, columns));
  return text;
}

}  // namespace gradscape
