// All that the program says of itself: its verbs and their options, as the parser has them. Help, completions and the
// manual page are made from it, and from nothing else.
#pragma once

#include <string>
#include <vector>

#include "gradscape/cli/help.hpp"

namespace gradscape {

/// The group of options that only --help-all tells of.
inline constexpr const char* kMoreOptions = "More options";

struct OptionHelp {
  std::vector<std::string> names;  // "--help", "-h"; of what is given by its place "RUN_DIR"
  bool positional = false;
  bool required = false;
  bool valued = false;  // not a flag
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

}  // namespace gradscape
