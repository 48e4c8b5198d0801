// All that the program says of itself: its verbs and their options, as the parser has them. Help, completions, the
// manual page and docs/reference.md are made from it and the list of fields, and from nothing else.
#pragma once

#include <string>
#include <vector>

#include "gradscape/cli/help.hpp"
#include "gradscape/config/experiment.hpp"

namespace gradscape {

/// The group of options that only --help-all tells of.
inline constexpr const char* kMoreOptions = "More options";

struct OptionHelp {
  std::vector<std::string> names;  // "--help", "-h"; of what is given by its place "RUN_DIR"
  bool positional = false;
  bool required = false;
  bool valued = false;  // not a flag
  bool common = false;  // the same in every verb that has it: --quiet
  std::string value;    // how its value is called: "DIR"; may be empty
  std::string text;     // what it means, with its default
  std::string group;    // empty: of --help; kMoreOptions, or a section of the configuration in brackets: of --help-all
  std::vector<std::string> choices;  // the values that it takes; empty: not known beforehand
};

struct VerbPage {
  std::string group;  // under which title it stands
  std::string name;
  std::string text;  // in a line
  std::vector<OptionHelp> options;
  std::vector<std::string> notes;
  std::vector<HelpEntry> examples;

  /// Whether keys of a configuration are flags of the verb.
  bool takes_fields() const;
  /// Whether only --help-all tells of some options.
  bool has_more() const;
};

struct ProgramHelp {
  std::string text;  // in a line
  std::vector<VerbPage> verbs;
};

/// A screen for the whole program.
HelpPage help_page(const ProgramHelp& program);

/// `gradscape VERB --help`; `all`: with a flag for every field.
HelpPage help_page(const VerbPage& verb, bool all);

/// "gradscape run CONFIG [options]"
std::string usage_of(const VerbPage& verb);

/// A script that has the shell (one of completion_shells()) complete verbs, options, and values as far as they are
/// known: choices, files, directories.
std::string completion_script(const ProgramHelp& program, const std::string& shell);
const std::vector<std::string>& completion_shells();

/// The manual page, in roff's man macros and ASCII.
std::string manual_page(const ProgramHelp& program);

/// The same in Markdown, in lines of at most 160 columns: docs/reference.md.
std::string reference_page(const ProgramHelp& program);

/// What the program returns: "75", "pre-empted", and when that is.
struct ExitCodeHelp {
  std::string code;
  std::string text;
  std::string detail;
};
const std::vector<ExitCodeHelp>& exit_code_help();

/// Variables of the environment that it reads, and what for.
const std::vector<HelpEntry>& environment_help();

/// What a field means, what it takes, and its default, as flags and the manual page say it.
std::string field_help(const Field& field);

}  // namespace gradscape
