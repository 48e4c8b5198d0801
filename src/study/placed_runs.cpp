#include "gradscape/study/placed_runs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"

namespace gradscape {

std::vector<Experiment> choose_variants(const Study& study, const std::string& config, const std::string& variant) {
  std::vector<Experiment> chosen;
  std::vector<std::string> names;
  for (const Experiment& run : study.runs) {
    if (names.empty() || names.back() != run.experiment.variant) names.push_back(run.experiment.variant);
    if (variant.empty() || variant == names.back()) chosen.push_back(run);
  }
  if (chosen.empty()) {
    const std::string near = nearest(variant, names);
    throw UsageError("--variant", fmt::format("{} has no variant \"{}\"", config, abridge(variant)),
                     study.has_variants
                         ? (near.empty() ? fmt::format("it has: {}", abridge(fmt::format("{}", fmt::join(names, ", "))))
                                         : fmt::format("did you mean \"{}\"?", near))
                         : "it has no [[variant]] at all");
  }
  return chosen;
}

std::vector<PlacedRun> place_runs(const StudyOptions& options) {
  if (options.resume && options.force)
    throw UsageError("--resume", "does not go with --force",
                     "one continues the run that is there, the other replaces it");
  const Study study = load_study(options.config, options.overrides, options.scale);
  const std::string scaled = options.scale.empty() ? "" : "-" + options.scale;
  const std::string out = options.out.empty() ? "runs/" + study.name + scaled : options.out;
  std::vector<PlacedRun> runs;
  for (const Experiment& run : choose_variants(study, options.config, options.variant)) {
    const std::string place = study.has_variants ? out + "/" + run.experiment.variant : out;
    if (study.has_seeds)
      runs.push_back({run, RunDirectory(place + "/" + seed_folder(run.train.seed)), place});
    else if (study.has_rates)
      runs.push_back({run, RunDirectory(fmt::format("{}/lr-{}", place, run.train.lr)), place});
    else
      runs.push_back({run, RunDirectory(place), ""});
  }
  return runs;
}

}  // namespace gradscape
