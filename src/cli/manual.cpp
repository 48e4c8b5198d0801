#include <fmt/format.h>

#include <algorithm>

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

/// Every key, from the verb that takes most.
std::string fields_section(const ProgramHelp& program) {
  const auto count = [](const VerbPage& verb) {
    return std::count_if(verb.options.begin(), verb.options.end(),
                         [](const OptionHelp& option) { return option.group.starts_with('['); });
  };
  const auto most = std::max_element(program.verbs.begin(), program.verbs.end(),
                                     [&](const VerbPage& a, const VerbPage& b) { return count(a) < count(b); });
  if (most == program.verbs.end()) return "";
  std::string text = title("SH", "CONFIGURATION") +
                     plain(
                         "A configuration is a TOML file. Every key is also a flag, as in --train.lr 0.05, or --lr "
                         "0.05 where its last "
                         "part is unique. [[variant]] tables override keys for one run each.") +
                     "\n",
              group;
  for (const OptionHelp& option : most->options) {
    if (!option.group.starts_with('[')) continue;
    if (option.group != group) text += title("SS", group = option.group);
    text += item(option);
  }
  return text;
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
  page += fields_section(program);
  page += title("SH", "EXIT STATUS");
  page += item("0", "Done.") + item("1", "Failed.") + item("2", "Wrong usage or configuration.");
  page += item("75", "Pre-empted by SIGTERM, SIGUSR1, SIGUSR2, SIGHUP or SIGXCPU; what was done is saved.");
  page += item("130", "Ctrl-C; what was done is saved.");
  page += title("SH", "ENVIRONMENT");
  page += item("OMP_NUM_THREADS, SLURM_CPUS_PER_TASK",
               "Threads, in this order, where --threads is not given; else all cores.");
  page += item("GRADSCAPE_CIFAR10, GRADSCAPE_CIFAR100",
               "Where data.source = \"cifar10\" or \"cifar100\" is read from, unless data.path says.");
  return page;
}

}  // namespace gradscape
