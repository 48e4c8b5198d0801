#include "gradscape/cli/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <sstream>

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

constexpr const char* kFooter = R"(
Examples:
  gradscape run configs/quickstart.toml            train, probe and merge every variant
  gradscape train CONFIG --train.lr 0.01           any key of the file is also a flag
  gradscape sweep runs/NAME --steps 0:end:10       probe later, by exact replay
  gradscape sweep runs/NAME --task 0/8             the first of eight shares of that, for batch jobs
  gradscape shift runs/NAME --layers 5,10          internal covariate shift of two layers
  gradscape status runs/NAME                       what is trained, probed, missing or damaged
  gradscape verify runs/NAME                       check files, recompute random cells
  gradscape info runs/NAME                         what is there, in words
  gradscape numerics CONFIG                        how far from double precision one evaluation is
  gradscape bench --model.norm batch --threads 2   what a step costs here
  gradscape plan CONFIG --tasks 100                what a study will take, task by task
  tools/plot.py landscape runs/NAME -o figure.png  draw it; plot.py --help lists the figures
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 75 pre-empted by SIGTERM, SIGUSR1, SIGUSR2,
SIGHUP or SIGXCPU, 130 interrupted by Ctrl-C (75 and 130: what was done is saved, call again).)";

std::string version_text() {
  const BuildInfo& build = build_info();
  return fmt::format("gradscape {} ({})\ncompiler: {}\nflags: {}\nlibraries: {}", build.version, build.git_revision,
                     build.compiler, build.flags, build.libraries);
}

/// More threads than this are a mistake, which the system might answer by ending the process.
int most_threads() {
  return std::max(1024, 4 * omp_get_num_procs());
}

int checked_threads(long threads, const std::string& where) {
  if (threads < 1) throw UsageError(where, fmt::format("{} threads cannot compute", threads), "1 or more");
  if (threads > most_threads())
    throw UsageError(where, fmt::format("{} threads are too many", threads),
                     fmt::format("at most {} here, which has {} cores", most_threads(), omp_get_num_procs()));
  return static_cast<int>(threads);
}

/// A positive whole number in an environment variable, or the first of a list ("2,1", as OpenMP has it); 0 where there
/// is none.
int environment_threads(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return 0;
  const long threads = std::strtol(text, nullptr, 10);
  return threads > 0 ? checked_threads(threads, variable) : 0;
}

int default_threads() {
  if (const int threads = environment_threads("OMP_NUM_THREADS")) return threads;
  if (const int threads = environment_threads("SLURM_CPUS_PER_TASK")) return threads;
  return omp_get_num_procs();
}

/// Options that every verb takes.
struct Globals {
  int threads = 0;
  std::string isa = "auto";
  bool quiet = false;
};

void add_globals(CLI::App& app, Globals& globals) {
  app.add_option_function<int>(
         "--threads", [&globals](int threads) { globals.threads = checked_threads(threads, "--threads"); },
         "threads (default: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else all cores); results do not depend on it")
      ->type_name("N");
  app.add_option("--isa", globals.isa,
                 fmt::format("instruction set: {} (auto: the fastest of this CPU); results do not depend on it",
                             fmt::join(isa_names(), " | ")))
      ->type_name("NAME");
  app.add_flag("--quiet", globals.quiet, "no progress");
}

/// Has the verb refuse values that a script with an unset variable makes: nothing, and the flag that came next.
void guard_values(CLI::App& verb) {
  for (CLI::Option* option : verb.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    const std::string name = option->get_name(option->get_positional());
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

std::vector<const CLI::App*> verbs_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

const CLI::App* find_verb(const CLI::App& app, const std::string& name) {
  for (const CLI::App* verb : verbs_of(app))
    if (verb->get_name() == name) return verb;
  return nullptr;
}

/// The arguments, last one first, as CLI11 takes them. It would give "--out=" the next argument as its value: here that
/// is an empty value.
std::vector<std::string> reversed_arguments(const CLI::App& app, int argc, char** argv) {
  const CLI::App* verb = argc < 2 ? nullptr : find_verb(app, argv[1]);
  std::vector<std::string> arguments;
  bool options = true;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    if (argument == "--") options = false;
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

/// CLI11's words for an unknown argument, with the nearest option's name.
std::string explain_extra(const CLI::App& app, const CLI::ExtrasError& error, int argc, char** argv) {
  const auto verbs = app.get_subcommands();
  const CLI::App* verb = verbs.empty() ? &app : verbs.front();
  std::vector<std::string> names;
  for (const CLI::Option* option : verb->get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  if (verbs.empty())
    for (const CLI::App* candidate : verbs_of(app)) names.push_back(candidate->get_name());
  for (int i = 1; i < argc; ++i) {
    const std::string argument = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    if (std::string(error.what()).find(argument) == std::string::npos) continue;
    const std::string near = nearest(argument, names);
    if (!near.empty() && near != argument)
      return fmt::format("{}\n  hint: did you mean {}?", abridge(error.what()), near);
  }
  return abridge(error.what());
}

/// Refuses a first argument that is no verb, in better words than "a subcommand is required".
void require_known_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-' || find_verb(app, argv[1]) != nullptr) return;
  std::vector<std::string> names;
  for (const CLI::App* verb : verbs_of(app)) names.push_back(verb->get_name());
  const std::string near = nearest(argv[1], names);
  throw UsageError("", fmt::format("there is no verb \"{}\"", abridge(argv[1])),
                   near.empty() ? fmt::format("there are: {}", fmt::join(names, ", ")) : "did you mean " + near + "?");
}

/// Also where no memory is left to compose the message.
void complain(const char* message) noexcept {
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
  app.footer(kFooter);
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  Globals globals;
  Action selected;
  VerbList verbs(app, selected);
  add_run(verbs);
  add_train(verbs);
  add_sweep(verbs);
  add_merge(verbs);
  add_shift(verbs);
  add_distributions(verbs);
  add_theorem(verbs);
  add_status(verbs);
  add_verify(verbs);
  add_info(verbs);
  add_numerics(verbs);
  add_bench(verbs);
  add_plan(verbs);
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    add_globals(*verb, globals);
    guard_values(*verb);
  }
  require_known_verb(app, argc, argv);
  try {
    app.parse(reversed_arguments(app, argc, argv));
  } catch (const CLI::Success& success) {  // --help, --version
    std::ostringstream text;
    app.exit(success, text, text);
    write_output(text.str());
    return;
  } catch (const CLI::ExtrasError& error) {
    throw UsageError("", explain_extra(app, error, argc, argv));
  } catch (const CLI::ParseError& error) {
    throw UsageError("", abridge(error.what()), "gradscape --help, gradscape VERB --help");
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

}  // namespace

int run_command_line(int argc, char** argv) {
  open_console();
  parallel::initialise();
  const ExitCode code = run_and_tell([&] {
    CLI::App app("Loss landscapes along the gradient at every training step, with and without normalisation",
                 "gradscape");
    run(app, argc, argv);
  });
  const ExitCode written = run_and_tell(finish_output);
  return static_cast<int>(code == ExitCode::ok ? written : code);
}

}  // namespace gradscape
