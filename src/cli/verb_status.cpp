#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/study/merge.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/run_state.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

struct StatusCommand {
  std::string place;  // RUN_DIR, folder of runs, or CONFIG
  std::string out;
  SurveyId id;
  std::optional<int> tasks;
  bool missing = false;
  bool json = false;
};

std::vector<RunReport> inspect_all(const StatusCommand& command) {
  std::vector<RunReport> reports;
  if (fs::is_directory(command.place)) {
    if (!command.out.empty())
      throw UsageError("--out", "says where a configuration's runs lie, and " + command.place + " is a directory");
    for (const RunDirectory& run : find_runs(command.place))
      reports.push_back(inspect_run(run, read_stored_experiment(run), command.id));
    return reports;
  }
  if (!command.place.ends_with(".toml"))
    throw UsageError(command.place, fs::exists(command.place) ? "is no directory and no .toml file" : "does not exist",
                     "name a run directory, a folder of runs, or a configuration");
  StudyOptions options;
  options.config = command.place;
  options.out = command.out;
  for (const PlacedRun& run : place_runs(options))
    reports.push_back(inspect_run(
        run.directory, run.directory.holds_run() ? read_stored_experiment(run.directory) : run.experiment, command.id));
  // The order in which `sweep DIR --task` takes them.
  std::sort(reports.begin(), reports.end(), [](const RunReport& a, const RunReport& b) {
    return fs::path(a.directory.root()) < fs::path(b.directory.root());
  });
  return reports;
}

/// "2026-01-31T12:00:00+0100"
std::string time_text(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S%z}", fmt::localtime(std::chrono::system_clock::to_time_t(time)));
}

/// "; about 1:15 left"; nothing where that is not known.
std::string left_text(const std::optional<double>& seconds) {
  return seconds && *seconds > 0 ? fmt::format("; about {} left", format_time(*seconds)) : "";
}

void print_stale(const std::vector<StaleFile>& files) {
  for (const StaleFile& file : files)
    print_out("  stale     {}: {}; renew it with: {}\n", file.path, file.because, file.renewed_by);
}

/// Stale files that unite runs, in the folders above them.
std::vector<StaleFile> find_stale_unions(const std::vector<RunReport>& runs) {
  std::set<std::string> folders;
  for (const RunReport& run : runs) folders.insert(fs::path(run.directory.root()).parent_path().string());
  std::vector<StaleFile> stale;
  for (const std::string& folder : folders)
    for (const std::string& path : united_files(folder.empty() ? "." : folder))
      if (const auto because = stale_because(path)) stale.push_back({path, *because, renewal(path)});
  return stale;
}

void print_survey(const SurveyReport& survey) {
  std::string states;
  for (int i = 0; i < kSegmentStates; ++i) {
    const auto state = static_cast<SegmentState>(i);
    if (i == 0 || survey.count(state) > 0)
      states += fmt::format("{}{} {}", i == 0 ? "" : ", ", survey.count(state), segment_state_name(state));
  }
  const std::string label =
      survey.id == SurveyId{} ? "segments" : survey.id.kind + (survey.id.name == "main" ? "" : " " + survey.id.name);
  print_out("  {:<9} {} of {}; {}{}\n", label, states, survey.segments.size(), survey.merged ? "merged" : "not merged",
            left_text(survey.left));
}

void print_run(const RunReport& run) {
  print_out("{}: {}\n", run.directory.root(), run.complete() ? "complete" : "not complete");
  print_out("  trained   {} of {} steps{}\n", run.trained,
            run.total < 0 ? "(unknown before training begins)" : std::to_string(run.total),
            left_text(run.training_left));
  for (const SurveyReport& survey : run.surveys) print_survey(survey);
  for (const std::string& problem : run.problems) print_out("  damaged   {}\n", problem);
  for (const SurveyReport& survey : run.surveys)
    for (const SegmentReport& report : survey.segments)
      if (!report.problem.empty()) print_out("  damaged   {}\n", report.problem);
  print_stale(run.stale);
  if (run.last_write) {
    const auto ago = std::chrono::system_clock::now() - *run.last_write;
    print_out("  last file {}, {} ago\n", time_text(*run.last_write),
              format_time(std::round(std::chrono::duration<double>(ago).count())));
  }
}

nlohmann::json number_or_null(const std::optional<double>& value) {
  return value ? nlohmann::json(*value) : nlohmann::json();
}

nlohmann::json describe_stale(const StaleFile& file) {
  return {{"file", file.path}, {"because", file.because}, {"renewed_by", file.renewed_by}};
}

/// `problems`: where what is damaged is added to.
nlohmann::json describe_survey(const SurveyReport& survey, nlohmann::json& problems) {
  nlohmann::json segments = {{"planned", survey.segments.size()}};
  std::int64_t probed = 0, planned = 0;
  for (int i = 0; i < kSegmentStates; ++i)
    segments[segment_state_name(static_cast<SegmentState>(i))] = survey.count(static_cast<SegmentState>(i));
  for (const SegmentReport& report : survey.segments) {
    if (!report.problem.empty()) problems.push_back(report.problem);
    probed += report.probed;
    planned += static_cast<std::int64_t>(report.segment.probed.size());
  }
  return {{"segments", segments},
          {"probed_steps", probed},
          {"planned_probed_steps", planned},
          {"merged", survey.merged},
          {"sweep_left_seconds", number_or_null(survey.left)}};
}

nlohmann::json describe_run(const RunReport& run) {
  nlohmann::json problems = run.problems;
  nlohmann::json stale = nlohmann::json::array();
  for (const StaleFile& file : run.stale) stale.push_back(describe_stale(file));
  nlohmann::json document = describe_survey(run.surveys.front(), problems);  // the one that was asked for
  document["other_surveys"] = nlohmann::json::array();
  for (std::size_t i = 1; i < run.surveys.size(); ++i) {
    nlohmann::json other = describe_survey(run.surveys[i], problems);
    other["kind"] = run.surveys[i].id.kind;
    other["name"] = run.surveys[i].id.name;
    document["other_surveys"].push_back(other);
  }
  document.update({{"directory", run.directory.root()},
                   {"variant", run.experiment.experiment.variant},
                   {"seed", run.experiment.train.seed},
                   {"complete", run.complete()},
                   {"trained_steps", run.trained},
                   {"total_steps", run.total < 0 ? nlohmann::json() : nlohmann::json(run.total)},
                   {"damaged", problems},
                   {"stale", stale},
                   {"last_write", run.last_write ? nlohmann::json(time_text(*run.last_write)) : nlohmann::json()},
                   {"training_left_seconds", number_or_null(run.training_left)}});
  return document;
}

void print_json(const StatusCommand& command, const std::vector<RunReport>& runs, const std::vector<StaleFile>& unions,
                bool complete) {
  nlohmann::json document = {
      {"complete", complete}, {"kind", command.id.kind}, {"sweep", command.id.name}, {"runs", nlohmann::json::array()}};
  document["stale"] = nlohmann::json::array();
  for (const StaleFile& file : unions) document["stale"].push_back(describe_stale(file));
  for (const RunReport& run : runs) document["runs"].push_back(describe_run(run));
  if (command.tasks) {
    document["tasks"] = *command.tasks;
    document["missing_tasks"] = unfinished_tasks(runs, *command.tasks);
  }
  write_output(json_text(document));
}

/// The kind of the first survey that is not complete.
std::string first_open_kind(const std::vector<RunReport>& runs) {
  for (const RunReport& run : runs)
    for (const SurveyReport& survey : run.surveys)
      if (!survey.complete()) return survey.id.kind;
  return "sweep";
}

void report_status(const StatusCommand& command) {
  if (command.missing && !command.tasks)
    throw UsageError("--missing", "needs --tasks: an index says nothing without the number of shares",
                     "--missing --tasks N, with the n of `sweep --task i/n`");
  if (command.missing && command.json)
    throw UsageError("--missing", "does not go with --json", "--json --tasks N lists them as missing_tasks");
  if (command.tasks && *command.tasks < 1)
    throw UsageError("--tasks", fmt::format("{} tasks cannot share anything", *command.tasks), "1 or more");
  require_survey_kind(command.id.kind);
  require_folder_name("--name", command.id.kind, command.id.name);
  const std::vector<RunReport> runs = inspect_all(command);
  const auto open = std::count_if(runs.begin(), runs.end(), [](const RunReport& run) { return !run.complete(); });
  const std::vector<StaleFile> unions = find_stale_unions(runs);
  std::size_t stale = unions.size();
  for (const RunReport& run : runs) stale += run.stale.size();
  if (command.json) {
    print_json(command, runs, unions, open == 0);
  } else if (command.missing) {
    if (const auto tasks = unfinished_tasks(runs, *command.tasks); !tasks.empty())
      print_out("{}\n", describe_steps(tasks, tasks.size(), ","));
  } else {
    for (const RunReport& run : runs) print_run(run);
    print_stale(unions);
    if (open == 0 && stale == 0)
      print_out("complete: {}\n", runs.size() == 1 ? "the run" : fmt::format("all {} runs", runs.size()));
  }
  if (open == 0 && (stale == 0 || command.missing)) return;
  if (open == 0)
    throw Error(command.place,
                fmt::format("{} file{} not show what the runs hold now", stale, stale == 1 ? " does" : "s do"),
                fmt::format("{} renews {}", command.json ? "renewed_by in the answer" : "the command above",
                            stale == 1 ? "it" : "each"));
  const bool trained = std::all_of(
      runs.begin(), runs.end(), [](const RunReport& run) { return run.trained == run.total && run.problems.empty(); });
  throw Error(command.place, fmt::format("{} of {} runs are not complete", open, runs.size()),
              trained ? fmt::format("`gradscape {}` computes what is missing", first_open_kind(runs))
                      : "`gradscape train --resume` (or `run --resume`) goes on training, then `gradscape sweep`");
}

}  // namespace

void add_status(VerbList& verbs) {
  Verb verb = verbs.add("status", "What is trained, probed, missing or damaged");
  const auto command = std::make_shared<StatusCommand>();
  verb.option("RUN_DIR|CONFIG", command->place,
              "a run, a folder of runs, or the configuration of a study whose runs may not have begun")
      .required();
  verb.option("--out", command->out, "with CONFIG: where its runs lie (default: runs/NAME)").type_name("DIR");
  verb.option("--kind", command->id.kind,
              fmt::format("{}; with sweep, analyses that were begun are told of too", fmt::join(survey_names(), " | ")))
      .type_name("KIND")
      .choices(survey_names())
      .shows_default();
  verb.option("--name", command->id.name, "name of the sweep or analysis").type_name("NAME").shows_default();
  verb.option("--tasks", command->tasks, "number of shares that the sweep is done in").type_name("N");
  verb.flag("--missing", command->missing,
            "print only the indices of the tasks with something left to do, as in 0,3-5: what sbatch --array takes");
  verb.flag("--json", command->json, "print everything as JSON");
  verb.ignores({"--threads", "--isa", "--quiet"});
  verb.note("Code 0: all is there; 1: something is not.");
  verb.example("gradscape status runs/NAME", "of every run there");
  verb.example("gradscape status runs/NAME --missing --tasks 64", "the tasks to repeat");
  verb.runs([command] { report_status(*command); });
}

}  // namespace gradscape
