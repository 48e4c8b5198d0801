#include "gradscape/config/configuration_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "gradscape/config/study.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/file/input_file.hpp"
#include "gradscape/host/program_file.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

/// Names of the folder's entries that end so; none where it cannot be read.
std::vector<std::string> names_ending(const fs::path& folder, const std::string& end) {
  std::vector<std::string> names;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), last; !code && entry != last; entry.increment(code))
    if (std::string name = entry->path().filename().string(); name.ends_with(end)) names.push_back(std::move(name));
  std::sort(names.begin(), names.end());
  return names;
}

/// An example's path where there is one to see, else nothing.
std::string example_hint() {
  const std::string example = program_file("configs/quickstart.toml");
  return example.empty() ? "gradscape new writes one" : "gradscape new writes one; an example: " + example;
}

/// What may have been meant by a path without a file.
std::string missing_hint(const std::string& path) {
  const fs::path folder = fs::path(path).parent_path();
  const auto names = names_ending(folder.empty() ? "." : folder, ".toml");
  const std::string typed = fs::path(path).filename().string();
  std::string near = std::count(names.begin(), names.end(), typed + ".toml") > 0 ? typed + ".toml" : "";
  if (near.empty()) near = nearest(typed, names);
  return near.empty() || near == typed ? example_hint() : fmt::format("did you mean {}?", (folder / near).string());
}

/// What is to be done with a folder that is named in a configuration's place.
std::string folder_hint(const std::string& path) {
  constexpr const char* kTaker = "sweep, merge, status, verify and info take the folder";
  std::error_code code;
  const auto is_run = [&code](const fs::path& folder) { return fs::exists(folder / "config.toml", code); };
  if (is_run(path))
    return fmt::format("it is a run's: {}/config.toml --out {} --resume continues it; {}", path, path, kTaker);
  for (const std::string& name : names_ending(path, ""))
    if (is_run(fs::path(path) / name))
      return fmt::format("it holds runs: the file they were made of continues them, with --resume; {}", kTaker);
  if (const auto names = names_ending(path, ".toml"); !names.empty())
    return fmt::format("it holds {}", abridge(fmt::format("{}", fmt::join(names, ", "))));
  return example_hint();
}

}  // namespace

std::string read_configuration(const std::string& path) {
  std::error_code code;
  if (fs::is_directory(path, code))
    throw UsageError(path, "is a folder, and a configuration (a TOML file) is asked for", folder_hint(path));
  try {
    return read_text(path, kLongestConfiguration);
  } catch (const Error& error) {
    throw UsageError("", error.what(), is_entry(path) ? "" : missing_hint(path));
  }
}

}  // namespace gradscape
