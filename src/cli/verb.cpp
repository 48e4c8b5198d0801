#include "gradscape/cli/verb.hpp"

#include <CLI/CLI.hpp>

namespace gradscape {

VerbOption& VerbOption::required() {
  option_->required();
  return *this;
}
VerbOption& VerbOption::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}
VerbOption& VerbOption::delimiter(char separator) {
  option_->delimiter(separator);
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

VerbOption Verb::option(const std::string& name, std::string& value, const std::string& help) {
  return VerbOption(verb_->add_option(name, value, help));
}
VerbOption Verb::option(const std::string& name, std::optional<std::string>& value, const std::string& help) {
  return VerbOption(verb_->add_option(name, value, help));
}
VerbOption Verb::option(const std::string& name, std::vector<std::string>& value, const std::string& help) {
  return VerbOption(verb_->add_option(name, value, help));
}
VerbOption Verb::option(const std::string& name, std::int64_t& value, const std::string& help) {
  return VerbOption(verb_->add_option(name, value, help));
}
VerbOption Verb::option(const std::string& name, std::optional<int>& value, const std::string& help) {
  return VerbOption(verb_->add_option(name, value, help));
}
VerbOption Verb::option(const std::string& name, std::optional<std::int64_t>& value, const std::string& help) {
  return VerbOption(verb_->add_option(name, value, help));
}
VerbOption Verb::text(const std::string& name, std::function<void(const std::string&)> take, const std::string& help) {
  return VerbOption(verb_->add_option_function<std::string>(name, take, help));
}
VerbOption Verb::number(const std::string& name, std::function<void(int)> take, const std::string& help) {
  return VerbOption(verb_->add_option_function<int>(
      name, [take](const int& value) { take(value); }, help));
}
VerbOption Verb::flag(const std::string& name, bool& value, const std::string& help) {
  return VerbOption(verb_->add_flag(name, value, help));
}
void Verb::footer(const std::string& text) {
  verb_->footer(text);
}
void Verb::runs(Action action) {
  verb_->callback([action = std::move(action), selected = selected_] { *selected = action; });
}

Verb VerbList::add(const std::string& name, const std::string& help) {
  return {app_->add_subcommand(name, help), selected_};
}

}  // namespace gradscape
