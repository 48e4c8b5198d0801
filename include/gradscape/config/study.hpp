// A configuration file: one experiment, or several variants of one.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

/// Bytes of a configuration file; toml++ takes some hundred bytes of memory for each.
inline constexpr std::size_t kLongestConfiguration = 1 << 20;

/// What a configuration file describes. A file without [[variant]] tables has one run whose variant name is empty.
struct Study {
  std::string name;
  std::vector<Experiment> runs;
  bool has_variants = false;
  bool has_seeds =
      false;  // experiment.seeds was given: runs of one variant differ in train.seed, and follow each other
  bool has_rates = false;  // experiment.learning_rates was given: likewise in train.lr
};

/// "train.lr" and the text of its value, as given by flags.
using Overrides = std::vector<std::pair<std::string, std::string>>;

/// Sets the fields. UsageError naming the flag where a value is not allowed. Every name is a field's.
void apply_overrides(const Overrides& overrides, Experiment& experiment);

/// Reads a TOML file. Its common part is overridden by the table [scale.NAME] of the scale named (empty: none), that by
/// a variant, that by the variant's own scale.NAME, and all by flags. UsageError for an unknown key, a wrong type or a
/// value out of range, naming file, line, key, value, what is allowed and the nearest valid key. train.engine is
/// resolved: it is never "auto". So is experiment.seeds: every seed has a run of its own, for which it is train.seed.
/// UsageError where a seed is given twice, where variants have different seeds, and where a flag sets train.seed beside
/// them; and experiment.learning_rates likewise, which go with sweep.kind = "runs".
Study load_study(const std::string& path, const Overrides& overrides, const std::string& scale = "");

/// The defaults with what flags say; errors as of load_study().
Experiment make_experiment(const Overrides& overrides);

/// Reads back what to_toml() wrote; `where` names the text's origin. Texts of older programs name no train.engine and
/// mean "direct".
Experiment parse_experiment(const std::string& toml, const std::string& where);

}  // namespace gradscape
