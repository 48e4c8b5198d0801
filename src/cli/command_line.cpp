#include "gradscape/cli/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <omp.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <new>

#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/experiment.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/interrupt.hpp"
#include "gradscape/core/isa.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/progress.hpp"
#include "gradscape/core/version.hpp"

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
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 75 pre-empted by SIGTERM or SIGUSR1,
130 interrupted by Ctrl-C (75 and 130: what was done is saved, call again).)";

std::string version_text() {
  const BuildInfo& build = build_info();
  return fmt::format("gradscape {} ({})\ncompiler: {}\nflags: {}\nlibraries: {}", build.version, build.git_revision,
                     build.compiler, build.flags, build.libraries);
}

/// A positive whole number at the start of an environment variable; 0 where there is none.
int environment_threads(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return 0;
  int value = 0;
  std::from_chars(text, text + std::char_traits<char>::length(text), value);
  return value > 0 ? value : 0;
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
         "--threads",
         [&globals](int threads) {
           if (threads < 1)
             throw UsageError("--threads", fmt::format("{} threads cannot compute", threads), "1 or more");
           globals.threads = threads;
         },
         "threads (default: OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else all cores); results do not depend on it")
      ->type_name("N");
  app.add_option("--isa", globals.isa,
                 fmt::format("instruction set: {} (auto: the fastest of this CPU); results do not depend on it",
                             fmt::join(isa_names(), " | ")))
      ->type_name("NAME");
  app.add_flag("--quiet", globals.quiet, "no progress");
}

/// CLI11's words for an unknown argument, with the nearest option's name.
std::string explain_extra(const CLI::App& app, const CLI::ExtrasError& error, int argc, char** argv) {
  const auto verbs = app.get_subcommands();
  const CLI::App* verb = verbs.empty() ? &app : verbs.front();
  std::vector<std::string> names;
  for (const CLI::Option* option : verb->get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  for (const CLI::App* candidate : app.get_subcommands([](const CLI::App*) { return true; }))
    if (verbs.empty()) names.push_back(candidate->get_name());
  for (int i = 1; i < argc; ++i) {
    const std::string argument = std::string(argv[i]).substr(0, std::string(argv[i]).find('='));
    if (std::string(error.what()).find(argument) == std::string::npos) continue;
    const std::string near = nearest(argument, names);
    if (!near.empty() && near != argument) return fmt::format("{}\n  hint: did you mean {}?", error.what(), near);
  }
  return error.what();
}

/// Refuses a first argument that is no verb, in better words than "a subcommand is required".
void require_known_verb(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return;
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(verb->get_name());
  if (std::find(names.begin(), names.end(), argv[1]) != names.end()) return;
  const std::string near = nearest(argv[1], names);
  throw UsageError("", fmt::format("there is no verb \"{}\"", argv[1]),
                   near.empty() ? fmt::format("there are: {}", fmt::join(names, ", ")) : "did you mean " + near + "?");
}

void complain(const std::string& message) {
  fmt::print(stderr, "gradscape: {}\n", message);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  parallel::initialise();
  CLI::App app("Loss landscapes along the gradient at every training step, with and without normalisation",
               "gradscape");
  app.footer(kFooter);
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  Globals globals;
  Action selected;
  add_run(app, selected);
  add_train(app, selected);
  add_sweep(app, selected);
  add_merge(app, selected);
  add_shift(app, selected);
  add_distributions(app, selected);
  add_theorem(app, selected);
  add_status(app, selected);
  add_verify(app, selected);
  add_info(app, selected);
  add_numerics(app, selected);
  add_bench(app, selected);
  add_plan(app, selected);
  for (CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) add_globals(*verb, globals);
  try {
    require_known_verb(app, argc, argv);
    app.parse(argc, argv);
    select_isa(globals.isa);
    parallel::set_threads(globals.threads > 0 ? globals.threads : default_threads());
    set_quiet(globals.quiet);
    catch_interrupts();
    selected();
    return static_cast<int>(ExitCode::ok);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ExtrasError& error) {
    complain(explain_extra(app, error, argc, argv));
    return static_cast<int>(ExitCode::usage);
  } catch (const CLI::ParseError& error) {
    complain(std::string(error.what()) + "\n  hint: gradscape --help, gradscape VERB --help");
    return static_cast<int>(ExitCode::usage);
  } catch (const Error& error) {
    complain(error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::bad_alloc&) {
    complain("out of memory\n  hint: a smaller train.batch_size or model.width needs less");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return static_cast<int>(ExitCode::failure);
}

}  // namespace gradscape
