#include "gradscape/cli/study_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gradscape/core/error.hpp"

namespace gradscape {

std::shared_ptr<StudyOptions> add_study_options(CLI::App& verb) {
  auto options = std::make_shared<StudyOptions>();
  verb.add_option("CONFIG", options->config, "configuration file (TOML)")->required();
  verb.add_option("--variant", options->variant, "only this [[variant]] of the file");
  verb.add_option("--out", options->out, "directory for the run, or for the variants' runs (default: runs/NAME)");
  verb.add_flag("--resume", options->resume, "continue (or extend) the run that is there");
  verb.add_flag("--force", options->force, "replace the run that is there");
  const Experiment defaults;
  for (const Field& field : fields()) {
    if (field.name() == "experiment.variant") continue;
    const std::string name = field.name();
    const std::string help =
        fmt::format("{} [{}; default {}]", field.help, field.allowed(), field_text(field, defaults));
    verb.add_option_function<std::string>(
            "--" + name, [options, name](const std::string& text) { options->overrides.emplace_back(name, text); },
            help)
        ->type_name("")
        ->group(fmt::format("[{}] (flags override the file)", field.section));
  }
  return options;
}

std::vector<PlacedRun> place_runs(const StudyOptions& options) {
  if (options.resume && options.force)
    throw UsageError("--resume", "does not go with --force",
                     "one continues the run that is there, the other replaces it");
  const Study study = load_study(options.config, options.overrides);
  const std::string out = options.out.empty() ? "runs/" + study.name : options.out;
  std::vector<PlacedRun> runs;
  std::vector<std::string> names;
  for (const Experiment& run : study.runs) {
    const std::string& variant = run.experiment.variant;
    names.push_back(variant);
    if (!options.variant.empty() && options.variant != variant) continue;
    runs.push_back({run, RunDirectory(study.has_variants ? out + "/" + variant : out)});
  }
  if (runs.empty()) {
    const std::string near = nearest(options.variant, names);
    throw UsageError("--variant", fmt::format("{} has no variant \"{}\"", options.config, options.variant),
                     study.has_variants ? (near.empty() ? fmt::format("it has: {}", fmt::join(names, ", "))
                                                        : fmt::format("did you mean \"{}\"?", near))
                                        : "it has no [[variant]] at all");
  }
  return runs;
}

}  // namespace gradscape
