#include "gradscape/config/experiment.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <type_traits>

#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/nn/layer_text.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

std::string number_text(std::int64_t value) {
  return fmt::format("{}", value);
}

/// A TOML float: shortest digits that read back to the same bits, never taken for an integer.
std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

/// The inside of a TOML basic string; `newline`: what stands for the end of a line.
std::string escaped(const std::string& value, const char* newline) {
  std::string text;
  for (const char c : value) {
    if (c == '"' || c == '\\')
      text += fmt::format("\\{}", c);
    else if (c == '\n')
      text += newline;
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      text += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      text += c;
  }
  return text;
}

/// A TOML basic string, in one line.
std::string basic_string(const std::string& value) {
  return fmt::format("\"{}\"", escaped(value, "\\n"));
}

/// The text of a field that has lines; null of one that has not.
const std::string* lines_of(const Field& field, const Experiment& experiment) {
  if (field.separator != "\n") return nullptr;
  const std::string* text = std::get<const std::string*>(field.value(experiment));
  return text->find('\n') == std::string::npos ? nullptr : text;
}

/// The first line in which two texts differ: "has in line 3 "relu" here and "tanh" there".
std::string line_difference(const std::string& here, const std::string& there) {
  const std::vector<std::string> a = split(here, '\n'), b = split(there, '\n');
  std::size_t line = 0;
  while (line < a.size() && line < b.size() && a[line] == b[line]) ++line;
  const auto shown = [&](const std::vector<std::string>& lines) {
    return line < lines.size() ? basic_string(abridge(lines[line])) : "nothing";
  };
  return fmt::format("has in line {} {} here and {} there", line + 1, shown(a), shown(b));
}

/// Whether a text survives the dump: TOML takes UTF-8 only.
bool reads_back(const std::string& text) {
  try {
    (void)toml::parse("text = " + basic_string(text));
    return true;
  } catch (const toml::parse_error&) {
    return false;
  }
}

std::vector<std::string> differences(const Experiment& here, const Experiment& there,
                                     bool (*counts)(const Field&, const Experiment&)) {
  std::vector<std::string> list;
  for (const Field& field : fields()) {
    if (!counts(field, here) && !counts(field, there)) continue;
    const std::string a = field_text(field, here);
    const std::string b = field_text(field, there);
    if (a == b) continue;
    const std::string* lines_here = lines_of(field, here);
    const std::string* lines_there = lines_of(field, there);
    list.push_back(field.name() + ' ' +
                   (lines_here != nullptr && lines_there != nullptr
                        ? line_difference(*lines_here, *lines_there)
                        : fmt::format("is {} here and {} there", abridge(a), abridge(b))));
  }
  return list;
}

}  // namespace

std::string Field::allowed() const {
  return std::visit(
      [&](auto* at) -> std::string {
        using T = std::remove_cvref_t<decltype(*at)>;
        if constexpr (std::is_same_v<T, std::string>)
          return !choices.empty()    ? fmt::format("{}", fmt::join(choices, " | "))
                 : separator == "\n" ? "text, or a list of its lines"
                                     : "text";
        else if constexpr (std::is_same_v<T, bool>)
          return "true | false";
        else if constexpr (std::is_same_v<T, double>)
          return "number " + range.text();
        else if constexpr (std::is_same_v<T, std::int64_t>)
          return (automatic ? "auto | whole number " : "whole number ") + range.text();
        else if constexpr (std::is_same_v<T, std::vector<double>>)
          return "list of numbers " + range.text();
        else
          return "list of whole numbers " + range.text();
      },
      value(Experiment()));
}

const Field* find_field(const std::string& name) {
  for (const Field& field : fields())
    if (field.name() == name) return &field;
  return nullptr;
}

std::vector<std::string> fields_of_key(const std::string& key) {
  std::vector<std::string> names;
  for (const Field& field : fields())
    if (field.key == key) names.push_back(field.name());
  return names;
}

std::string usual_key(const std::string& key) {
  static const std::map<std::string, std::string> others = {
      {"learning_rate", "lr"},   {"learningrate", "lr"},      {"eta", "lr"},
      {"batch", "batch_size"},   {"batchsize", "batch_size"}, {"bs", "batch_size"},
      {"num_steps", "steps"},    {"max_steps", "steps"},      {"iterations", "steps"},
      {"num_epochs", "epochs"},  {"decay", "weight_decay"},   {"wd", "weight_decay"},
      {"architecture", "arch"},  {"network", "arch"},         {"normalisation", "norm"},
      {"normalization", "norm"}, {"optim", "optimizer"},      {"dtype", "precision"},
      {"alphas", "multipliers"}, {"dataset", "source"}};
  const auto known = others.find(key);
  return known == others.end() ? key : known->second;
}

std::string field_text(const Field& field, const Experiment& experiment) {
  return std::visit(
      [&](auto* value) -> std::string {
        using T = std::remove_cvref_t<decltype(*value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          return basic_string(*value);
        } else if constexpr (std::is_same_v<T, bool>) {
          return *value ? "true" : "false";
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          return field.automatic && *value == kAutomatic ? basic_string("auto") : number_text(*value);
        } else if constexpr (std::is_arithmetic_v<T>) {
          return number_text(*value);
        } else {
          std::vector<std::string> elements;
          for (const auto element : *value) elements.push_back(number_text(element));
          return fmt::format("[{}]", fmt::join(elements, ", "));
        }
      },
      field.value(experiment));
}

void resolve(Experiment& experiment) {
  experiment.train.engine = engine_name(experiment.train);
  ModelOptions& model = experiment.model;
  if (model.arch.empty()) model.arch = model.layers.empty() ? ModelOptions().arch : kLayersArch;
}

bool set_automatic(const Field& field, Experiment& experiment, const std::string& text) {
  if (!field.automatic || text != "auto") return false;
  *std::get<std::int64_t*>(field.target(experiment)) = kAutomatic;
  return true;
}

bool holds_list(const Field& field) {
  const FieldValue value = field.value(Experiment());
  return std::holds_alternative<const std::vector<double>*>(value) ||
         std::holds_alternative<const std::vector<std::int64_t>*>(value);
}

std::string list_form(const Field& field) {
  if (!holds_list(field)) return "";
  const bool whole = std::holds_alternative<const std::vector<std::int64_t>*>(field.value(Experiment()));
  return fmt::format("a list is written as {}, in a file as [{}]", whole ? "1,2,3" : "0.5,1,2",
                     whole ? "1, 2, 3" : "0.5, 1, 2");
}

void set_field(const Field& field, Experiment& experiment, const std::string& text, const std::string& where) {
  if (set_automatic(field, experiment, text)) return;
  const bool parsed = std::visit(
      [&](auto* value) {
        using T = std::remove_cvref_t<decltype(*value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          *value = text;
          return true;
        } else if constexpr (std::is_same_v<T, bool>) {
          *value = text == "true";
          return text == "true" || text == "false";
        } else if constexpr (std::is_arithmetic_v<T>) {
          return parse_number(text, *value);
        } else {
          value->clear();
          for (const std::string& part : split_list(text)) {
            value->emplace_back();
            if (!parse_number(part, value->back())) return false;
          }
          return true;
        }
      },
      field.target(experiment));
  if (!parsed)
    throw UsageError(where, fmt::format("\"{}\" is not a {}", abridge(text), field.allowed()), list_form(field));
  check_field(field, experiment, where);
}

void check_field(const Field& field, const Experiment& experiment, const std::string& where) {
  const auto refuse = [&](const std::string& hint) {
    throw UsageError(where, fmt::format("{} = {} is not allowed", field.name(), abridge(field_text(field, experiment))),
                     hint);
  };
  std::visit(
      [&](auto* value) {
        using T = std::remove_cvref_t<decltype(*value)>;
        if constexpr (std::is_same_v<T, std::string>) {
          if (!reads_back(*value))
            throw UsageError(where, field.name() + " is not valid UTF-8", "TOML takes no other text");
          if (value->find('\0') != std::string::npos)
            throw UsageError(where, field.name() + " holds a zero byte", "no path and no name can");
          if (field.choices.empty() || std::count(field.choices.begin(), field.choices.end(), *value) > 0) return;
          const std::string near = nearest(*value, field.choices);
          refuse(fmt::format("allowed: {}{}", field.allowed(), near.empty() ? "" : "; did you mean \"" + near + "\"?"));
        } else if constexpr (std::is_same_v<T, double> || std::is_same_v<T, std::int64_t>) {
          if (!field.range.contains(static_cast<double>(*value))) refuse("allowed: " + field.allowed());
        } else if constexpr (!std::is_same_v<T, bool>) {
          for (const auto element : *value)
            if (!field.range.contains(static_cast<double>(element))) refuse("allowed: " + field.allowed());
        }
      },
      field.value(experiment));
}

std::string to_toml(const Experiment& experiment) {
  std::string text;
  std::string section;
  for (const Field& field : fields()) {
    if (field.section != section) {
      text += fmt::format("{}[{}]\n", section.empty() ? "" : "\n", field.section);
      section = field.section;
    }
    if (const std::string* lines = lines_of(field, experiment))
      text += fmt::format("{} = \"\"\"\n{}\"\"\"\n", field.key, escaped(*lines, "\n"));
    else
      text += fmt::format("{} = {}\n", field.key, field_text(field, experiment));
  }
  return text;
}

std::vector<std::string> identity_differences(const Experiment& here, const Experiment& there) {
  return differences(here, there, [](const Field& field, const Experiment& experiment) {
    if (field.identity == Identity::where_schedule_needs_it) return depends_on_total(experiment.train.schedule);
    return field.identity == Identity::yes;
  });
}

std::vector<std::string> cost_differences(const Experiment& here, const Experiment& there) {
  return differences(here, there, [](const Field& field, const Experiment&) {
    static const std::set<std::string> others = {"data.source", "train.optimizer", "train.batch_size",
                                                 "train.precision", "train.engine"};
    return field.section == "model" || others.contains(field.name());
  });
}

std::vector<std::string> sweep_differences(const Experiment& here, const Experiment& there) {
  return differences(here, there, [](const Field& field, const Experiment&) {
    static const std::set<std::string> others = {"first", "last", "every", "steps", "also"};
    return field.section == "sweep" && !others.contains(field.key);
  });
}

std::vector<std::string> surface_differences(const Experiment& here, const Experiment& there) {
  return differences(here, there, [](const Field& field, const Experiment&) { return field.section == "surface"; });
}

}  // namespace gradscape
