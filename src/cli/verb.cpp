#include "gradscape/cli/verb.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// The parser's own words for a text that is no number name neither its kind nor what is wrong with it.
template <class T>
T whole_number(const std::string& name, const std::string& text) {
  T value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code == std::errc::result_out_of_range) throw UsageError(name, abridge(text) + " is too large");
  if (code != std::errc() || stop != end)
    throw UsageError(name, fmt::format("\"{}\" is not a whole number", abridge(text)));
  return value;
}

/// An option whose text, as a whole number, is given to take(value).
template <class T, class Take>
CLI::Option* add_whole(CLI::App& verb, const std::string& name, Take take, const std::string& help) {
  return verb.add_option_function<std::string>(
      name, [name, take](const std::string& text) { take(whole_number<T>(name, text)); }, help);
}

}  // namespace

VerbOption& VerbOption::required(bool needed) {
  option_->required(needed);
  return *this;
}
VerbOption& VerbOption::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}
VerbOption& VerbOption::group(const std::string& name) {
  option_->group(name);
  return *this;
}
VerbOption& VerbOption::shows_default() {
  option_->capture_default_str();
  return *this;
}
VerbOption& VerbOption::choices(std::vector<std::string> values) {
  help_->choices[option_] = std::move(values);
  return *this;
}
VerbOption& VerbOption::common() {
  help_->common.insert(option_);
  return *this;
}

VerbOption Verb::option(const std::string& name, std::string& value, const std::string& help) {
  return {verb_->add_option(name, value, help), help_};
}
VerbOption Verb::option(const std::string& name, std::optional<std::string>& value, const std::string& help) {
  return {verb_->add_option(name, value, help), help_};
}
VerbOption Verb::option(const std::string& name, std::int64_t& value, const std::string& help) {
  CLI::Option* option = add_whole<std::int64_t>(
      *verb_, name, [&value](std::int64_t given) { value = given; }, help);
  option->default_str(std::to_string(value));
  return {option, help_};
}
VerbOption Verb::option(const std::string& name, std::optional<int>& value, const std::string& help) {
  return {add_whole<int>(
              *verb_, name, [&value](int given) { value = given; }, help),
          help_};
}
VerbOption Verb::option(const std::string& name, std::optional<std::int64_t>& value, const std::string& help) {
  return {add_whole<std::int64_t>(
              *verb_, name, [&value](std::int64_t given) { value = given; }, help),
          help_};
}
VerbOption Verb::text(const std::string& name, std::function<void(const std::string&)> take, const std::string& help) {
  return {verb_->add_option_function<std::string>(name, take, help), help_};
}
VerbOption Verb::number(const std::string& name, std::function<void(int)> take, const std::string& help) {
  return {add_whole<int>(*verb_, name, std::move(take), help), help_};
}
VerbOption Verb::flag(const std::string& name, bool& value, const std::string& help) {
  return {verb_->add_flag(name, value, help), help_};
}
void Verb::note(const std::string& text) {
  help_->notes.push_back(text);
}
void Verb::example(const std::string& command, const std::string& meaning) {
  help_->examples.push_back({command, meaning});
}
void Verb::ignores(std::set<std::string> options) {
  help_->ignored = std::move(options);
}
void Verb::runs(Action action) {
  verb_->callback([action = std::move(action), selected = selected_] { *selected = action; });
}

Verb VerbList::add(const std::string& name, const std::string& help) {
  return {app_->add_subcommand(name, help)->group(group_), selected_, &help_[name]};
}

}  // namespace gradscape
