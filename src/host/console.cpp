#include "gradscape/host/console.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

int first_failure = 0;  // errno of the first failed write to standard output

void note_failure() noexcept {
  if (first_failure == 0) first_failure = errno;
}

}  // namespace

void open_console() {
  int descriptor = 0;
  // open() gives the lowest free number. There is always a root directory, and writing to it fails as writing to a
  // closed descriptor does.
  do descriptor = ::open("/", O_RDONLY | O_DIRECTORY);
  while (0 <= descriptor && descriptor <= STDERR_FILENO);
  if (descriptor > STDERR_FILENO) ::close(descriptor);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

void write_error(std::string_view text) noexcept {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void write_output(std::string_view text) noexcept {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) note_failure();
}

void finish_output() {
  if (std::fflush(stdout) != 0) note_failure();
  if (std::fclose(stdout) != 0) note_failure();  // network file systems tell of a failed write here
  if (first_failure != 0)
    throw Error("standard output", std::string("cannot be written: ") + std::strerror(first_failure));
}

}  // namespace gradscape
