// The flags of verbs that take a configuration.
#pragma once

#include <memory>

#include "gradscape/cli/placed_runs.hpp"
#include "gradscape/cli/verb.hpp"

namespace gradscape {

/// Adds the flags that fill `options`.
void add_study_options(Verb& verb, const std::shared_ptr<StudyOptions>& options);

/// Adds a flag --SECTION.KEY for every field of `wanted`; what is given is appended to `overrides`.
void add_field_flags(Verb& verb, const std::shared_ptr<Overrides>& overrides, bool (*wanted)(const Field&));

}  // namespace gradscape
