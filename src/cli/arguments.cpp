#include "gradscape/cli/arguments.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "gradscape/config/experiment.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/host/program_file.hpp"

namespace gradscape {
namespace {

const CLI::App* find_verb(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : verbs_of(app))
    if (verb->get_name() == name) return verb;
  return nullptr;
}

/// Whether keys of a configuration are flags of the verb; they have groups of their own.
bool takes_fields(const CLI::App& verb) {
  const auto options = verb.get_options();
  return std::any_of(options.begin(), options.end(),
                     [](const CLI::Option* option) { return option->get_group().starts_with('['); });
}

std::string with_underscores(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// The option that a name without its section means, or with dashes for underscores: "--lr" is "--train.lr". The name
/// itself where there is none. UsageError where there are several.
std::string meant_option(const CLI::App& verb, const std::string& name) {
  if (verb.get_option_no_throw(name) != nullptr) return name;
  const std::string typed = with_underscores(name.substr(2));
  std::vector<std::string> meant;
  for (const CLI::Option* option : verb.get_options())
    for (const std::string& known : option->get_lnames()) {
      const std::string plain = with_underscores(known);
      if (plain == typed || plain.ends_with("." + typed)) meant.push_back("--" + known);
    }
  if (typed == "layers" && verb.get_option_no_throw("--per-layer") != nullptr)
    meant.insert(meant.begin(), "--per-layer");
  if (meant.empty()) return name;
  // The analyses' --layers says which ones, and no key does.
  if (typed != "layers" && meant.size() == 1) return meant.front();
  throw UsageError(name, fmt::format("is no option of {}", verb.get_name()),
                   fmt::format("did you mean {}?", fmt::join(meant, " or ")));
}

/// "--through A B C" as "--through A,B,C": the three networks of a plane may be three words.
std::vector<std::string> join_networks(const std::vector<std::string>& given) {
  std::vector<std::string> arguments;
  for (std::size_t i = 0; i < given.size(); ++i) {
    arguments.push_back(given[i]);
    if (given[i] != "--through" || given.size() - i <= 3) continue;
    const auto first = given.begin() + static_cast<std::ptrdiff_t>(i) + 1;
    const bool words = std::none_of(first, first + 3, [](const std::string& word) {
      return word.empty() || word.front() == '-' || word.find(',') != std::string::npos;
    });
    if (!words) continue;
    arguments.push_back(fmt::format("{}", fmt::join(first, first + 3, ",")));
    i += 3;
  }
  return arguments;
}

/// What to do about an argument that the verb does not take.
std::string hint_for(const CLI::App& verb, const std::string& argument) {
  const bool dash = argument.starts_with('-');
  if (argument.find_first_of("0123456789") == (dash ? 1U : 0U)) return "a list is one word, as in 0.5,1,2";
  if (!dash) return "";
  const std::string typed = argument.substr(std::min<std::size_t>(2, argument.size()));
  const std::string key = usual_key(with_underscores(typed.substr(typed.find('.') + 1)));
  std::vector<std::string> names;
  for (const CLI::Option* option : verb.get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  std::vector<std::string> meant;
  for (const std::string& field : fields_of_key(key))
    if (std::count(names.begin(), names.end(), "--" + field) > 0) meant.push_back("--" + field);
  if (!meant.empty()) return fmt::format("did you mean {}?", fmt::join(meant, " or "));
  if (const auto known = fields_of_key(key); !known.empty())
    return takes_fields(verb) ? fmt::format("{} has no effect on {}", known.front(), verb.get_name())
                              : fmt::format("a run keeps its {}", known.front());
  const std::string near = nearest(argument, names);
  return near.empty() ? fmt::format("gradscape {} --help", verb.get_name()) : "did you mean " + near + "?";
}

}  // namespace

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> read_arguments(int argc, char** argv) {
  std::vector<std::string> given(argv + 1, argv + std::max(argc, 1));
  if (given.empty() || given.front() != "help") return given;
  given.front() = "--help";
  if (given.size() > 1) std::swap(given[0], given[1]);
  return given;
}

void require_known_verb(const CLI::App& app, const std::vector<std::string>& given) {
  if (given.empty() || given.front().starts_with('-') || find_verb(app, given.front()) != nullptr) return;
  const std::string& typed = given.front();
  const std::vector<std::string> drawing = {"plot", "draw", "figure", "landscape"};
  std::string hint;
  std::vector<std::string> names;
  for (const CLI::App* verb : verbs_of(app)) names.push_back(verb->get_name());
  if (std::count(drawing.begin(), drawing.end(), typed) > 0) {
    const std::string tool = program_file("tools/plot.py");
    hint = fmt::format("figures are drawn by {0}, as in {0} landscape runs/NAME -o figure.png",
                       tool.empty() ? "plot.py" : tool);
  } else if (typed == "report") {
    const std::string tool = program_file("tools/report.py");
    hint =
        fmt::format("{} makes a report, as in report.py runs/NAME -o report.html", tool.empty() ? "report.py" : tool);
  } else if (const std::string near = nearest(typed, names); !near.empty()) {
    hint = "did you mean " + near + "?";
  } else {
    hint = fmt::format("there are: {}", fmt::join(names, ", "));
  }
  throw UsageError("", fmt::format("there is no verb \"{}\"", abridge(typed)), hint);
}

std::vector<std::string> reversed_arguments(const CLI::App& app, const std::vector<std::string>& given) {
  const CLI::App* verb = given.empty() ? nullptr : find_verb(app, given.front());
  std::vector<std::string> arguments;
  bool options = true;
  for (std::string argument : join_networks(given)) {
    if (argument == "--") options = false;
    if (options && verb != nullptr && argument.size() > 2 && argument.starts_with("--")) {
      const std::size_t end = std::min(argument.find('='), argument.size());
      argument = meant_option(*verb, argument.substr(0, end)) + argument.substr(end);
    }
    if (options && argument.size() > 3 && argument.starts_with("--") && argument.find('=') == argument.size() - 1) {
      argument.pop_back();
      const CLI::Option* option = verb == nullptr ? nullptr : verb->get_option_no_throw(argument);
      if (option != nullptr && option->get_items_expected_max() == 0)
        throw UsageError(argument, "its value is empty", "it is a flag, which takes no value");
      arguments.push_back(argument);
      argument.clear();
    }
    arguments.push_back(argument);
  }
  std::reverse(arguments.begin(), arguments.end());
  return arguments;
}

UsageError explain_extra(const CLI::App& app, const std::string& told, const std::vector<std::string>& given) {
  const auto verbs = app.get_subcommands();
  if (!verbs.empty() && given.front() != verbs.front()->get_name())
    return {abridge(given.front()), "is not expected before the verb",
            fmt::format("options follow it: gradscape {} …", verbs.front()->get_name())};
  for (const std::string& argument : given) {
    if (verbs.empty()) break;
    const std::string name = argument.starts_with("--") ? argument.substr(0, argument.find('=')) : argument;
    if (argument != verbs.front()->get_name() && told.find(argument) != std::string::npos)
      return {abridge(name), fmt::format("is not expected by gradscape {}", verbs.front()->get_name()),
              hint_for(*verbs.front(), name)};
  }
  return {"", abridge(told), "gradscape --help, gradscape VERB --help"};
}

}  // namespace gradscape
