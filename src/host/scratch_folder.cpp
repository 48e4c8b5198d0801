#include "gradscape/host/scratch_folder.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "gradscape/core/error.hpp"

namespace gradscape {

ScratchFolder::ScratchFolder() {
  std::error_code failure;
  path_ = (std::filesystem::temp_directory_path(failure) / "gradscape-bench-XXXXXX").string();
  if (failure || ::mkdtemp(path_.data()) == nullptr)
    throw Error("TMPDIR",
                fmt::format("cannot make a temporary folder: {}", failure ? failure.message() : std::strerror(errno)),
                "let TMPDIR name a folder that can be written to");
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace gradscape
