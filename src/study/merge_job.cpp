#include "gradscape/study/merge_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/study/rates_job.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/shard_judge.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

/// A run's sweep whose shards belong together.
struct CheckedSweep {
  MergeInput input;
  Experiment experiment;  // with the sweep's settings
  std::string data;       // fingerprint
};

CheckedSweep check_sweep(const RunDirectory& directory, const SurveyId& survey) {
  const std::int64_t total = last_checkpoint(directory).total_steps;
  const std::string data = read_provenance(open_published(directory.checkpoint_path(0), "checkpoint")).data_fingerprint;
  // The sweep's settings are the shards' own, and one for all.
  const ShardJudge judge(directory, survey, read_stored_experiment(directory), data, Settings::of_shards);
  judge.require_none_foreign();
  const Experiment& settings = judge.settings();
  if (!survey_kind(survey.kind).of_steps()) {
    const auto pieces = plan_begun_surface(directory, survey);
    const std::int64_t points = pieces.empty() ? 0 : pieces.back().last;
    return {{directory, points - 1, [](std::int64_t) { return true; }, settings.train.seed, {}}, settings, data};
  }
  const auto wanted = [sweep = settings.sweep, total](std::int64_t step) { return is_selected(sweep, step, total); };
  return {{directory, std::min(total, last_step(settings.sweep, total)), wanted, settings.train.seed,
           survey.kind == "sweep" ? settings.sweep.points() : std::vector<double>{}},
          settings,
          data};
}

/// Error unless the two differ in train.seed alone.
void require_same_but_seed(const CheckedSweep& a, const CheckedSweep& b) {
  Experiment other = b.experiment;
  other.train.seed = a.experiment.train.seed;
  std::vector<std::string> list = identity_differences(a.experiment, other);
  for (const std::string& difference : sweep_differences(a.experiment, other)) list.push_back(difference);
  if (a.experiment.experiment.variant != other.experiment.variant) list.emplace_back("the variant differs");
  if (a.data != b.data) list.emplace_back("the training images differ");
  if (!list.empty())
    throw Error(b.input.directory.root(),
                fmt::format("is no other seed of {}: {}", a.input.directory.root(), fmt::join(list, "; ")),
                "move one of them elsewhere");
}

/// The seeds' runs in a folder, by seed.
std::vector<RunDirectory> seeds_in(const std::string& folder) {
  std::vector<RunDirectory> runs;
  for (const RunDirectory& run : find_runs(folder))
    if (seed_of_folder(run.root()) && fs::path(run.root()).parent_path() == fs::path(folder)) runs.push_back(run);
  std::sort(runs.begin(), runs.end(), [](const RunDirectory& a, const RunDirectory& b) {
    return seed_of_folder(a.root()) < seed_of_folder(b.root());
  });
  return runs;
}

}  // namespace

void unite_runs(const std::string& folder, const SurveyId& survey, Holes holes, const TellPath& tell) {
  std::vector<CheckedSweep> sweeps;
  std::vector<MergeInput> inputs;
  for (const RunDirectory& run : seeds_in(folder)) {
    sweeps.push_back(check_sweep(run, survey));
    require_same_but_seed(sweeps.front(), sweeps.back());
    inputs.push_back(sweeps.back().input);
  }
  tell(unite_seeds(folder, inputs, survey, holes));
}

void merge_runs(const std::vector<RunDirectory>& runs, const SurveyId& survey, Holes holes, const TellPath& tell) {
  std::vector<Error> errors;
  const auto attempt = [&](auto&& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      errors.push_back(error);
      return false;
    }
  };
  std::set<std::string> folders, broken;
  std::map<std::string, std::vector<RunDirectory>> rates;
  for (const RunDirectory& run : runs) {
    const std::string folder = fs::path(run.root()).parent_path().string();
    if (survey.kind == "sweep" && read_stored_experiment(run).sweep.kind == "runs") {
      rates[folder].push_back(run);
      continue;
    }
    if (survey.kind == "sweep" && runs.size() > 1 && seed_of_folder(run.root())) folders.insert(folder);
    const auto merge = [&] { tell(merge_shards(check_sweep(run, survey).input, survey, holes)); };
    if (!attempt(merge)) broken.insert(folder);
  }
  for (const auto& [folder, members] : rates) {
    const auto unite = [&] { tell(unite_rates(folder, members)); };
    attempt(unite);
  }
  for (const std::string& folder : folders)
    if (!broken.contains(folder)) attempt([&] { unite_runs(folder, survey, holes, tell); });
  if (errors.size() == 1) throw errors.front();
  std::string text;
  for (const Error& error : errors) text += fmt::format("\n{}", error.what());
  if (!errors.empty())
    throw Error("", fmt::format("{} files cannot be merged:{}", errors.size(), text), "", errors.front().exit_code());
}

}  // namespace gradscape
