#include "gradscape/config/study.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "gradscape/config/configuration_file.hpp"
#include "gradscape/config/folder_name.hpp"
#include "gradscape/config/toml_sections.hpp"
#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

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
  const toml::table file = parse_toml(read_configuration(path), path);
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
  read_sections(where, parse_toml(text, where), {}, experiment);
  resolve(experiment);
  return experiment;
}

}  // namespace gradscape
