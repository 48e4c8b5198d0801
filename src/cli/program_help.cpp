#include "gradscape/cli/program_help.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace gradscape {
namespace {

const std::vector<HelpEntry> kExamples = {{"gradscape new vgg", "write a first configuration, vgg.toml"},
                                          {"gradscape run vgg.toml --lr 0.01", "any key of the file is also a flag"},
                                          {"tools/plot.py landscape runs/vgg", "draw it; plot.py --help: figures"}};

constexpr const char* kFieldsNote =
    "Keys of the configuration are flags too, as in --train.lr 0.05, or --lr 0.05 where it is the only such key. "
    "--help-all lists those that have an effect, with what is allowed and the defaults.";

/// "Exit codes: 0 done, 1 failed, …"
std::string exit_codes_note() {
  std::string note = "Exit codes:";
  for (const ExitCodeHelp& code : exit_code_help())
    note += fmt::format("{} {} {}", note.back() == ':' ? "" : ",", code.code, code.text);
  return note + ".";
}

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

const std::vector<ExitCodeHelp>& exit_code_help() {
  static const std::vector<ExitCodeHelp> codes = {
      {"0", "done", "all that was asked for is there"},
      {"1", "failed",
       "a file, the data or the machine is not as it must be; status, verify: something is missing or wrong"},
      {"2", "wrong usage", "of the command line or in a configuration"},
      {"75", "pre-empted", "by SIGTERM, SIGUSR1, SIGUSR2, SIGHUP or SIGXCPU; what was done is saved"},
      {"130", "Ctrl-C", "what was done is saved"}};
  return codes;
}

const std::vector<HelpEntry>& environment_help() {
  static const std::vector<HelpEntry> variables = {
      {"OMP_NUM_THREADS, SLURM_CPUS_PER_TASK", "threads, in this order, where --threads is not given; else all cores"},
      {"GRADSCAPE_CIFAR10, GRADSCAPE_CIFAR100",
       "where data.source = \"cifar10\" or \"cifar100\" is read from, unless data.path says"},
      {"OMPI_COMM_WORLD_RANK, PMI_RANK, SLURM_ARRAY_TASK_ID, SLURM_PROCID",
       "which share --task auto takes: the first of them that is set, with the variables that say of how many"},
      {"OMP_WAIT_POLICY", "with passive, waiting threads do not spin, which is faster where others use the cores too"},
      {"TMPDIR", "where plan and bench put temporary files, for as long as they run"}};
  return variables;
}

std::string field_help(const Field& field) {
  return fmt::format("{} [{}; default {}]", field.help, field.allowed(), field_text(field, Experiment()));
}

std::string usage_of(const VerbPage& verb) {
  std::string usage = "gradscape " + verb.name;
  for (const OptionHelp& option : verb.options)
    if (option.positional)
      usage += option.required ? " " + option.names.front() : fmt::format(" [{}]", option.names.front());
  return usage + " [options]";
}

HelpPage help_page(const ProgramHelp& program) {
  HelpPage page{"gradscape: " + program.text, "gradscape VERB …", {}, {exit_codes_note()}};
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
  if (verb.has_more() && !all)
    page.notes.insert(page.notes.begin(), verb.takes_fields() ? kFieldsNote : "--help-all lists more options.");
  page.groups.push_back({"Examples", verb.examples});
  return page;
}

}  // namespace gradscape
