#include "gradscape/store/sources.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "gradscape/core/error.hpp"
#include "gradscape/file/folder.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

/// Whether a name matches a pattern with at most one "*".
bool matches(const std::string& name, const std::string& pattern) {
  const std::size_t star = pattern.find('*');
  if (star == std::string::npos) return name == pattern;
  const std::string before = pattern.substr(0, star), behind = pattern.substr(star + 1);
  return name.size() >= before.size() + behind.size() && name.starts_with(before) && name.ends_with(behind);
}

}  // namespace

void Sources::add(const h5::File& file) {
  const auto hash = find_content_hash(file);
  known_ = known_ && hash.has_value();
  ++count_;
  sum_ += hash.value_or(0);
}

void Sources::write(h5::File& derived) const {
  if (!known_) return;
  derived.set_attribute("/", "sources", fmt::format("{}", fmt::join(patterns_, "\n")));
  derived.set_attribute("/", "sources_count", count_);
  derived.set_attribute("/", "sources_hash", sum_);
}

Sources Sources::of(const std::string& folder, const std::vector<std::string>& patterns) {
  Sources sources(patterns);
  for (const std::string& pattern : patterns)
    for (const std::string& path : match_files(folder, pattern)) try {
        sources.add(open_published(path, ""));
      } catch (const Error& error) {  // damaged: other verbs tell of it
        if (!is_damage(error)) throw;
      }
  return sources;
}

std::vector<std::string> match_files(const std::string& folder, const std::string& pattern) {
  const std::size_t slash = pattern.find('/');
  const std::string first = pattern.substr(0, slash);
  std::vector<std::string> names, found;
  std::error_code none_there;
  for (const std::string& name : names_in(folder))
    if (name.front() != '.' && matches(name, first)) names.push_back(name);
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    if (slash == std::string::npos) {
      if (fs::is_regular_file(path, none_there)) found.push_back(path);
      continue;
    }
    const auto below = match_files(path, pattern.substr(slash + 1));
    found.insert(found.end(), below.begin(), below.end());
  }
  return found;
}

std::optional<std::string> staleness(const std::string& path) {
  const h5::File file = open_published(path, "");
  if (!file.has_attribute("/", "sources")) return {};
  std::vector<std::string> patterns;
  std::istringstream text(file.text_attribute("/", "sources"));
  for (std::string line; std::getline(text, line);) patterns.push_back(line);
  const fs::path folder = fs::path(path).parent_path();
  const Sources now = Sources::of(folder.empty() ? "." : folder.string(), patterns);
  const std::int64_t count = file.integer_attribute("/", "sources_count");
  const std::uint64_t sum = file.hash_attribute("/", "sources_hash");
  if (now.count_ != count) return fmt::format("was made of {} files, and there are {} now", count, now.count_);
  if (now.known_ && now.sum_ != sum) return "was made of files that have changed since";
  return {};
}

}  // namespace gradscape
