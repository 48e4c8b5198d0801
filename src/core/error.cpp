#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

std::string join(const std::string& where, const std::string& what, const std::string& hint) {
  std::string text = where.empty() ? what : where + ": " + what;
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

}  // namespace gradscape
