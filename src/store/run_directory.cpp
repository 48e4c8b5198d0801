#include "gradscape/store/run_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "gradscape/core/error.hpp"
#include "gradscape/file/folder.hpp"
#include "gradscape/host/process_identity.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

/// Names in a directory, sorted; none where there is no directory. Hidden names are temporary files and stay out.
std::vector<std::string> list(const std::string& directory) {
  std::vector<std::string> names = names_in(directory);
  std::erase_if(names, [](const std::string& name) { return name.front() == '.'; });
  return names;
}

void remove(const std::string& path) {
  std::error_code code;
  fs::remove(path, code);
  if (code) throw Error(path, "cannot be deleted: " + code.message());
}

bool is_landscape(const std::string& name) {
  return name == "landscape.h5" || (name.starts_with("landscape-") && name.ends_with(".h5"));
}

/// Whether a temporary file's process has ended, by its name (publish.hpp) or, where that process cannot be looked for,
/// by a day without a change.
bool is_abandoned(const fs::path& path) {
  const std::string name = path.filename().string(), mark = ".tmp-";
  const std::size_t start = name.rfind(mark);
  if (name.front() != '.' || start == std::string::npos) return false;
  const auto process = parse_process_suffix(name.substr(start + mark.size()));
  const Life life = process ? life_of(*process) : Life::unknown;
  if (life != Life::unknown) return life == Life::dead;
  std::error_code code;
  const auto written = fs::last_write_time(path, code);
  return !code && fs::file_time_type::clock::now() - written > std::chrono::hours(24);
}

std::vector<SegmentFile> segments(const std::string& directory) {
  std::vector<SegmentFile> files;
  for (const auto& name : list(directory)) {
    long long first = 0, last = 0;
    int length = 0;
    if (std::sscanf(name.c_str(), "segment-%lld-%lld.h5%n", &first, &last, &length) == 2 &&
        static_cast<std::size_t>(length) == name.size())
      files.push_back({first, last, directory + "/" + name});
  }
  std::sort(files.begin(), files.end(), [](const SegmentFile& a, const SegmentFile& b) {
    return std::pair(a.first, a.last) < std::pair(b.first, b.last);
  });
  return files;
}

std::string segment_name(std::int64_t first, std::int64_t last) {
  return fmt::format("segment-{:08}-{:08}.h5", first, last);
}

}  // namespace

std::string describe(const SurveyId& survey) {
  return fmt::format("{} \"{}\"", survey.kind, survey.name);
}

std::string RunDirectory::checkpoint_path(std::int64_t step) const {
  return fmt::format("{}/checkpoints/step-{:08}.h5", root_, step);
}

std::string RunDirectory::trace_path(std::int64_t first, std::int64_t last) const {
  return root_ + "/trace/" + segment_name(first, last);
}

std::string RunDirectory::shard_path(const SurveyId& survey, std::int64_t first, std::int64_t last) const {
  return survey_folder(survey) + "/" + segment_name(first, last);
}

std::string RunDirectory::partial_path(const SurveyId& survey, std::int64_t first, std::int64_t last) const {
  return survey_folder(survey) + "/partial/" + segment_name(first, last);
}

std::string RunDirectory::merged_path(const SurveyId& survey) const {
  return root_ + "/" + survey_kind(survey.kind).merged + (survey.name == "main" ? "" : "-" + survey.name) + ".h5";
}

bool RunDirectory::holds_run() const {
  std::error_code code;
  if (!fs::is_regular_file(config_path(), code)) return false;
  if (fs::is_regular_file(marker_path(), code)) return true;
  const auto files = data_files();
  return std::any_of(files.begin(), files.end(),
                     [](const std::string& file) { return owner_of(file) == Owner::gradscape; });
}

std::vector<std::int64_t> RunDirectory::checkpoint_steps() const {
  std::vector<std::int64_t> steps;
  for (const auto& name : list(root_ + "/checkpoints")) {
    long long step = 0;
    int length = 0;
    if (std::sscanf(name.c_str(), "step-%lld.h5%n", &step, &length) == 1 &&
        static_cast<std::size_t>(length) == name.size())
      steps.push_back(step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::vector<SegmentFile> RunDirectory::trace_files() const {
  return segments(root_ + "/trace");
}

std::vector<SegmentFile> RunDirectory::shard_files(const SurveyId& survey) const {
  return segments(survey_folder(survey));
}

std::vector<SegmentFile> RunDirectory::partial_files(const SurveyId& survey) const {
  return segments(survey_folder(survey) + "/partial");
}

std::vector<SurveyId> RunDirectory::surveys() const {
  std::vector<SurveyId> found;
  for (const std::string& kind : survey_names())
    for (const std::string& name : list(root_ + "/" + kind)) found.push_back({kind, name});
  return found;
}

std::vector<std::string> RunDirectory::derived_files() const {
  std::vector<std::string> files;
  for (const auto& name : list(root_)) {
    const auto is_kinds = [&](const SurveyKind& kind) {
      return name == kind.merged + ".h5" || (name.starts_with(kind.merged + "-") && name.ends_with(".h5")) ||
             name == kind.merged + ".partial.h5";  // of older programs
    };
    if (std::any_of(survey_kinds().begin(), survey_kinds().end(), is_kinds)) files.push_back(root_ + "/" + name);
  }
  return files;
}

std::vector<std::string> RunDirectory::data_files() const {
  std::vector<std::string> files = derived_files();
  for (const std::string& name : list(root_))
    if (name.starts_with("directions-") && name.ends_with(".h5")) files.push_back(root_ + "/" + name);
  for (const std::int64_t step : checkpoint_steps()) files.push_back(checkpoint_path(step));
  const auto add = [&](const std::vector<SegmentFile>& segments) {
    for (const SegmentFile& segment : segments) files.push_back(segment.path);
  };
  add(trace_files());
  for (const SurveyId& survey : surveys()) {
    add(shard_files(survey));
    add(partial_files(survey));
  }
  return files;
}

void RunDirectory::mark() const {
  if (!fs::exists(marker_path()))
    publish_text(
        marker_path(),
        "This folder is a run of gradscape, which knows it by this file. `gradscape info` says what it holds.\n");
}

void RunDirectory::remove_run() const {
  if (!holds_run()) return;
  const auto files = data_files();
  for (const auto& file : files)
    if (owner_of(file) == Owner::another)
      throw Error(file, "is another program's, though it has the name of a run's file",
                  "nothing was deleted; move it elsewhere and call again");
  for (const auto& file : files) remove(file);
  remove_remains();
  std::vector<std::string> folders = {root_ + "/checkpoints", root_ + "/trace"};
  for (const SurveyId& survey : surveys())
    for (const char* folder : {"/partial", ""}) folders.push_back(survey_folder(survey) + folder);
  for (const std::string& kind : survey_names()) folders.push_back(root_ + "/" + kind);
  std::error_code not_empty;  // somebody else's files are in it
  for (const auto& folder : folders)
    if (fs::is_directory(fs::symlink_status(folder, not_empty))) fs::remove(folder, not_empty);
  remove(config_path());  // last: while they are there, a second --force can finish
  remove(marker_path());
}

void RunDirectory::remove_remains() const {
  std::vector<std::string> folders = {root_, root_ + "/checkpoints", root_ + "/trace"};
  for (const SurveyId& survey : surveys())
    for (const char* folder : {"", "/partial"}) folders.push_back(survey_folder(survey) + folder);
  for (const auto& folder : folders) {
    std::error_code ignored;  // what cannot be listed or deleted does no harm
    std::vector<fs::path> abandoned;
    for (const std::string& name : names_in(folder))
      if (is_abandoned(folder + "/" + name)) abandoned.push_back(folder + "/" + name);
    for (const auto& path : abandoned) fs::remove(path, ignored);
  }
}

void RunDirectory::remove_beyond(std::int64_t step) const {
  for (const SegmentFile& file : trace_files())
    if (file.last > step) remove(file.path);
  for (const SurveyId& survey : surveys()) {
    if (!survey_kind(survey.kind).of_steps()) continue;  // of a checkpoint, which stays
    for (const SegmentFile& file : shard_files(survey))
      if (file.last > step && !(file.first == step && file.last == step + 1)) remove(file.path);
    for (const SegmentFile& file : partial_files(survey))
      if (file.last > step) remove(file.path);
  }
}

std::vector<std::string> united_files(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& name : list(folder))
    if ((is_landscape(name) || name == "runs.h5") && owner_of(folder + "/" + name) == Owner::gradscape)
      files.push_back(folder + "/" + name);
  return files;
}

std::string seed_folder(std::int64_t seed) {
  return fmt::format("seed-{}", seed);
}

std::optional<std::int64_t> seed_of_folder(const std::string& path) {
  const std::string name = fs::path(path).lexically_normal().filename().string();
  long long seed = 0;
  if (std::sscanf(name.c_str(), "seed-%lld", &seed) != 1 || seed_folder(seed) != name) return {};
  return seed;
}

std::vector<RunDirectory> find_runs(const std::string& path) {
  constexpr int kDeepest = 2;  // variant, seed
  std::vector<RunDirectory> runs;
  const std::function<void(const std::string&, int)> look = [&](const std::string& place, int depth) {
    const RunDirectory candidate(place);
    if (candidate.holds_run()) {
      runs.push_back(candidate);
    } else if (depth < kDeepest) {
      for (const auto& name : list(place)) look(place + "/" + name, depth + 1);
    }
  };
  look(path, 0);
  if (runs.empty())
    throw UsageError(
        path, fs::exists(path) ? "holds no run" : "does not exist",
        "name a run directory, or a folder of runs; `gradscape run CONFIG` or `gradscape train CONFIG` makes one");
  return runs;
}

}  // namespace gradscape
