#include "gradscape/config/study.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>
#include <type_traits>

#include "gradscape/config/configuration_file.hpp"
#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/file/input_file.hpp"
#include "gradscape/host/program_file.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

std::string position(const std::string& path, const toml::source_region& source) {
  return fmt::format("{}:{}", path, source.begin.line);
}

std::string node_text(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_floating_point<decltype(value)>)
      text << fmt::format("{}", *value);  // 0.1, not 0.10000000000000001
    else
      text << value;
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

/// Reads all sections of a table that stands for an experiment or for overrides; keys in `others` are left to the
/// caller.
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

toml::table parse(const std::string& text, const std::string& path) {
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

/// Puts a run for each of experiment.seeds in the place of each run.
void expand_seeds(const std::string& path, const Overrides& overrides, Study& study) {
  const std::vector<std::int64_t> seeds = study.runs.front().experiment.seeds;
  for (const Experiment& run : study.runs)
    if (run.experiment.seeds != seeds)
      throw UsageError(path, "variants have different experiment.seeds", "give them in the common part of the file");
  if (seeds.empty()) return;
  for (std::size_t i = 0; i < seeds.size(); ++i)
    if (std::count(seeds.begin(), seeds.end(), seeds[i]) > 1)
      throw UsageError(path, fmt::format("experiment.seeds holds {} more than once", seeds[i]));
  for (const auto& [name, text] : overrides)
    if (name == "train.seed")
      throw UsageError("--train.seed", "says nothing where experiment.seeds gives the seeds",
                       fmt::format("--experiment.seeds {} runs that one only", abridge(text)));
  std::vector<Experiment> runs;
  for (const Experiment& run : study.runs)
    for (const std::int64_t seed : seeds) {
      runs.push_back(run);
      runs.back().experiment.seeds.clear();
      runs.back().train.seed = seed;
    }
  study.runs = std::move(runs);
  study.has_seeds = true;
}

/// Puts a run for each of experiment.learning_rates in the place of each run.
void expand_rates(const std::string& path, const Overrides& overrides, Study& study) {
  const ExperimentOptions& common = study.runs.front().experiment;
  const std::vector<double> rates = common.learning_rates;
  for (const Experiment& run : study.runs) {
    if (run.experiment.learning_rates != rates)
      throw UsageError(path, "variants have different experiment.learning_rates",
                       "give them in the common part of the file");
    if ((run.sweep.kind == "runs") == rates.empty())
      throw UsageError(path, "experiment.learning_rates and sweep.kind = \"runs\" go together",
                       "the band across runs needs several learning rates, and nothing else does");
  }
  if (rates.empty()) return;
  if (!common.seeds.empty())
    throw UsageError(path, "experiment.learning_rates and experiment.seeds are both given", "leave one of them out");
  for (const double rate : rates)
    if (std::count(rates.begin(), rates.end(), rate) > 1)
      throw UsageError(path, fmt::format("experiment.learning_rates holds {} more than once", rate));
  for (const auto& [name, text] : overrides)
    if (name == "train.lr")
      throw UsageError("--train.lr", "says nothing where experiment.learning_rates gives the rates",
                       fmt::format("--experiment.learning_rates {} runs that one only", abridge(text)));
  std::vector<Experiment> runs;
  for (const Experiment& run : study.runs)
    for (const double rate : rates) {
      runs.push_back(run);
      runs.back().experiment.learning_rates.clear();
      runs.back().train.lr = rate;
    }
  study.runs = std::move(runs);
  study.has_rates = true;
}

/// The [scale.NAME] tables of a file or variant: every one is read, so that a mistake in one shows whenever the file is
/// used. Returns the one that is wanted, or null; `names` gets all.
const toml::table* find_scale(const std::string& path, const toml::table& table, const std::string& wanted,
                              std::vector<std::string>& names) {
  const toml::table* found = nullptr;
  const toml::node* scales = table.get("scale");
  if (scales == nullptr) return nullptr;
  if (!scales->is_table()) throw UsageError(position(path, scales->source()), "scale is not a table of tables");
  for (const auto& [key, node] : *scales->as_table()) {
    names.emplace_back(key.str());
    if (!node.is_table())
      throw UsageError(position(path, node.source()), fmt::format("scale.{} is not a table", abridge(key.str())),
                       "write [scale.NAME.train] and keys below it");
    Experiment scratch;
    read_sections(path, *node.as_table(), {}, scratch);
    if (names.back() == wanted) found = node.as_table();
  }
  return found;
}

/// Older programs took more names: a stored run is read under any, but nothing new is begun under it.
void require_experiment_name(const std::string& path, const Overrides& overrides, const Experiment& run) {
  const bool by_flag = std::any_of(overrides.begin(), overrides.end(),
                                   [](const auto& override) { return override.first == "experiment.name"; });
  require_folder_name(by_flag ? "--experiment.name" : path, "experiment.name", run.experiment.name);
}

/// Where fields come from that do not go together: the file alone, or with the flags that override it.
std::string blamed(const std::string& path, const Overrides& overrides, const Experiment& by_file) {
  if (overrides.empty()) return path;
  try {
    check_experiment(by_file, path);
  } catch (const UsageError&) {
    return path;
  }
  std::vector<std::string> names;
  for (const auto& [name, text] : overrides)
    if (std::count(names.begin(), names.end(), "--" + name) == 0) names.push_back("--" + name);
  return fmt::format("{} with {}", path, fmt::join(names, ", "));
}

/// Makes paths independent of the folder that a later command is called from.
void resolve_path(Experiment& experiment) {
  std::string& path = experiment.data.path;
  if (!path.empty()) path = fs::absolute(path).lexically_normal().string();
}

}  // namespace

void apply_overrides(const Overrides& overrides, Experiment& experiment) {
  for (const auto& [name, text] : overrides) {
    const Field* field = find_field(name);
    check(field != nullptr, "flags exist for fields only");
    set_field(*field, experiment, text, "--" + name);
  }
}

Study load_study(const std::string& path, const Overrides& overrides, const std::string& scale) {
  const Doing doing("reading the configuration", path);
  const toml::table file = parse(read_configuration(path), path);
  if (!scale.empty()) require_folder_name("--scale", "scale", scale);

  Experiment common;
  common.model.arch.clear();  // not given
  read_sections(path, file, {"variant", "scale"}, common);
  std::vector<std::string> scales;
  const toml::table* scaled = find_scale(path, file, scale, scales);
  if (!scale.empty() && scaled == nullptr)
    throw UsageError("--scale", fmt::format("{} has no [scale.{}]", path, abridge(scale)),
                     scales.empty() ? "it has none at all"
                                    : fmt::format("it has: {}", abridge(fmt::format("{}", fmt::join(scales, ", ")))));
  if (scaled != nullptr) read_sections(path, *scaled, {}, common);

  Study study;
  std::vector<Experiment> runs = {common};
  if (const toml::node* node = file.get("variant")) {
    const toml::array* variants = node->as_array();
    if (variants == nullptr || !variants->is_homogeneous<toml::table>())
      throw UsageError(position(path, node->source()), "variant is not a list of tables", "write [[variant]]");
    study.has_variants = true;
    runs.clear();
    std::set<std::string> names;
    for (const toml::node& element : *variants) {
      const std::string where = position(path, element.source());
      const toml::table& table = *element.as_table();
      const auto name = table["name"].value_exact<std::string>();
      if (!name || name->empty()) throw UsageError(where, "a [[variant]] has no name", "add name = \"…\"");
      require_folder_name(where, "variant.name", *name);
      if (!names.insert(*name).second)
        throw UsageError(where, fmt::format("variant \"{}\" is there twice", abridge(*name)));
      Experiment variant = common;
      read_sections(path, table, {"name", "scale"}, variant);
      if (const toml::table* own = find_scale(path, table, scale, scales)) read_sections(path, *own, {}, variant);
      variant.experiment.variant = *name;
      runs.push_back(variant);
    }
  }
  for (Experiment& run : runs) {
    Experiment by_file = run;
    resolve(by_file);
    apply_overrides(overrides, run);
    require_experiment_name(path, overrides, run);
    resolve_path(run);
    resolve(run);
    check_experiment(run, blamed(path, overrides, by_file));
  }
  study.name = runs.front().experiment.name;
  study.runs = std::move(runs);
  expand_rates(path, overrides, study);
  expand_seeds(path, overrides, study);
  return study;
}

Experiment make_experiment(const Overrides& overrides) {
  Experiment experiment;
  apply_overrides(overrides, experiment);
  resolve_path(experiment);
  experiment.train.engine = engine_name(experiment.train);
  return experiment;
}

Experiment parse_experiment(const std::string& text, const std::string& where) {
  Experiment experiment;
  experiment.train.engine = "direct";  // what there was when the key was not yet stored
  experiment.model.arch.clear();
  read_sections(where, parse(text, where), {}, experiment);
  resolve(experiment);
  return experiment;
}

}  // namespace gradscape
