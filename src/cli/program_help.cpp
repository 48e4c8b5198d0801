#include "gradscape/cli/program_help.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gradscape {
namespace {

const std::vector<HelpEntry> kExamples = {{"gradscape new vgg", "write a first configuration, vgg.toml"},
                                          {"gradscape run vgg.toml --lr 0.01", "any key of the file is also a flag"},
                                          {"tools/plot.py landscape runs/vgg", "draw it; plot.py --help: figures"}};

constexpr const char* kExitCodes = "Exit codes: 0 done, 1 failed, 2 wrong usage, 75 pre-empted, 130 Ctrl-C.";

constexpr const char* kFieldsNote =
    "Every key of the configuration is a flag too, as in --train.lr 0.05, or --lr 0.05 where it is the only such key. "
    "--help-all lists them, with what is allowed and the defaults.";

/// "--steps RANGES" and its meaning.
HelpEntry entry_of(const OptionHelp& option) {
  HelpEntry entry{option.names.front(), option.text};
  if (option.valued && !option.positional && !option.value.empty()) entry.name += " " + option.value;
  return entry;
}

/// The group of that title, at the end where there is none yet.
HelpGroup& group_of(HelpPage& page, const std::string& title) {
  const auto same = std::find_if(page.groups.begin(), page.groups.end(),
                                 [&](const HelpGroup& known) { return known.title == title; });
  return same != page.groups.end() ? *same : page.groups.emplace_back(HelpGroup{title, {}});
}

}  // namespace

bool VerbPage::takes_fields() const {
  return std::any_of(options.begin(), options.end(),
                     [](const OptionHelp& option) { return option.group.starts_with('['); });
}

bool VerbPage::has_more() const {
  return std::any_of(options.begin(), options.end(), [](const OptionHelp& option) { return !option.group.empty(); });
}

std::string usage_of(const VerbPage& verb) {
  std::string usage = "gradscape " + verb.name;
  for (const OptionHelp& option : verb.options)
    if (option.positional)
      usage += option.required ? " " + option.names.front() : fmt::format(" [{}]", option.names.front());
  return usage + " [options]";
}

HelpPage help_page(const ProgramHelp& program) {
  HelpPage page{"gradscape: " + program.text, "gradscape VERB …", {}, {kExitCodes}};
  for (const VerbPage& verb : program.verbs) group_of(page, verb.group).entries.push_back({verb.name, verb.text});
  page.groups.back().entries.push_back({"help VERB", "Options and examples of a verb; also VERB --help"});
  page.groups.back().entries.push_back({"--version", "Version, compiler and libraries"});
  page.dense = true;
  page.groups.push_back({"Examples", kExamples});
  return page;
}

HelpPage help_page(const VerbPage& verb, bool all) {
  HelpPage page{
      fmt::format("gradscape {}: {}", verb.name, verb.text), usage_of(verb), {{"", {}}, {"Options", {}}}, verb.notes};
  for (const OptionHelp& option : verb.options)
    if (option.positional)
      page.groups[0].entries.push_back(entry_of(option));
    else if (option.group.empty())
      page.groups[1].entries.push_back(entry_of(option));
    else if (all)
      group_of(page, option.group).entries.push_back(entry_of(option));
  if (verb.has_more() && !all) {
    page.notes = {verb.takes_fields() ? kFieldsNote : "--help-all lists more options."};
    page.notes.insert(page.notes.end(), verb.notes.begin(), verb.notes.end());
  }
  page.groups.push_back({"Examples", verb.examples});
  return page;
}

}  // namespace gradscape
