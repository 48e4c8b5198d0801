// TOML as people write it, and as runs store it: text → tables → fields of an experiment. What the tables together
// mean, variants, scales and seeds, is study's.
#pragma once

#include <toml++/toml.h>

#include <set>
#include <string>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

/// "FILE:LINE"
std::string position(const std::string& path, const toml::source_region& source);

/// UsageError with line, column and, where it can be told, the key at which the text is no TOML; also where a key has
/// so many parts that toml++ would exhaust the stack.
toml::table parse_toml(const std::string& text, const std::string& path);

/// Reads all sections of a table that stands for an experiment or for overrides; keys in `others` are left to the
/// caller. UsageError, with line and the nearest valid name, for an unknown section or key, a wrong type, or a value
/// out of range.
void read_sections(const std::string& path, const toml::table& table, const std::set<std::string>& others,
                   Experiment& experiment);

}  // namespace gradscape
