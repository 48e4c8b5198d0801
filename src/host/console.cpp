#include "gradscape/host/console.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
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

/// A character of UTF-8 at the text's beginning.
struct Character {
  std::size_t bytes = 0;
  std::size_t columns = 0;
};

Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t length = byte(0) < 0x80 ? 1 : byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : byte(0) >= 0xc0 ? 2 : 1;
  unsigned code = length == 1 ? byte(0) : byte(0) & (0x7fU >> length);
  std::size_t bytes = 1;
  for (; bytes < length && bytes < text.size() && (byte(bytes) & 0xc0) == 0x80; ++bytes)
    code = code << 6 | (byte(bytes) & 0x3fU);
  const auto within = [code](unsigned first, unsigned last) { return first <= code && code <= last; };
  // East Asian scripts and pictures; a wide one missed here costs a column of the margin, one too many nothing.
  if (within(0x1100, 0x115f) || within(0x2e80, 0xa4cf) || within(0xac00, 0xd7a3) || within(0xf900, 0xfaff) ||
      within(0xfe30, 0xfe6f) || within(0xff00, 0xff60) || within(0xffe0, 0xffe6) || within(0x1f300, 0x1faff) ||
      within(0x20000, 0x3fffd))
    return {bytes, 2};
  return {bytes, within(0x300, 0x36f) ? 0U : 1U};  // accents stand above the letter before them
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

void flush_output() noexcept {
  if (std::fflush(stdout) != 0) note_failure();
}

std::size_t terminal_columns(int descriptor) {
  winsize size = {};
  return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::size_t terminal_lines(int descriptor) {
  winsize size = {};
  return ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) {
    const Character next = first_character(text);
    columns += next.columns;
    text.remove_prefix(next.bytes);
  }
  return columns;
}

std::string cut_to_columns(const std::string& text, std::size_t columns) {
  std::string_view rest = text;
  for (std::size_t taken = 0; !rest.empty();) {
    const Character next = first_character(rest);
    if (taken + next.columns > columns) break;
    taken += next.columns;
    rest.remove_prefix(next.bytes);
  }
  return text.substr(0, text.size() - rest.size());
}

void finish_output() {
  flush_output();
  if (std::fclose(stdout) != 0) note_failure();  // network file systems tell of a failed write here
  if (first_failure != 0)
    throw Error("standard output", std::string("cannot be written: ") + std::strerror(first_failure));
}

}  // namespace gradscape
