// The commands. Each add_… declares one verb with its options and what it does.
#pragma once

#include <functional>
#include <string>

#include "gradscape/cli/program_help.hpp"
#include "gradscape/cli/verb.hpp"

namespace gradscape {

void add_run(VerbList& verbs);
void add_train(VerbList& verbs);
void add_sweep(VerbList& verbs);
void add_merge(VerbList& verbs);
void add_watch(VerbList& verbs);
void add_status(VerbList& verbs);
void add_verify(VerbList& verbs);
void add_info(VerbList& verbs);
void add_numerics(VerbList& verbs);
void add_new(VerbList& verbs);
void add_import(VerbList& verbs);
void add_evaluate(VerbList& verbs);
void add_export(VerbList& verbs);
void add_export_surface(VerbList& verbs);
void add_import_surface(VerbList& verbs);
void add_bench(VerbList& verbs);
void add_shift(VerbList& verbs);
void add_distributions(VerbList& verbs);
void add_theorem(VerbList& verbs);
void add_surface(VerbList& verbs);
void add_plan(VerbList& verbs);
/// `program`: all there is, asked for once every verb is added.
void add_completion(VerbList& verbs, std::function<ProgramHelp()> program);
void add_manual(VerbList& verbs, std::function<ProgramHelp()> program);

/// Prints the path of a file that was made.
void print_path(const std::string& path);

/// UsageError unless `kind` is one of landscape/survey_kinds.hpp.
void require_survey_kind(const std::string& kind);

}  // namespace gradscape
