#include "gradscape/config/toml_sections.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>
#include <type_traits>

#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"

namespace gradscape {
namespace {

std::string node_text(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_floating_point<decltype(value)>) {
      std::string number = fmt::format("{}", *value);                                    // 0.1, not 0.10000000000000001
      if (number.find_first_not_of("-0123456789") == std::string::npos) number += ".0";  // 16.0 is no whole number
      text << number;
    } else {
      text << value;
    }
  });
  return text.str();
}

/// Names to suggest for a mistyped key of a section, or for a section.
std::vector<std::string> known_names(const std::string& section) {
  std::vector<std::string> names;
  for (const Field& field : fields()) {
    const std::string& name = section.empty() ? field.section : field.key;
    if ((section.empty() || field.section == section) && (names.empty() || names.back() != name)) names.push_back(name);
  }
  if (section.empty()) names.insert(names.end(), {"variant", "scale"});
  return names;
}

[[noreturn]] void refuse_unknown(const std::string& where, const std::string& kind, const std::string& section,
                                 const std::string& key, const std::string& value) {
  const auto names = known_names(section);
  const std::string prefix = section.empty() ? "" : section + ".";
  const std::string usual = usual_key(key);
  std::string hint;
  if (const auto elsewhere = fields_of_key(usual); find_field(prefix + usual) != nullptr)
    hint = fmt::format("did you mean {}{}?", prefix, usual);
  else if (!elsewhere.empty())
    hint = fmt::format("there is {}", fmt::join(elsewhere, ", there is "));
  else if (const std::string near = nearest(key, names); !near.empty())
    hint = fmt::format("did you mean {}{}?", prefix, near);
  else
    hint = fmt::format("known here: {}", fmt::join(names, ", "));
  throw UsageError(
      where, fmt::format("unknown {} {}{}{}", kind, prefix, abridge(key), value.empty() ? "" : " = " + abridge(value)),
      hint);
}

/// Sets *target from a TOML value of the right type; false for another type. Whole numbers are numbers too.
template <class T>
bool take(const toml::node& node, T* target) {
  if constexpr (std::is_same_v<T, std::vector<double>> || std::is_same_v<T, std::vector<std::int64_t>>) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return false;
    target->clear();
    for (const toml::node& element : *array) {
      target->emplace_back();
      if (!take(element, &target->back())) return false;
    }
    return true;
  } else if constexpr (std::is_same_v<T, double>) {
    if (!node.is_number()) return false;
    // A whole number is rounded where no double holds it, as 0.1 is (toml++'s own conversion then gives nothing).
    const auto whole = node.value_exact<std::int64_t>();
    *target = whole ? static_cast<double>(*whole) : *node.value_exact<double>();
    return true;
  } else {
    const auto value = node.value_exact<T>();
    if (value) *target = *value;
    return value.has_value();
  }
}

/// Sets a list that is not written as one: numbers in a text, or a text's elements as a list. False where it is
/// neither.
bool take_list(const Field& field, const toml::node& node, Experiment& experiment, const std::string& where) {
  if (const toml::value<std::string>* text = node.as_string(); text != nullptr && holds_list(field)) {
    set_field(field, experiment, text->get(), fmt::format("{}: {}", where, field.name()));
    return true;
  }
  const toml::array* array = node.as_array();
  if (array == nullptr || field.separator.empty()) return false;
  std::vector<std::string> elements;
  for (const toml::node& element : *array) {
    if (!element.is_string() && !element.is_integer()) return false;
    elements.push_back(element.is_string() ? element.as_string()->get() : node_text(element));
  }
  if (elements.empty() && field.separator == "\n")
    throw UsageError(where, fmt::format("{} = [] holds nothing", field.name()), "leave it out, or give it a line");
  set_field(field, experiment, fmt::format("{}", fmt::join(elements, field.separator)), where);
  return true;
}

/// Copies the values of one section of the file into the experiment.
void read_section(const std::string& path, const std::string& section, const toml::table& table,
                  Experiment& experiment) {
  for (const auto& [key, node] : table) {
    const std::string where = position(path, node.source());
    const std::string name = section + "." + std::string(key.str());
    const Field* field = find_field(name);
    if (field == nullptr) refuse_unknown(where, "key", section, std::string(key.str()), node_text(node));
    if (set_automatic(*field, experiment, node.value_exact<std::string>().value_or(""))) continue;
    if (take_list(*field, node, experiment, where)) continue;
    const bool taken = std::visit([&](auto* target) { return take(node, target); }, field->target(experiment));
    if (!taken)
      throw UsageError(
          where, fmt::format("{} = {} has the wrong type", name, abridge(node_text(node))),
          fmt::format("allowed: {}{}", field->allowed(), holds_list(*field) ? "; " + list_form(*field) : ""));
    check_field(*field, experiment, where);
  }
}

/// The last character of the string that begins at `at`; of a string in a single line at most the line's end, where
/// toml++ refuses it.
std::size_t end_of_string(const std::string& text, std::size_t at) {
  const char quote = text[at];
  std::string end(3, quote);
  if (text.compare(at, 3, end) != 0) end.resize(1);
  for (std::size_t i = at + end.size(); i < text.size(); ++i) {
    if (text.compare(i, end.size(), end) == 0) return i + end.size() - 1;
    if (text[i] == '\n' && end.size() == 1) return i;
    if (text[i] == '\\' && quote == '"') ++i;
  }
  return text.size();
}

/// UsageError where a key has many parts, as a.a.a: toml++ bounds the depth of brackets, but not of these, and goes
/// through its tables by recursion.
void require_short_keys(const std::string& text, const std::string& path) {
  constexpr int kMostDots = 16;
  int dots = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '\'') i = end_of_string(text, i);
    if (c == '#') i = std::min(text.find('\n', i), text.size());
    if (std::string_view("#,=[]{}\n").find(c) != std::string_view::npos) dots = 0;
    if (c != '.' || ++dots <= kMostDots) continue;
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n');
    throw UsageError(fmt::format("{}:{}", path, line), fmt::format("a key has more than {} parts", kMostDots + 1));
  }
}

/// "train.steps" of the line at which a text is no TOML, as far as that can be told; else nothing.
std::string key_at(const std::string& text, std::size_t line) {
  std::istringstream lines(text);
  std::string section, current;
  for (std::size_t i = 0; i < line && std::getline(lines, current); ++i) {
    const std::size_t first = current.find_first_not_of(" \t");
    if (first != std::string::npos && current[first] == '[' && i + 1 < line)
      section = current.substr(first + 1, current.find(']') - first - 1) + ".";
  }
  const std::size_t end = current.find('=');
  if (end == std::string::npos) return "";
  const std::string key = current.substr(0, end);
  const std::size_t first = key.find_first_not_of(" \t");
  const std::string name = first == std::string::npos ? "" : key.substr(first, key.find_last_not_of(" \t") + 1 - first);
  return find_field(section + name) != nullptr ? section + name : find_field(name) != nullptr ? name : "";
}

}  // namespace

std::string position(const std::string& path, const toml::source_region& source) {
  return fmt::format("{}:{}", path, source.begin.line);
}

toml::table parse_toml(const std::string& text, const std::string& path) {
  require_short_keys(text, path);
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    const std::string key = key_at(text, error.source().begin.line);
    throw UsageError(fmt::format("{}:{}:{}", path, error.source().begin.line, error.source().begin.column),
                     fmt::format("{}is not valid TOML: {}", key.empty() ? "" : key + " ", abridge(error.description())),
                     key.empty() ? "" : fmt::format("{} is a {}", key, find_field(key)->allowed()));
  }
}

void read_sections(const std::string& path, const toml::table& table, const std::set<std::string>& others,
                   Experiment& experiment) {
  for (const auto& [key, node] : table) {
    const std::string section(key.str());
    if (others.contains(section)) continue;
    const std::string where = position(path, node.source());
    const auto sections = known_names("");
    if (std::count(sections.begin(), sections.end(), section) == 0 || section == "variant" || section == "scale") {
      if (node.is_table()) refuse_unknown(where, "section", "", section, "");
      refuse_unknown(where, "key", "", section, node_text(node));
    }
    if (!node.is_table())
      throw UsageError(where, fmt::format("{} = {} is not a section", section, abridge(node_text(node))),
                       fmt::format("write [{}] and its keys below it", section));
    read_section(path, section, *node.as_table(), experiment);
  }
}

}  // namespace gradscape
