// What a derived file was made of, and whether that has changed since.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gradscape/store/publish.hpp"

namespace gradscape {

/// The files that a derived file (a merged landscape, an analysis, what unites runs) was made of: how many, and the sum
/// modulo 2^64 of their content hashes, in which their order does not matter.
class Sources {
 public:
  /// `patterns`: paths relative to the derived file's folder in which every component may hold one "*", such as
  /// "sweep/main/segment-*.h5", "seed-*/trace/segment-*.h5".
  explicit Sources(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

  /// Counts a file that matches a pattern. One of an older program has no hash: then write() writes nothing.
  void add(const h5::File& file);

  /// Writes them as attributes of a derived file's root (docs/format.md), where all of them have a hash.
  void write(h5::File& derived) const;

  /// What those that match now are; files that cannot be read are left out.
  static Sources of(const std::string& folder, const std::vector<std::string>& patterns);

 private:
  friend std::optional<std::string> staleness(const std::string& path);

  std::vector<std::string> patterns_;
  std::int64_t count_ = 0;
  std::uint64_t sum_ = 0;
  bool known_ = true;
};

/// The files below `folder` that match a pattern, hidden ones left out, in order of their names.
std::vector<std::string> match_files(const std::string& folder, const std::string& pattern);

/// In words how a derived file's sources have changed since it was made ("was made of 3 files, and there are 4 now");
/// nothing where they have not, and where it does not say what they were (files of older programs). Error where the
/// file cannot be read.
std::optional<std::string> staleness(const std::string& path);

}  // namespace gradscape
