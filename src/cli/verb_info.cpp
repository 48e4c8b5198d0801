#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "gradscape/cli/info_file.hpp"
#include "gradscape/cli/info_page.hpp"
#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/network_table.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/study.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/store/digest.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/merge.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/run_state.hpp"

namespace gradscape {
namespace {

using Json = InfoPage::Json;
namespace fs = std::filesystem;

std::string describe_sweep(const SweepOptions& sweep) {
  std::string text = fmt::format("steps {} to {} every {}, {} [{}], direction {}, {} precision", sweep.first,
                                 sweep.last < 0 ? "the end" : std::to_string(sweep.last), sweep.every,
                                 sweep.step_sizes.empty() ? "multipliers" : "step sizes",
                                 fmt::join(sweep.points(), ", "), sweep.direction, sweep.precision);
  if (sweep.on != "batch")
    text += fmt::format(", loss of {} images of the {} set in {} mode",
                        sweep.on_images == 0 ? "all" : std::to_string(sweep.on_images), sweep.on, sweep.mode);
  return text;
}

/// "2 variants", "2 variants, 3 seeds", "3 seeds", "one run"
std::string describe_runs(const Study& study) {
  std::set<std::string> variants;
  for (const Experiment& run : study.runs) variants.insert(run.experiment.variant);
  std::string text = study.has_variants ? fmt::format("{} variants", variants.size()) : "";
  if (study.has_seeds) text += fmt::format("{}{} seeds", text.empty() ? "" : ", ", study.runs.size() / variants.size());
  return text.empty() ? "one run" : text;
}

void tell_config(InfoPage& page, const std::string& path) {
  const Study study = load_study(path, {});
  page.head(fmt::format("{}: configuration of experiment \"{}\", {}", path, study.name, describe_runs(study)),
            {{"kind", "configuration"}, {"name", study.name}, {"runs", Json::array()}});
  for (const Experiment& run : study.runs) {
    if (page.json()) {
      page.members()["runs"].push_back(
          {{"variant", run.experiment.variant}, {"seed", run.train.seed}, {"configuration", experiment_members(run)}});
      continue;
    }
    if (study.has_variants) page.head(fmt::format("variant \"{}\"", run.experiment.variant), {});
    if (study.has_seeds) page.head(fmt::format("seed {}", run.train.seed), {});
    page.line("model", describe_experiment(run), {});
    page.line("data", run.data.source + (run.data.path.empty() ? "" : " in " + run.data.path), {});
    page.line(
        "length",
        run.train.steps > 0 ? fmt::format("{} steps", run.train.steps) : fmt::format("{} epochs", run.train.epochs),
        {});
    page.line("sweep", describe_sweep(run.sweep), {});
  }
  if (page.json())
    page.members()["networks"] = network_members(study.runs);
  else
    print_networks(study.runs);
}

/// A derived file, and why it is stale, which is looked for in all that it was made of.
struct Derived {
  explicit Derived(const std::string& file)
      : path(file), there(fs::exists(file)), because(there ? stale_because(file) : std::nullopt) {}

  std::string text() const {
    return because ? fmt::format("{} (stale: it {}; renew it with: {})", path, *because, renewal(path)) : path;
  }
  /// Null where there is none.
  Json member() const {
    if (!there) return nullptr;
    return {{"file", path}, {"stale_because", because ? Json(*because) : Json()}};
  }

  std::string path;
  bool there;
  std::optional<std::string> because;
};

void tell_run(InfoPage& page, const RunDirectory& directory) {
  const Experiment experiment = read_stored_experiment(directory);
  const auto checkpoints = directory.checkpoint_steps();
  const std::string& variant = experiment.experiment.variant;
  page.head(fmt::format("{}: run of experiment \"{}\"{}", directory.root(), experiment.experiment.name,
                        variant.empty() ? "" : ", variant \"" + variant + "\""),
            {{"directory", directory.root()}, {"name", experiment.experiment.name}, {"variant", variant}});
  page.line("model", describe_experiment(experiment), {{"configuration", experiment_members(experiment)}});
  if (checkpoints.empty())
    return page.line("steps done", "none: no checkpoint yet", {{"step", nullptr}, {"checkpoints", checkpoints}});
  const CheckpointInfo info = last_checkpoint(directory);
  page.line("steps done",
            fmt::format("{} of {} ({} per epoch), {} checkpoints", info.step, info.total_steps, info.steps_per_epoch,
                        checkpoints.size()),
            {{"step", info.step},
             {"total_steps", info.total_steps},
             {"steps_per_epoch", info.steps_per_epoch},
             {"checkpoints", checkpoints}});
  page.line("parameters", fmt::format("{}", info.parameters), {{"parameters", info.parameters}});
  tell_data(page, read_provenance(open_published(directory.checkpoint_path(info.step), "checkpoint")));
  const WholeTrace trace = read_whole_trace(directory, 0, info.step);
  tell_last(page, experiment, trace.steps.empty() ? nullptr : &trace.steps.rbegin()->second,
            trace.tests.empty() ? nullptr : &trace.tests.rbegin()->second);
  std::set<std::string> told;
  Json surveys = Json::array(), others = Json::array();
  for (const SurveyId& survey : directory.surveys()) {
    const Derived merged(directory.merged_path(survey));
    const std::size_t shards = directory.shard_files(survey).size();
    told.insert(merged.path);
    surveys.push_back({{"kind", survey.kind}, {"name", survey.name}, {"shards", shards}, {"merged", merged.member()}});
    page.line(survey.kind + " " + survey.name,
              fmt::format("{} shards, {}", shards, merged.there ? "merged in " + merged.text() : "not merged"), {});
  }
  for (const std::string& path : directory.derived_files()) {  // of older programs, which kept no shards of analyses
    if (told.contains(path)) continue;
    const Derived derived(path);
    others.push_back(derived.member());
    page.line("also", derived.text(), {});
  }
  page.members().update({{"surveys", surveys}, {"other_files", others}});
}

/// The experiments that a path holds, or the one of its file.
std::vector<Experiment> experiments_of(const std::string& path) {
  if (path.ends_with(".toml")) return load_study(path, {}).runs;
  if (!fs::is_directory(path)) return {parse_stored_experiment(read_provenance(open_published(path, "")).config, path)};
  std::vector<Experiment> experiments;
  for (const RunDirectory& run : find_runs(path)) experiments.push_back(read_stored_experiment(run));
  return experiments;
}

void tell_runs(InfoPage& page, const std::string& path) {
  std::vector<Experiment> experiments;
  Json runs = Json::array();
  for (const RunDirectory& run : find_runs(path)) {
    InfoPage one(page.json());
    tell_run(one, run);
    runs.push_back(one.members());
    experiments.push_back(read_stored_experiment(run));
  }
  try {
    if (page.json())
      page.members().update({{"kind", "runs"}, {"runs", runs}, {"networks", network_members(experiments)}});
    else
      print_networks(experiments);
  } catch (const UsageError& error) {
    throw Error(path, std::string("holds a configuration of no network: ") + error.what());
  }
}

void tell(InfoPage& page, const std::string& path) {
  if (fs::is_directory(path))
    tell_runs(page, path);
  else if (path.ends_with(".toml"))
    tell_config(page, path);
  else if (path.ends_with(".safetensors"))
    tell_safetensors(page, path);
  else
    tell_h5(page, path);
}

void print_info(const std::string& path, bool json) {
  InfoPage page(json);
  page.members()["path"] = path;
  tell(page, path);
  if (json) write_output(json_text(page.members()));
}

}  // namespace

void add_info(VerbList& verbs) {
  Verb verb = verbs.add("info", "What a file, a configuration or a run holds, in words");
  auto path = std::make_shared<std::string>();
  auto digest = std::make_shared<bool>(false);
  auto network = std::make_shared<bool>(false);
  auto json = std::make_shared<bool>(false);
  verb.option("PATH", *path, "configuration, HDF5 or safetensors file, run directory, or folder of runs").required();
  verb.flag("--digest", *digest, "print one hash of all data (wall times left out) instead");
  verb.flag("--network", *network, "print the network as text for model.layers instead");
  verb.flag("--json", *json, "print everything as JSON (docs/format.md)");
  verb.ignores({"--threads", "--isa", "--quiet"});
  verb.example("gradscape info CONFIG", "variants and their networks, before anything is trained");
  verb.example("gradscape info runs/NAME/bn/landscape.h5", "steps, multipliers, cells, origin");
  verb.runs([path, digest, network, json] {
    if (!fs::exists(*path)) throw UsageError(*path, "does not exist");
    if (*digest && *network) throw UsageError("--digest", "does not go with --network", "each prints one thing");
    if (*json && (*digest || *network))
      throw UsageError("--json", fmt::format("does not go with {}", *digest ? "--digest" : "--network"),
                       "without it --json holds networks too");
    if (*network)
      print_network_texts(experiments_of(*path));
    else if (*digest)
      print_out("{}\n", fs::is_directory(*path) ? directory_digest(*path) : content_digest(*path));
    else
      print_info(*path, *json);
  });
}

}  // namespace gradscape
