// The flags of verbs that take a configuration.
#pragma once

#include <memory>

#include "gradscape/cli/verb.hpp"
#include "gradscape/study/placed_runs.hpp"

namespace gradscape {

/// Adds the flags that fill `options`: which runs, and where. Whether the configuration must be given.
void add_study_options(Verb& verb, const std::shared_ptr<StudyOptions>& options, bool needs_config = true);

/// The same, and what to do with a run that is there.
void add_training_options(Verb& verb, const std::shared_ptr<StudyOptions>& options, bool needs_config = true);

/// The values that completions offer for a field: those of a text, true and false, auto; else none.
std::vector<std::string> choices_of(const Field& field);

/// Adds a flag --SECTION.KEY for every field of `wanted`; what is given is appended to `overrides`.
void add_field_flags(Verb& verb, const std::shared_ptr<Overrides>& overrides, bool (*wanted)(const Field&));

}  // namespace gradscape
