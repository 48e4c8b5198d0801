// Standard output and standard error. What cannot be written to standard error is dropped; what cannot be written to
// standard output fails the program at its end. Nothing else in the program writes to either.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace gradscape {

/// First thing in main(). Takes the descriptors 0, 1 and 2 that are closed, so that no file opened later gets one of
/// them and messages with it; and has a write to a pipe without a reader, or beyond the limit of a file's size, fail
/// instead of ending the process by SIGPIPE or SIGXFSZ.
void open_console();

/// Writes to standard error. A full disk, a closed descriptor, a terminal that is gone: the text is dropped.
void write_error(std::string_view text) noexcept;

/// Writes to standard output; finish_output() tells of failure.
void write_output(std::string_view text) noexcept;

/// The same, formatted.
template <class... Args>
void print_out(fmt::format_string<Args...> format, Args&&... args) {
  write_output(fmt::format(format, std::forward<Args>(args)...));
}

/// Closes standard output. Error where it is closed already or full and anything was written to it.
void finish_output();

}  // namespace gradscape
