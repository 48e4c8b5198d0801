// Files that a user names. Only regular files are read: reading from a pipe or a device may never end.
#pragma once

#include <string>

namespace gradscape {

/// Whether a folder has an entry of this path, be it a link to nowhere; false also where there is no folder. Error
/// where that cannot be told.
bool is_entry(const std::string& path);

/// Error naming what `path` is instead, unless it is a regular file, links followed.
void require_regular_file(const std::string& path);

/// The whole of a regular file. Error where it holds more than `most` bytes or cannot be read.
std::string read_text(const std::string& path, std::size_t most);

}  // namespace gradscape
