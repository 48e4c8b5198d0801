#pragma once

#include <string>

namespace gradscape {

/// A new folder below TMPDIR, removed at the end.
class ScratchFolder {
 public:
  /// Error where it cannot be made.
  ScratchFolder();
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace gradscape
