#include "gradscape/store/run_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

/// Names in a directory, sorted; none where there is no directory. Hidden names are temporary files and stay out.
std::vector<std::string> list(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code code;
  if (!fs::is_directory(directory, code)) return names;
  for (const auto& entry : fs::directory_iterator(directory, code)) {
    const std::string name = entry.path().filename().string();
    if (name.front() != '.') names.push_back(name);
  }
  if (code) throw Error(directory, "cannot be listed: " + code.message());
  std::sort(names.begin(), names.end());
  return names;
}

void remove(const std::string& path) {
  std::error_code code;
  fs::remove_all(path, code);
  if (code) throw Error(path, "cannot be deleted: " + code.message());
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

std::string RunDirectory::checkpoint_path(std::int64_t step) const {
  return fmt::format("{}/checkpoints/step-{:08}.h5", root_, step);
}

std::string RunDirectory::trace_path(std::int64_t first, std::int64_t last) const {
  return root_ + "/trace/" + segment_name(first, last);
}

std::string RunDirectory::shard_path(const std::string& sweep, std::int64_t first, std::int64_t last) const {
  return root_ + "/sweep/" + sweep + "/" + segment_name(first, last);
}

std::string RunDirectory::partial_path(const std::string& sweep, std::int64_t first, std::int64_t last) const {
  return root_ + "/sweep/" + sweep + "/partial/" + segment_name(first, last);
}

std::string RunDirectory::landscape_path(const std::string& sweep) const {
  return root_ + (sweep == "main" ? "/landscape.h5" : "/landscape-" + sweep + ".h5");
}

bool RunDirectory::holds_run() const {
  return fs::exists(config_path());
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

std::vector<SegmentFile> RunDirectory::shard_files(const std::string& sweep) const {
  return segments(root_ + "/sweep/" + sweep);
}

std::vector<SegmentFile> RunDirectory::partial_files(const std::string& sweep) const {
  return segments(root_ + "/sweep/" + sweep + "/partial");
}

std::vector<std::string> RunDirectory::sweeps() const {
  return list(root_ + "/sweep");
}

bool RunDirectory::holds_files() const {
  return !checkpoint_steps().empty() || !trace_files().empty() || !sweeps().empty();
}

void RunDirectory::remove_run() const {
  if (!holds_run()) return;
  for (const char* folder : {"checkpoints", "trace", "sweep"}) remove(root_ + "/" + folder);
  for (const auto& name : list(root_))
    if (name.starts_with("landscape") && name.ends_with(".h5")) remove(root_ + "/" + name);
  remove(config_path());  // last: while it is there, a second --force can finish
}

void RunDirectory::remove_beyond(std::int64_t step) const {
  for (const SegmentFile& file : trace_files())
    if (file.last > step) remove(file.path);
  for (const std::string& sweep : sweeps()) {
    for (const SegmentFile& file : shard_files(sweep))
      if (file.last > step && !(file.first == step && file.last == step + 1)) remove(file.path);
    for (const SegmentFile& file : partial_files(sweep))
      if (file.last > step) remove(file.path);
  }
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
    throw Error(
        path, fs::exists(path) ? "holds no run" : "does not exist",
        "name a run directory, or a folder of runs; `gradscape run CONFIG` or `gradscape train CONFIG` makes one");
  return runs;
}

}  // namespace gradscape
