#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "gradscape/cli/program_help.hpp"
#include "gradscape/host/console.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kColumns = 160;

/// The text where Markdown reads words; what stands between its backticks stays as it is.
std::string words(const std::string& text) {
  std::string result;
  bool code = false;
  for (const char letter : text) {
    if (letter == '`') code = !code;
    if (!code && (letter == '*' || letter == '<' || letter == '\\')) result += '\\';
    result += letter;
  }
  return result;
}

std::string code(const std::string& text) {
  return fmt::format("`{}`", text);
}

std::string code_list(const std::vector<std::string>& texts) {
  return code(fmt::format("{}", fmt::join(texts, "`, `")));
}

/// Lines of Markdown, the first after `head`, the others below it. What is code is not torn apart, and no line begins
/// with what would make it a list or a quotation.
std::string lines(const std::string& head, const std::string& text) {
  constexpr char kGlue = '\x01';
  std::string glued = text;
  bool inside = false;
  for (char& letter : glued) {
    if (letter == '`') inside = !inside;
    if (inside && letter == ' ') letter = kGlue;
  }
  std::string result, start = head;
  for (std::string line : wrap(glued, kColumns - columns_of(head))) {
    for (char& letter : line)
      if (letter == kGlue) letter = ' ';
    const bool marks = !result.empty() && std::string(">#+-").find(line.front()) != std::string::npos;
    result += start + (marks ? "\\" : "") + line + "\n";
    start = std::string(columns_of(head), ' ');
  }
  return result;
}

std::string paragraph(const std::string& text) {
  return lines("", text) + "\n";
}

/// "- `--name NAME`: what it means".
std::string item(const std::string& term, const std::string& text) {
  return lines("- ", term + ": " + text);
}

std::string item(const OptionHelp& option) {
  std::string term = fmt::format("{}", fmt::join(option.names, ", "));
  if (option.valued && !option.positional && !option.value.empty()) term += " " + option.value;
  return item(code(term), words(option.text) + (option.required && !option.positional ? " (required)" : ""));
}

/// Commands, and behind them in a column what they do.
std::string commands(const std::vector<HelpEntry>& examples) {
  std::size_t widest = 0;
  for (const HelpEntry& example : examples) widest = std::max(widest, columns_of(example.name));
  std::string text = "```sh\n";
  for (const HelpEntry& example : examples)
    text += fmt::format("{}{:{}}  # {}\n", example.name, "", widest - columns_of(example.name), example.text);
  return text + "```\n\n";
}

/// A heading's place, as web pages that show Markdown name it: of a verb, whose name has lower case and dashes only.
std::string link(const VerbPage& verb) {
  return fmt::format("[{0}](#{0})", verb.name);
}

std::string section(const VerbPage& verb) {
  std::string text =
      fmt::format("### {}\n\n", verb.name) + paragraph(fmt::format("{}. {}", words(verb.text), code(usage_of(verb))));
  std::vector<std::string> common;
  for (const OptionHelp& option : verb.options)
    if (option.positional) text += item(option);
  for (const OptionHelp& option : verb.options)
    if (option.common)
      common.push_back(option.names.front());
    else if (!option.positional && !option.group.starts_with('['))
      text += item(option);
  text += item(code_list(common), "[as everywhere](#options-of-every-verb)") + "\n";
  if (verb.takes_fields())
    text +=
        paragraph(fmt::format("[Keys of the configuration](#configuration) are flags too; {} lists those that have "
                              "an effect.",
                              code(fmt::format("gradscape {} --help-all", verb.name))));
  for (const std::string& note : verb.notes) text += paragraph(words(note));
  return verb.examples.empty() ? text : text + commands(verb.examples);
}

/// Each option that several verbs have, once.
std::string common_section(const ProgramHelp& program) {
  std::string text =
      "## Options of every verb\n\nEvery verb takes them; where it does not list one, that has no effect on it.\n\n";
  std::vector<std::string> told;
  for (const VerbPage& verb : program.verbs)
    for (const OptionHelp& option : verb.options) {
      if (!option.common || std::count(told.begin(), told.end(), option.names.front()) > 0) continue;
      told.push_back(option.names.front());
      text += item(option);
    }
  return text + "\n";
}

std::string fields_section() {
  const Experiment defaults;
  std::string text =
      "## Configuration\n\n" +
      paragraph(
          "A configuration is a TOML file. Every key is also a flag, as in `--train.lr 0.05`, or `--lr 0.05` where its "
          "last part is unique, and flags override the file. `[[variant]]` tables override keys for one run each, and "
          "`[scale.NAME]` tables all of them with `--scale NAME`.");
  std::string section;
  for (const Field& field : fields()) {
    if (field.section != section) {
      text += fmt::format("{}### Keys of [{}]\n\n", section.empty() ? "" : "\n", field.section);
      section = field.section;
    }
    const std::string allowed = field.choices.empty() ? code(field.allowed()) : code_list(field.choices);
    text += item(code(field.name()),
                 fmt::format("{} ({}; default {})", words(field.help), allowed, code(field_text(field, defaults))));
  }
  return text + "\n";
}

}  // namespace

std::string reference_page(const ProgramHelp& program) {
  std::string page =
      "# Reference\n\n" + paragraph(
                              "Every verb with its options, and every key of a configuration. This page is what "
                              "`gradscape manual --markdown` prints: it is made from the program's own lists, and "
                              "changed there.");
  for (auto verb = program.verbs.begin(); verb != program.verbs.end();) {
    const std::string& group = verb->group;
    std::vector<std::string> links;
    for (; verb != program.verbs.end() && verb->group == group; ++verb) links.push_back(link(*verb));
    page += item(group, fmt::format("{}", fmt::join(links, ", ")));
  }
  page +=
      "- [Options of every verb](#options-of-every-verb), [configuration](#configuration), "
      "[exit codes](#exit-codes), [environment](#environment)\n\n";
  std::string group;
  for (const VerbPage& verb : program.verbs) {
    if (verb.group != group) page += fmt::format("## {}\n\n", group = verb.group);
    page += section(verb);
  }
  page += common_section(program) + fields_section() + "## Exit codes\n\n";
  for (const ExitCodeHelp& code_help : exit_code_help())
    page += item(code(code_help.code), code_help.text + ": " + code_help.detail);
  page += "\n## Environment\n\n";
  for (const HelpEntry& variable : environment_help()) page += item(code(variable.name), words(variable.text));
  return page;
}

}  // namespace gradscape
