// One error type for what users and files do wrong; internal mistakes are std::logic_error.
#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>

namespace gradscape {

/// Process exit codes (README, "Exit codes").
enum class ExitCode { ok = 0, failure = 1, usage = 2, preempted = 75, interrupted = 130 };

/// A mistake that the user can fix: says where it is, what is wrong and, if known, how to fix it. The user's values in
/// `what` and `hint` are abridged, and `where` if it is longer than any path can be. Thrown anywhere, caught once in
/// main().
class Error : public std::runtime_error {
 public:
  Error(const std::string& where, const std::string& what, const std::string& hint = "",
        ExitCode exit_code = ExitCode::failure);

  ExitCode exit_code() const { return exit_code_; }

 private:
  ExitCode exit_code_;
};

/// The same for a wrong command line or configuration (exit code 2).
class UsageError : public Error {
 public:
  UsageError(const std::string& where, const std::string& what, const std::string& hint = "")
      : Error(where, what, hint, ExitCode::usage) {}
};

/// Something that exists but is not accessible now: no permission, too many open files, no memory, a device's error. It
/// says nothing of the file's content: code that replaces damaged files must not take this for damage.
class AccessError : public Error {
 public:
  using Error::Error;
};

/// An intact file that is not the one expected: of another run, program, kind or version. It must not be replaced
/// unless the user asks for it.
class ForeignFile : public Error {
 public:
  using Error::Error;
};

/// Whether a reader's error means that the file is damaged: its content is not what was written.
bool is_damage(const Error& error);

/// A user's value for a message: the value itself, or its first 200 bytes and "…", cut between two characters of UTF-8.
std::string abridge(std::string_view value);

/// Internal consistency check, always on. Throws std::logic_error naming the place.
inline void check(bool condition, const char* what,
                  const std::source_location& place = std::source_location::current()) {
  if (condition) return;
  throw std::logic_error(std::string(place.file_name()) + ":" + std::to_string(place.line()) +
                         ": internal error, please report it: " + what);
}

}  // namespace gradscape
