#include "gradscape/file/input_file.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "gradscape/core/error.hpp"

namespace gradscape {

bool is_entry(const std::string& path) {
  struct stat found = {};
  if (::lstat(path.c_str(), &found) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  throw Error(path, std::string("cannot be read: ") + std::strerror(errno));
}

void require_regular_file(const std::string& path) {
  struct stat found = {};
  std::string instead;
  if (::stat(path.c_str(), &found) != 0) {
    const int code = errno;
    instead = code == ENOENT && is_entry(path) ? "it is a link to a file that does not exist"
              : code == ENOENT                 ? "there is no such file"
              : code == ELOOP                  ? "it is a link that leads back to itself"
                                               : std::strerror(code);
  } else if (S_ISDIR(found.st_mode)) {
    instead = "it is a directory";
  } else if (S_ISFIFO(found.st_mode)) {
    instead = "it is a pipe, not a file";
  } else if (!S_ISREG(found.st_mode)) {
    instead = "it is a device or a socket, not a file";
  }
  if (!instead.empty()) throw Error(path, "cannot be read: " + instead);
}

std::string read_text(const std::string& path, std::size_t most) {
  require_regular_file(path);
  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw Error(path, std::string("cannot be read: ") + std::strerror(errno));
  std::string text(most + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) throw Error(path, std::string("cannot be read: ") + std::strerror(errno));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > most) throw Error(path, fmt::format("is too long: at most {} bytes are read", most));
  return text;
}

}  // namespace gradscape
