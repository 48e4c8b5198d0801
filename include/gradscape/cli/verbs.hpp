// The commands. Each add_… declares one verb with its options and leaves in `selected` what is to be done if it is
// called.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace gradscape {

/// Set by the verb that the command line names; run after parsing, once the global options are in force.
using Action = std::function<void()>;

void add_run(CLI::App& app, Action& selected);
void add_train(CLI::App& app, Action& selected);
void add_sweep(CLI::App& app, Action& selected);
void add_merge(CLI::App& app, Action& selected);
void add_status(CLI::App& app, Action& selected);
void add_verify(CLI::App& app, Action& selected);
void add_info(CLI::App& app, Action& selected);
void add_numerics(CLI::App& app, Action& selected);
void add_bench(CLI::App& app, Action& selected);
void add_shift(CLI::App& app, Action& selected);
void add_distributions(CLI::App& app, Action& selected);
void add_theorem(CLI::App& app, Action& selected);
void add_plan(CLI::App& app, Action& selected);

}  // namespace gradscape
