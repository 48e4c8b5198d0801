#include "gradscape/core/error.hpp"

#include <climits>

namespace gradscape {
namespace {

std::string join(const std::string& where, const std::string& what, const std::string& hint) {
  std::string text = where.empty() ? what : (where.size() < PATH_MAX ? where : abridge(where)) + ": " + what;
  if (!hint.empty()) text += "\n  hint: " + hint;
  return text;
}

}  // namespace

Error::Error(const std::string& where, const std::string& what, const std::string& hint, ExitCode exit_code)
    : std::runtime_error(join(where, what, hint)), exit_code_(exit_code) {}

bool is_damage(const Error& error) {
  return error.exit_code() == ExitCode::failure && dynamic_cast<const AccessError*>(&error) == nullptr &&
         dynamic_cast<const ForeignFile*>(&error) == nullptr;
}

std::string abridge(std::string_view value) {
  constexpr std::size_t kMost = 200;
  if (value.size() <= kMost) return std::string(value);
  std::size_t end = kMost;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xc0) == 0x80) --end;  // not inside of a character
  return std::string(value.substr(0, end)) + "…";
}

}  // namespace gradscape
