#include <fmt/format.h>

#include <cctype>

#include "gradscape/cli/program_help.hpp"
#include "gradscape/host/version.hpp"

namespace gradscape {
namespace {

/// The text as roff prints it: ASCII, where nothing is taken for a command.
std::string plain(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const std::size_t length = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    if (byte < 0x80) {
      if (text[i] == '\\')
        result += "\\e";
      else if (text[i] == '-')
        result += "\\-";
      else if (text[i] == '\'')
        result += "\\(aq";
      else if (text[i] == '`')
        result += "\\(ga";
      else if (text[i] == '^' || text[i] == '~')
        result += text[i] == '^' ? "\\(ha" : "\\(ti";
      else
        result += text[i];
    } else {
      unsigned code = byte & (0x7fU >> length);
      for (std::size_t k = 1; k < length && i + k < text.size(); ++k)
        code = code << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3fU);
      result += fmt::format("\\[u{:04X}]", code);
    }
    i += length;
  }
  if (result.starts_with('.')) result.insert(0, "\\&");
  return result;
}

std::string title(const std::string& command, const std::string& text) {
  return fmt::format(".{} {}\n", command, plain(text));
}

std::string paragraph(const std::string& text) {
  return fmt::format(".PP\n{}\n", plain(text));
}

/// A term in bold, and what it means.
std::string item(const std::string& term, const std::string& text) {
  return fmt::format(".TP\n\\fB{}\\fR\n{}\n", plain(term), plain(text));
}

std::string item(const OptionHelp& option) {
  std::string term;
  for (const std::string& name : option.names) term += (term.empty() ? "" : ", ") + name;
  if (option.valued && !option.positional && !option.value.empty()) term += " " + option.value;
  return item(term, option.text);
}

std::string section(const VerbPage& verb) {
  std::string text = title("SS", usage_of(verb)) + plain(verb.text) + ".\n";
  for (const OptionHelp& option : verb.options)
    if (option.positional) text += item(option);
  for (const OptionHelp& option : verb.options)
    if (!option.positional && !option.group.starts_with('[')) text += item(option);
  for (const std::string& note : verb.notes) text += paragraph(note);
  for (const HelpEntry& example : verb.examples) text += item(example.name, example.text);
  if (verb.takes_fields())
    text += paragraph(fmt::format(
        "Keys of the configuration are flags too; \"gradscape {} --help-all\" lists those that have an effect.",
        verb.name));
  return text;
}

/// Every key.
std::string fields_section() {
  std::string text = title("SH", "CONFIGURATION") +
                     plain(
                         "A configuration is a TOML file. Every key is also a flag, as in --train.lr 0.05, or --lr "
                         "0.05 where its last part is unique. [[variant]] tables override keys for one run each.") +
                     "\n",
              section;
  for (const Field& field : fields()) {
    if (field.section != section) text += title("SS", fmt::format("[{}]", section = field.section));
    text += item(field.name(), field_help(field));
  }
  return text;
}

/// "Pre-empted: by SIGTERM, …."
std::string sentence(std::string text) {
  text.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(text.front())));
  return text + ".";
}

}  // namespace

std::string manual_page(const ProgramHelp& program) {
  std::string page = fmt::format(".TH GRADSCAPE 1 \"\" \"gradscape {}\" \"User Commands\"\n", build_info().version);
  page += title("SH", "NAME") + "gradscape \\- " + plain(program.text) + "\n";
  page += title("SH", "SYNOPSIS") + ".B gradscape\n.I VERB\n[options]\n.br\n.B gradscape help\n.I VERB\n";
  std::string group;
  for (const VerbPage& verb : program.verbs) {
    if (verb.group != group) page += title("SH", group = verb.group);
    page += section(verb);
  }
  page += fields_section();
  page += title("SH", "EXIT STATUS");
  for (const ExitCodeHelp& code : exit_code_help()) page += item(code.code, sentence(code.text + ": " + code.detail));
  page += title("SH", "ENVIRONMENT");
  for (const HelpEntry& variable : environment_help()) page += item(variable.name, sentence(variable.text));
  return page;
}

}  // namespace gradscape
