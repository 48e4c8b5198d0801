#include "gradscape/cli/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <new>

#include "gradscape/cli/arguments.hpp"
#include "gradscape/cli/debug.hpp"
#include "gradscape/cli/program_help.hpp"
#include "gradscape/cli/thread_count.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/experiment.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/isa.hpp"
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
    std::size_t help_all = 0;
    for (const CLI::Option* option : verb->get_options()) {
      if (option->get_group().empty()) continue;
      if (option == verb->get_help_all_ptr()) help_all = page.options.size();
      page.options.push_back(describe(*option, help));
    }
    if (!page.has_more()) page.options.erase(page.options.begin() + static_cast<std::ptrdiff_t>(help_all));
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
    throw explain_extra(app, error.what(), given);
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
