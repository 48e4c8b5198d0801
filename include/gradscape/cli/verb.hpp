// A verb of the command line and its options. The parser behind it (CLI11) is included by two sources only: its
// templates cost seconds in every source that includes them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gradscape {

/// Set by the verb that the command line names; run after parsing, once the global options are in force.
using Action = std::function<void()>;

/// An option that was declared, to be described further.
class VerbOption {
 public:
  explicit VerbOption(CLI::Option* option) : option_(option) {}
  VerbOption& required();
  /// How help names the value; "" leaves it out.
  VerbOption& type_name(const std::string& name);
  /// This character, too, separates the values of a list.
  VerbOption& delimiter(char separator);
  VerbOption& group(const std::string& name);
  /// Help says the value that the variable has now.
  VerbOption& shows_default();

 private:
  CLI::Option* option_;
};

/// Names are "--flag", or a word for what is given by its place. What `value` refers to must live until the verb has
/// run.
class Verb {
 public:
  Verb(CLI::App* verb, Action* selected) : verb_(verb), selected_(selected) {}

  VerbOption option(const std::string& name, std::string& value, const std::string& help);
  VerbOption option(const std::string& name, std::optional<std::string>& value, const std::string& help);
  VerbOption option(const std::string& name, std::vector<std::string>& value, const std::string& help);
  VerbOption option(const std::string& name, std::int64_t& value, const std::string& help);
  VerbOption option(const std::string& name, std::optional<int>& value, const std::string& help);
  VerbOption option(const std::string& name, std::optional<std::int64_t>& value, const std::string& help);
  /// Calls take(value) with a text or a whole number.
  VerbOption text(const std::string& name, std::function<void(const std::string&)> take, const std::string& help);
  VerbOption number(const std::string& name, std::function<void(int)> take, const std::string& help);
  VerbOption flag(const std::string& name, bool& value, const std::string& help);
  /// What help says below the options.
  void footer(const std::string& text);
  /// What the verb does.
  void runs(Action action);

 private:
  CLI::App* verb_;
  Action* selected_;
};

/// Where verbs are added.
class VerbList {
 public:
  VerbList(CLI::App& app, Action& selected) : app_(&app), selected_(&selected) {}
  Verb add(const std::string& name, const std::string& help);

 private:
  CLI::App* app_;
  Action* selected_;
};

}  // namespace gradscape
