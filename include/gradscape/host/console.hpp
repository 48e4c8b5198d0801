// Standard output and standard error. What cannot be written to standard error is dropped; what cannot be written to
// standard output fails the program at its end. Nothing else in the program writes to either.
#pragma once

#include <fmt/format.h>

#include <string>
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

/// Writes what standard output holds back, so that what is written to standard error next comes behind it.
void flush_output() noexcept;

/// Columns of the terminal behind a descriptor; 80 where it is none, or does not say.
std::size_t terminal_columns(int descriptor);

/// Lines of it, likewise; else 24.
std::size_t terminal_lines(int descriptor);

/// Columns that a text of UTF-8 in one line takes on a terminal, where wide characters take two.
std::size_t columns_of(std::string_view text);

/// As much of the text's beginning as takes at most so many columns.
std::string cut_to_columns(const std::string& text, std::size_t columns);

/// Closes standard output. Error where it is closed already or full and anything was written to it.
void finish_output();

}  // namespace gradscape
