// A verb of the command line and its options. The parser behind it (CLI11) is included by two sources only: its
// templates cost seconds in every source that includes them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gradscape/cli/help.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gradscape {

/// Set by the verb that the command line names; run after parsing, once the global options are in force.
using Action = std::function<void()>;

/// What a verb's help says beside its options.
struct VerbHelp {
  std::vector<std::string> notes;
  std::vector<HelpEntry> examples;
  std::map<const CLI::Option*, std::vector<std::string>> choices;
  std::set<const CLI::Option*> common;
  std::set<std::string> ignored;  // options of every verb that it takes, but that have no effect
};

/// An option that was declared, to be described further.
class VerbOption {
 public:
  VerbOption(CLI::Option* option, VerbHelp* help) : option_(option), help_(help) {}
  VerbOption& required(bool needed = true);
  /// How help names the value; "" leaves it out.
  VerbOption& type_name(const std::string& name);
  VerbOption& group(const std::string& name);
  /// Help says the value that the variable has now.
  VerbOption& shows_default();
  /// The values that it takes, for completions; whoever takes the value checks it.
  VerbOption& choices(std::vector<std::string> values);
  /// It is the same in every verb that has it.
  VerbOption& common();

 private:
  CLI::Option* option_;
  VerbHelp* help_;
};

/// Names are "--flag", or a word for what is given by its place. What `value` refers to must live until the verb has
/// run.
class Verb {
 public:
  Verb(CLI::App* verb, Action* selected, VerbHelp* help) : verb_(verb), selected_(selected), help_(help) {}

  VerbOption option(const std::string& name, std::string& value, const std::string& help);
  VerbOption option(const std::string& name, std::optional<std::string>& value, const std::string& help);
  VerbOption option(const std::string& name, std::int64_t& value, const std::string& help);
  VerbOption option(const std::string& name, std::optional<int>& value, const std::string& help);
  VerbOption option(const std::string& name, std::optional<std::int64_t>& value, const std::string& help);
  /// Calls take(value) with a text or a whole number.
  VerbOption text(const std::string& name, std::function<void(const std::string&)> take, const std::string& help);
  VerbOption number(const std::string& name, std::function<void(int)> take, const std::string& help);
  VerbOption flag(const std::string& name, bool& value, const std::string& help);
  /// A paragraph of help.
  void note(const std::string& text);
  /// A command that help shows, and what it does.
  void example(const std::string& command, const std::string& meaning);
  /// Options that every verb takes and that have no effect on this one: help leaves them out.
  void ignores(std::set<std::string> options);
  /// What the verb does.
  void runs(Action action);

 private:
  CLI::App* verb_;
  Action* selected_;
  VerbHelp* help_;
};

/// Where verbs are added.
class VerbList {
 public:
  VerbList(CLI::App& app, Action& selected) : app_(&app), selected_(&selected) {}
  /// Verbs added from now on stand under this title.
  void begin_group(const std::string& title) { group_ = title; }
  /// `help`: in a line.
  Verb add(const std::string& name, const std::string& help);
  /// Of the verb of this name.
  VerbHelp& help(const std::string& name) { return help_.at(name); }

 private:
  CLI::App* app_;
  Action* selected_;
  std::string group_;
  std::map<std::string, VerbHelp> help_;
};

}  // namespace gradscape
