#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "gradscape/cli/program_help.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/split.hpp"

namespace gradscape {
namespace {

/// What stands for a value.
enum class Kind { none, choices, file, folder, text };

Kind kind_of(const OptionHelp& option) {
  if (!option.valued) return Kind::none;
  if (!option.choices.empty()) return Kind::choices;
  const std::string& name = option.names.front();
  const std::string called = option.positional ? name + " " + option.value : option.value;
  const auto has = [&](const char* word) { return called.find(word) != std::string::npos; };
  if (has("FILE") || has("CONFIG") || has("PATH")) return Kind::file;
  if (name == "--data.path" || option.value == "DIR" || has("RUN_DIR") || has("RUN@") || has("NET"))
    return Kind::folder;
  return Kind::text;
}

/// The text with a backslash before each of these letters.
std::string escaped(const std::string& text, const std::string& letters) {
  std::string result;
  for (const char letter : text) {
    if (letters.find(letter) != std::string::npos) result += '\\';
    result += letter;
  }
  return result;
}

/// What is given by its place, if anything.
const OptionHelp* positional(const VerbPage& verb) {
  for (const OptionHelp& option : verb.options)
    if (option.positional) return &option;
  return nullptr;
}

// --- bash ---

/// The answer of the script's function for values: words, or what else to complete with.
std::string bash_values(const OptionHelp& option) {
  switch (kind_of(option)) {
    case Kind::none:
      return "";
    case Kind::choices:
      return fmt::format("{}", fmt::join(option.choices, " "));
    case Kind::file:
      return "@file";
    case Kind::folder:
      return "@directory";
    case Kind::text:
      return "@text";
  }
  return "";
}

constexpr const char* kBashBody = R"sh(
_gradscape() {
  local IFS=$' \t\n' current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} values
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "$_gradscape_verbs help --help --version" -- "$current"))
    return
  fi
  if [[ $current == '=' ]]; then current=''; elif [[ $previous == '=' ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi
  [[ $previous == -* ]] && values=$(_gradscape_values "$verb" "$previous")
  [[ -n $values || $current == -* ]] || values=$(_gradscape_values "$verb" place)
  case $values in
    @text) ;;
    @file) mapfile -t COMPREPLY < <(compgen -f -- "$current") && compopt -o filenames 2> /dev/null ;;
    @directory) mapfile -t COMPREPLY < <(compgen -d -- "$current") && compopt -o filenames 2> /dev/null ;;
    '') COMPREPLY=($(compgen -W "$(_gradscape_options "$verb")" -- "$current")) ;;
    *) COMPREPLY=($(compgen -W "$values" -- "$current")) ;;
  esac
  return 0
}
complete -F _gradscape gradscape
)sh";

std::string bash_script(const ProgramHelp& program) {
  std::vector<std::string> verbs;
  std::string options;
  std::map<std::string, std::vector<std::string>> of_values;  // values → "'verb option'"
  for (const VerbPage& verb : program.verbs) {
    verbs.push_back(verb.name);
    std::vector<std::string> names;
    for (const OptionHelp& option : verb.options) {
      if (!option.positional) names.push_back(option.names.front());
      const std::string values = bash_values(option);
      if (values != "@text" && (!option.positional || &option == positional(verb)))
        of_values[values].push_back(
            shell_quoted(verb.name + " " + (option.positional ? "place" : option.names.front())));
    }
    options += fmt::format("    {}) echo {} ;;\n", verb.name, shell_quoted(fmt::format("{}", fmt::join(names, " "))));
  }
  std::string script =
      "# Completion of gradscape's verbs, options and values, for bash 4 and later.\n"
      "# Load it with: source <(gradscape completion bash)\n\n";
  script += fmt::format("_gradscape_verbs={}\n", shell_quoted(fmt::format("{}", fmt::join(verbs, " "))));
  script += "\n_gradscape_options() {\n  case $1 in\n" + options + "  esac\n}\n";
  script += "\n_gradscape_values() {\n  case \"$1 $2\" in\n    'help place') echo \"$_gradscape_verbs\" ;;\n";
  for (const auto& [values, places] : of_values)
    script += fmt::format("    {}) echo {} ;;\n", fmt::join(places, "|"), shell_quoted(values));
  return script + "    *' -'*) echo '@text' ;;\n  esac\n}\n" + kBashBody;
}

// --- zsh ---

/// ":DIR:_files -/": what stands for a value.
std::string zsh_action(const OptionHelp& option) {
  const std::string& name = option.positional ? option.names.front() : option.value;
  const std::string head = fmt::format(":{}:", escaped(name.empty() ? "value" : name, ":[]\\"));
  switch (kind_of(option)) {
    case Kind::none:
      return "";
    case Kind::choices:
      return fmt::format("{}({})", head, fmt::join(option.choices, " "));
    case Kind::file:
      return head + "_files";
    case Kind::folder:
      return head + "_files -/";
    case Kind::text:
      return head + " ";
  }
  return "";
}

std::string zsh_script(const ProgramHelp& program) {
  std::string verbs, cases;
  for (const VerbPage& verb : program.verbs) {
    verbs += fmt::format("    {}\n", shell_quoted(verb.name + ":" + escaped(verb.text, ":\\")));
    cases += fmt::format("    {})\n      _arguments", verb.name);
    int place = 0;
    for (const OptionHelp& option : verb.options) {
      if (option.positional) {
        cases += " \\\n        " + shell_quoted(fmt::format("{}{}", ++place, zsh_action(option)));
        continue;
      }
      const std::string text = escaped(option.text, "[]:\\");
      for (const std::string& name : option.names)
        cases += " \\\n        " +
                 shell_quoted(fmt::format("{}{}[{}]{}", name, option.valued && name.starts_with("--") ? "=" : "", text,
                                          zsh_action(option)));
    }
    cases += " ;;\n";
  }
  return fmt::format(R"sh(#compdef gradscape
# Completion of gradscape's verbs, options and values, for zsh.
# Load it with: source <(gradscape completion zsh), or put it into a folder of $fpath as _gradscape.

_gradscape() {{
  local -a verbs
  verbs=(
{}    'help:options and examples of a verb'
  )
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  shift words
  (( CURRENT-- ))
  case $words[1] in
    help) _describe verb verbs ;;
{}  esac
}}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _gradscape "$@"; else compdef _gradscape gradscape; fi
)sh",
                     verbs, cases);
}

// --- fish ---

std::string fish_quoted(const std::string& text) {
  return fmt::format("'{}'", escaped(text, "'\\"));
}

/// The arguments of `complete` that say what stands for a value.
std::string fish_action(const OptionHelp& option) {
  switch (kind_of(option)) {
    case Kind::none:
      return "";
    case Kind::choices:
      return fmt::format(" -x -a {}", fish_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
    case Kind::file:
      return " -r -F";
    case Kind::folder:
      return " -x -a '(__fish_complete_directories)'";
    case Kind::text:
      return " -x";
  }
  return "";
}

std::string fish_script(const ProgramHelp& program) {
  std::string script =
      "# Completion of gradscape's verbs, options and values, for fish.\n"
      "# Load it with: gradscape completion fish | source\n\ncomplete -c gradscape -f\n"
      "complete -c gradscape -n __fish_use_subcommand -l version -d 'version, compiler and libraries'\n"
      "complete -c gradscape -n __fish_use_subcommand -a help -d 'options and examples of a verb'\n";
  std::vector<std::string> verbs;
  for (const VerbPage& verb : program.verbs) {
    verbs.push_back(verb.name);
    script +=
        fmt::format("complete -c gradscape -n __fish_use_subcommand -a {} -d {}\n", verb.name, fish_quoted(verb.text));
    const std::string here = fmt::format("complete -c gradscape -n '__fish_seen_subcommand_from {}'", verb.name);
    for (const OptionHelp& option : verb.options) {
      if (option.positional) {
        std::string action = fish_action(option);
        if (kind_of(option) == Kind::file) action = " -F";
        if (&option == positional(verb) && kind_of(option) != Kind::text) script += here + action + "\n";
        continue;
      }
      script += here;
      for (const std::string& name : option.names)
        script += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      script += fmt::format("{} -d {}\n", fish_action(option), fish_quoted(option.text));
    }
  }
  return script +
         fmt::format("complete -c gradscape -n '__fish_seen_subcommand_from help' -a '{}'\n", fmt::join(verbs, " "));
}

}  // namespace

const std::vector<std::string>& completion_shells() {
  static const std::vector<std::string> shells = {"bash", "zsh", "fish"};
  return shells;
}

std::string completion_script(const ProgramHelp& program, const std::string& shell) {
  if (shell == "bash") return bash_script(program);
  if (shell == "zsh") return zsh_script(program);
  check(shell == "fish", "a shell of completion_shells()");
  return fish_script(program);
}

}  // namespace gradscape
