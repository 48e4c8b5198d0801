// A configuration file: one experiment, or several variants of one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

/// What a configuration file describes. A file without [[variant]] tables has one run whose variant name is empty.
struct Study {
  std::string name;
  std::vector<Experiment> runs;
  bool has_variants = false;
};

/// "train.lr" and the text of its value, as given by flags.
using Overrides = std::vector<std::pair<std::string, std::string>>;

/// Reads a TOML file; flags override the file, variants override its common part. UsageError for an unknown key, a
/// wrong type or a value out of range, naming file, line, key, value, what is allowed and the nearest valid key.
Study load_study(const std::string& path, const Overrides& overrides);

/// Reads back what to_toml() wrote; `where` names the text's origin.
Experiment parse_experiment(const std::string& toml, const std::string& where);

}  // namespace gradscape
