#include "gradscape/file/folder.hpp"

#include <dirent.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "gradscape/core/error.hpp"

namespace gradscape {

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(folder.c_str()), ::closedir);
  if (!handle && (errno == ENOENT || errno == ENOTDIR)) return names;
  while (handle) {
    errno = 0;
    const dirent* entry = ::readdir(handle.get());
    if (entry == nullptr) break;
    if (const std::string name = entry->d_name; name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) throw AccessError(folder, std::string("cannot be listed: ") + std::strerror(errno));
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> files_below(const std::string& folder, const std::string& suffix) {
  std::vector<std::string> files;
  for (const std::string& name : names_in(folder)) {
    const std::string path = folder + "/" + name;
    std::error_code gone;
    const auto status = std::filesystem::symlink_status(path, gone);
    if (std::filesystem::is_directory(status)) {
      const auto below = files_below(path, suffix);
      files.insert(files.end(), below.begin(), below.end());
    } else if (name.front() != '.' && name.ends_with(suffix) && std::filesystem::is_regular_file(status)) {
      files.push_back(path);
    }
  }
  return files;
}

}  // namespace gradscape
