#include "gradscape/landscape/survey_kinds.hpp"

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/landscape/distributions.hpp"
#include "gradscape/landscape/shift.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/landscape/sweep_survey.hpp"
#include "gradscape/landscape/theorem.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kBins = 64;

}  // namespace

const std::vector<SurveyKind>& survey_kinds() {
  static const std::vector<SurveyKind> list = {
      {"sweep", "landscape", [] { return sweep_schema(); }, check_sweep},
      {"shift", "shift", [] { return shift_schema(); }, nullptr},
      {"distributions", "distributions", [] { return distributions_schema(); }, nullptr},
      {"theorem", "theorem", [] { return theorem_schema(); }, check_theorem},
      {"surface", "surface", [] { return surface_points_schema(); }, check_surface_points, unfold_surface},
  };
  return list;
}

const std::vector<std::string>& survey_names() {
  static const std::vector<std::string> list = [] {
    std::vector<std::string> names;
    for (const SurveyKind& kind : survey_kinds()) names.push_back(kind.name);
    return names;
  }();
  return list;
}

const SurveyKind& survey_kind(const std::string& name) {
  const auto& list = survey_kinds();
  const auto found = std::find_if(list.begin(), list.end(), [&](const SurveyKind& kind) { return kind.name == name; });
  check(found != list.end(), "a kind of the list");
  return *found;
}

std::vector<std::string> step_survey_names() {
  std::vector<std::string> names;
  for (const SurveyKind& kind : survey_kinds())
    if (kind.of_steps() && kind.name != "sweep") names.push_back(kind.name);
  return names;
}

std::vector<std::string> surveys_beside(const SweepOptions& options) {
  std::vector<std::string> kinds;
  if (options.also.empty()) return kinds;
  for (const std::string& kind : split_list(options.also))
    if (std::count(kinds.begin(), kinds.end(), kind) == 0) kinds.push_back(kind);
  return kinds;
}

SurveySettings settings_of(const Table& table) {
  SurveySettings settings;
  for (const Dimension& dimension : table.dimensions) {
    if (dimension.name == "layer") settings.layers = dimension.labels;
    if (dimension.name == "bin") settings.bins = dimension.size();
  }
  return settings;
}

template <class S>
std::unique_ptr<StepSurvey<S>> open_survey(const std::string& kind, const SweepOptions& options,
                                           const SurveySettings& settings, TrainingProcess<S>& process,
                                           std::int64_t segment) {
  if (process.imported() && (kind == "shift" || (kind == "sweep" && options.direction == "update")))
    throw UsageError(
        kind == "shift" ? kind : "sweep.direction",
        fmt::format("{} needs the weights after a step, which snapshots of another program's training lack",
                    kind == "shift" ? "internal covariate shift" : "the optimiser's update"),
        "the gradient's direction, distributions and theorem need none");
  if (kind == "sweep") return std::make_unique<SweepSurvey<S>>(options, process, segment);
  if (kind == "shift") return std::make_unique<ShiftAnalysis<S>>(process, settings.layers);
  if (kind == "distributions")
    return std::make_unique<DistributionAnalysis<S>>(process, settings.layers,
                                                     settings.bins > 0 ? settings.bins : kBins);
  check(kind == "theorem", "a kind of the list");
  return std::make_unique<TheoremAnalysis<S>>(process, settings.layers);
}

template std::unique_ptr<StepSurvey<float>> open_survey<float>(const std::string&, const SweepOptions&,
                                                               const SurveySettings&, TrainingProcess<float>&,
                                                               std::int64_t);
template std::unique_ptr<StepSurvey<double>> open_survey<double>(const std::string&, const SweepOptions&,
                                                                 const SurveySettings&, TrainingProcess<double>&,
                                                                 std::int64_t);

}  // namespace gradscape
