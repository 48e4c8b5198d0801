#include "gradscape/cli/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "gradscape/cli/debug.hpp"
#include "gradscape/cli/program_help.hpp"
#include "gradscape/cli/thread_count.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/experiment.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/isa.hpp"
#include "gradscape/host/program_file.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/host/version.hpp"

namespace gradscape {
namespace {

/// The group of options that the parser puts those in that name none.
constexpr const char* kOptions = "Options";

std::string version_text() {
  const BuildInfo& build = build_info();
  return fmt::format("gradscape {} ({})\ncompiler: {}\nflags: {}\nlibraries: {}", build.version, build.git_revision,
                     build.compiler, build.flags, build.libraries);
}

/// Options that every verb takes.
struct Globals {
  int threads = 0;
  std::string isa = "auto";
  bool quiet = false;
  bool debug = false;  // looked for in the arguments: an error may come before they are parsed
};

void add_globals(CLI::App& app, VerbHelp& help, Globals& globals) {
  // What has no effect is taken all the same, so that a script can give it to every verb; help leaves it out.
  const auto group = [&help](const std::string& name) { return help.ignored.contains(name) ? "" : kOptions; };
  Verb verb(&app, nullptr, &help);
  verb.number(
          "--threads", [&globals](int threads) { globals.threads = checked_threads(threads, "--threads"); },
          "threads (results do not depend on them)")
      .type_name("N")
      .group(group("--threads"))
      .common();
  verb.option("--isa", globals.isa, fmt::format("instruction set: {}", fmt::join(isa_names(), " | ")))
      .type_name("NAME")
      .choices(isa_names())
      .group(group("--isa"))
      .common();
  verb.flag("--quiet", globals.quiet, "no progress").group(group("--quiet")).common();
  verb.flag("--debug", globals.debug, "with an error: what was done, and how to do it again").common();
}

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

const CLI::App* find_verb(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : verbs_of(app))
    if (verb->get_name() == name) return verb;
  return nullptr;
}

/// Whether options of the verb have a group for which this holds.
bool any_group(const CLI::App& verb, bool (*holds)(const std::string& group)) {
  const auto options = verb.get_options();
  return std::any_of(options.begin(), options.end(),
                     [&](const CLI::Option* option) { return holds(option->get_group()); });
}

/// Whether keys of a configuration are flags of the verb; they have groups of their own.
bool takes_fields(const CLI::App& verb) {
  return any_group(verb, [](const std::string& group) { return group.starts_with('['); });
}

/// Whether --help-all tells more than --help.
bool has_more(const CLI::App& verb) {
  return any_group(verb, [](const std::string& group) { return !group.empty() && group != kOptions; });
}

OptionHelp describe(const CLI::Option& option, const VerbHelp& help) {
  OptionHelp described;
  described.positional = option.get_positional();
  described.required = option.get_required();
  described.valued = option.get_items_expected_max() > 0;
  described.names = {option.get_name(described.positional)};
  if (!described.positional)
    for (const std::string& name : option.get_snames()) described.names.push_back("-" + name);
  described.value = option.get_type_name();
  described.text = option.get_description();
  if (described.valued && !option.get_default_str().empty())
    described.text += fmt::format(" (default: {})", option.get_default_str());
  if (option.get_group() != kOptions) described.group = option.get_group();
  described.common = help.common.contains(&option) || described.names.front().starts_with("--help");
  if (const auto known = help.choices.find(&option); known != help.choices.end()) described.choices = known->second;
  return described;
}

ProgramHelp describe(const CLI::App& app, VerbList& verbs) {
  ProgramHelp program{app.get_description(), {}};
  for (const CLI::App* verb : verbs_of(app)) {
    const VerbHelp& help = verbs.help(verb->get_name());
    VerbPage page{verb->get_group(), verb->get_name(), verb->get_description(), {}, help.notes, help.examples};
    for (const CLI::Option* option : verb->get_options())
      if (!option->get_group().empty() && (option != verb->get_help_all_ptr() || has_more(*verb)))
        page.options.push_back(describe(*option, help));
    program.verbs.push_back(std::move(page));
  }
  return program;
}

/// Has the verb refuse values that a script with an unset variable makes: nothing, and the flag that came next.
void guard_values(CLI::App& verb) {
  for (CLI::Option* option : verb.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    // get_name() keeps the names of what help leaves out to itself.
    const std::string name =
        option->get_lnames().empty() ? option->get_name(true) : "--" + option->get_lnames().front();
    const bool may_be_empty = name == "--data.path";
    option->check([&verb, name, may_be_empty](const std::string& value) -> std::string {
      if (value.empty() && !may_be_empty) throw UsageError(name, "its value is empty", "is a variable not set?");
      const bool flag = value.starts_with("--") ||
                        (value.size() == 2 && value[0] == '-' && verb.get_option_no_throw(value) != nullptr);
      if (flag && name.starts_with('-'))
        throw UsageError(name, fmt::format("its value is missing: {} follows, which is a flag", abridge(value)),
                         "is a variable not set? a path that begins with - is written as ./-");
      return "";
    });
  }
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

/// The arguments, last one first, as CLI11 takes them. It would give "--out=" the next argument as its value: here that
/// is an empty value.
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

/// Which arguments a verb does not take, and what may have been meant. An option before the verb is as unknown.
UsageError explain_extra(const CLI::App& app, const CLI::ExtrasError& error, const std::vector<std::string>& given) {
  const auto verbs = app.get_subcommands();
  if (!verbs.empty() && given.front() != verbs.front()->get_name())
    return {abridge(given.front()), "is not expected before the verb",
            fmt::format("options follow it: gradscape {} …", verbs.front()->get_name())};
  for (const std::string& argument : given) {
    if (verbs.empty()) break;
    const std::string name = argument.starts_with("--") ? argument.substr(0, argument.find('=')) : argument;
    if (argument != verbs.front()->get_name() && std::string(error.what()).find(argument) != std::string::npos)
      return {abridge(name), fmt::format("is not expected by gradscape {}", verbs.front()->get_name()),
              hint_for(*verbs.front(), name)};
  }
  return {"", abridge(error.what()), "gradscape --help, gradscape VERB --help"};
}

/// Refuses a first argument that is no verb, in better words than "a subcommand is required".
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

/// "help" is --help, "help run" is "run --help".
std::vector<std::string> read_arguments(int argc, char** argv) {
  std::vector<std::string> given(argv + 1, argv + std::max(argc, 1));
  if (given.empty() || given.front() != "help") return given;
  given.front() = "--help";
  if (given.size() > 1) std::swap(given[0], given[1]);
  return given;
}

/// Also where no memory is left to compose the message.
void complain(const char* message) noexcept {
  flush_output();
  try {
    write_error(fmt::format("gradscape: {}\n", message));
  } catch (...) {
    write_error("gradscape: ");
    write_error(message);
    write_error("\n");
  }
}

/// What the command line asks for.
void run(CLI::App& app, int argc, char** argv) {
  app.set_version_flag("--version", version_text(), "version, compiler and libraries");
  app.set_help_flag("-h,--help", "this text");
  app.set_help_all_flag("--help-all", "this text with every option");
  app.require_subcommand(1);
  const std::vector<std::string> given = read_arguments(argc, argv);
  Globals globals;
  Action selected;
  VerbList verbs(app, selected);
  verbs.begin_group("Train and probe");
  add_run(verbs);
  add_train(verbs);
  add_sweep(verbs);
  add_shift(verbs);
  add_distributions(verbs);
  add_theorem(verbs);
  add_surface(verbs);
  add_merge(verbs);
  verbs.begin_group("Look");
  add_watch(verbs);
  add_status(verbs);
  add_info(verbs);
  add_verify(verbs);
  add_numerics(verbs);
  add_evaluate(verbs);
  verbs.begin_group("Files");
  add_new(verbs);
  add_import(verbs);
  add_export(verbs);
  add_export_surface(verbs);
  add_import_surface(verbs);
  verbs.begin_group("Plan, and help");
  add_plan(verbs);
  add_bench(verbs);
  const auto describe_all = [&] { return describe(app, verbs); };
  add_completion(verbs, describe_all);
  add_manual(verbs, describe_all);
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    add_globals(*verb, verbs.help(verb->get_name()), globals);
    guard_values(*verb);
  }
  require_known_verb(app, given);
  const auto show_help = [&](bool all) {
    const auto named = app.get_subcommands();
    const ProgramHelp program = describe(app, verbs);
    const auto verb = std::find_if(program.verbs.begin(), program.verbs.end(), [&](const VerbPage& page) {
      return !named.empty() && page.name == named.front()->get_name();
    });
    const HelpPage page = verb == program.verbs.end() ? help_page(program) : help_page(*verb, all);
    write_output(layout_help(page, terminal_columns(STDOUT_FILENO)));
  };
  try {
    app.parse(reversed_arguments(app, given));
  } catch (const CLI::CallForHelp&) {
    return show_help(false);
  } catch (const CLI::CallForAllHelp&) {
    return show_help(true);
  } catch (const CLI::CallForVersion& version) {
    return print_out("{}\n", version.what());
  } catch (const CLI::ExtrasError& error) {
    throw explain_extra(app, error, given);
  } catch (const CLI::ArgumentMismatch& error) {  // an option that came last, without its value
    // The parser keeps the names of what help leaves out to itself.
    const std::string told = error.what(), name = told.substr(0, told.find(':'));
    throw UsageError(abridge(name.empty() ? given.back() : name), "its value is missing",
                     fmt::format("gradscape {} --help", given.front()));
  } catch (const CLI::ParseError& error) {
    const auto named = app.get_subcommands();
    if (named.empty()) throw UsageError("", "a verb is missing", "gradscape --help lists them");
    throw UsageError("", abridge(error.what()), fmt::format("gradscape {} --help", named.front()->get_name()));
  }
  select_isa(globals.isa);
  parallel::set_threads(globals.threads > 0 ? globals.threads : default_threads());
  set_quiet(globals.quiet);
  catch_interrupts();
  selected();
}

/// Calls work() and prints its error; returns the exit code.
template <class Work>
ExitCode run_and_tell(Work&& work) {
  try {
    work();
    return ExitCode::ok;
  } catch (const Error& error) {
    complain(error.what());
    return error.exit_code();
  } catch (const std::filesystem::filesystem_error& error) {
    complain(Error(error.path1().string(), error.code().message()).what());
  } catch (const std::bad_alloc&) {
    complain("out of memory\n  hint: a smaller train.batch_size or model.width needs less");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return ExitCode::failure;
}

/// With --debug: what was being done when the last error came.
void tell_debug(int argc, char** argv) noexcept {
  try {
    const std::vector<std::string> given(argv + 1, argv + std::max(argc, 1));
    if (std::find(given.begin(), given.end(), "--debug") != given.end())
      write_error(debug_text(argv[0], given, failed_work()));
  } catch (...) {  // no memory for it
  }
}

}  // namespace

int run_command_line(int argc, char** argv) {
  open_console();
  parallel::initialise();
  const ExitCode code = run_and_tell([&] {
    CLI::App app("Loss landscapes of neural networks, with and without normalisation", "gradscape");
    run(app, argc, argv);
  });
  if (code == ExitCode::failure || code == ExitCode::usage) tell_debug(argc, argv);
  const ExitCode written = run_and_tell(finish_output);
  return static_cast<int>(code == ExitCode::ok ? written : code);
}

}  // namespace gradscape
