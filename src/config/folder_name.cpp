#include "gradscape/config/folder_name.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kLongest = 100;  // with what is put around it, below the 255 bytes of a file's name
constexpr std::string_view kRefused = "/*?[]{}\"'\\`$<>|";

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool is_own_name(std::string_view name) {
  constexpr std::string_view kNames[] = {"checkpoints", "trace", "sweep", "partial", "slurm", "gradscape-run"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames) || name.ends_with(".h5") ||
         name.ends_with(".toml") || is_run_folder(name);
}

/// What is wrong with the name; empty: nothing.
std::string fault(const std::string& name) {
  if (name.empty()) return "it is empty";
  if (name.size() > kLongest) return fmt::format("it has {} bytes", name.size());
  if (std::any_of(name.begin(), name.end(), is_control)) return "it holds a control character";
  if (const std::size_t at = name.find_first_of(kRefused); at != std::string::npos)
    return fmt::format("it holds {}", name[at]);
  if (name.front() == '.' || name.front() == '-') return fmt::format("it begins with {}", name.front());
  if (name.front() == ' ' || name.back() == ' ') return "it begins or ends with a space";
  if (is_own_name(name)) return "the program gives that name to files or folders of its own";
  return "";
}

}  // namespace

bool is_run_folder(std::string_view name) {
  const auto is_number = [](std::string_view text) {
    double value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code != std::errc::invalid_argument && end == text.data() + text.size();
  };
  return (name.starts_with("seed-") && is_number(name.substr(5))) ||
         (name.starts_with("lr-") && is_number(name.substr(3)));
}

void require_folder_name(const std::string& where, const std::string& what, const std::string& name) {
  const std::string wrong = fault(name);
  if (wrong.empty()) return;
  std::string shown = abridge(name);
  std::replace_if(shown.begin(), shown.end(), is_control, '?');
  throw UsageError(where, fmt::format("{} = \"{}\" cannot be a folder's name: {}", what, shown, wrong),
                   fmt::format("1 to {} bytes, none of {} or control characters, no . - or space in front, no space "
                               "behind; not checkpoints, trace, sweep, partial, slurm, seed-1, lr-0.1, x.h5, x.toml",
                               kLongest, kRefused));
}

}  // namespace gradscape
