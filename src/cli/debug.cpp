#include "gradscape/cli/debug.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/parallel.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/host/isa.hpp"
#include "gradscape/host/version.hpp"
#include "gradscape/landscape/survey_kinds.hpp"

namespace gradscape {
namespace {

/// The argument as a shell takes it for one word.
std::string shell_word(const std::string& argument) {
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,@%+-";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) return argument;
  return shell_quoted(argument);
}

/// Takes an option and its value away, in both forms.
void drop(std::vector<std::string>& arguments, const std::string& option) {
  for (std::size_t i = 1; i < arguments.size();) {
    const auto at = arguments.begin() + static_cast<std::ptrdiff_t>(i);
    if (arguments[i].starts_with(option + "="))
      arguments.erase(at);
    else if (arguments[i] == option)
      arguments.erase(at, at + (i + 1 < arguments.size() ? 2 : 1));
    else
      ++i;
  }
}

void add_flag(std::vector<std::string>& arguments, const std::string& flag) {
  if (std::find(arguments.begin(), arguments.end(), flag) == arguments.end()) arguments.push_back(flag);
}

/// Whether a path is a folder, or one below it, as both are written.
bool holds(const std::string& folder, const std::string& path) {
  return !folder.empty() && path.starts_with(folder) &&
         (folder.back() == '/' || path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace

std::string replay_command(const std::string& program, const std::vector<std::string>& given,
                           const std::vector<Work>& failed) {
  std::vector<std::string> arguments = given;
  const std::string verb = given.empty() ? "" : given.front();
  const auto step = std::find_if(failed.begin(), failed.end(), [](const Work& work) { return work.first >= 0; });
  const auto survey = std::find_if(failed.begin(), failed.end(), [&](const Work& work) { return work.what == verb; });
  const auto kinds = step_survey_names();
  const bool surveys = verb == "sweep" || std::find(kinds.begin(), kinds.end(), verb) != kinds.end();
  if (surveys && step != failed.end() && step->last == step->first + 1 && survey != failed.end()) {
    drop(arguments, "--task");
    drop(arguments, "--steps");
    const auto folder = std::find_if(arguments.begin() + 1, arguments.end(),
                                     [&](const std::string& argument) { return holds(argument, survey->where); });
    if (folder != arguments.end()) *folder = survey->where;  // of a folder the one run
    arguments.emplace_back("--steps");
    arguments.push_back(std::to_string(step->first));
  } else if ((verb == "run" || verb == "train") && step != failed.end()) {
    std::erase(arguments, "--force");
    add_flag(arguments, "--resume");
  }
  add_flag(arguments, "--debug");
  std::string command = shell_word(program);
  for (const std::string& argument : arguments) command.append(" ").append(shell_word(argument));
  return command;
}

std::string debug_text(const std::string& program, const std::vector<std::string>& given,
                       const std::vector<Work>& failed) {
  std::string text = "while:\n";
  for (const Work& work : failed) text += fmt::format("  {}\n", describe(work));
  std::string command;
  for (const std::string& argument : given) command.append(" ").append(shell_word(argument));
  text += fmt::format("  gradscape{}\n", command);
  text += fmt::format("again: {}\n", replay_command(program, given, failed));
  const BuildInfo& build = build_info();
  return text + fmt::format("program: {} ({}), {} thread{}, {}\n", build.version, build.git_revision,
                            parallel::threads(), parallel::threads() == 1 ? "" : "s",
                            selected_isa() == Isa::avx512 ? "avx512" : "avx2");
}

}  // namespace gradscape
