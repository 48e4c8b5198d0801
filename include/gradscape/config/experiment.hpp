// All options of an experiment, and the one list of fields that drives file, flags, help, validation and dump.
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "gradscape/core/number.hpp"
#include "gradscape/data/dataset.hpp"
#include "gradscape/landscape/options.hpp"
#include "gradscape/nn/zoo.hpp"
#include "gradscape/train/options.hpp"

namespace gradscape {

/// Section [experiment].
struct ExperimentOptions {
  std::string name = "experiment";
  std::string variant;                 // set by the program: the name of the [[variant]] that this run is
  std::vector<std::int64_t> seeds;     // of a study: one run for each, instead of train.seed; empty in a run
  std::vector<double> learning_rates;  // likewise, instead of train.lr
};

/// One run, fully resolved.
struct Experiment {
  ExperimentOptions experiment;
  DataOptions data;
  ModelOptions model;
  TrainOptions train;
  SweepOptions sweep;
  SurfaceOptions surface;
};

/// Where a field's value lives in an Experiment.
using FieldTarget =
    std::variant<std::string*, double*, std::int64_t*, bool*, std::vector<double>*, std::vector<std::int64_t>*>;

/// The same of one that is only read.
using FieldValue = std::variant<const std::string*, const double*, const std::int64_t*, const bool*,
                                const std::vector<double>*, const std::vector<std::int64_t>*>;

/// Whether a field is part of what makes two runs the same run: everything that changes training's bits is.
enum class Identity { no, yes, where_schedule_needs_it };

struct Field {
  std::string section;
  std::string key;
  std::function<FieldTarget(Experiment&)> target;
  std::function<FieldValue(const Experiment&)> value;
  std::string help;
  std::vector<std::string> choices;  // of a text; empty: any
  Range range;                       // of numbers; list elements are held to it one by one
  Identity identity = Identity::yes;
  bool automatic = false;  // of a whole number: "auto" is admitted too, and kept as kAutomatic
  std::string separator =
      {};  // of a text: stands between its elements, and a file's list is read as such; empty: no list

  std::string name() const { return section + "." + key; }
  /// "text", "number", "whole number", "true | false", "a | b", with the range.
  std::string allowed() const;
};

/// Bytes of a configuration as it is stored, at most: an attribute of an HDF5 file has less than 64 KiB.
inline constexpr std::size_t kLongestStored = 64000;

/// Every option, in the order of the file.
const std::vector<Field>& fields();

/// The field of that name, or null.
const Field* find_field(const std::string& name);

/// Names of fields with this key, whatever their section.
std::vector<std::string> fields_of_key(const std::string& key);

/// The key that is meant by what other programs call it ("learning_rate": "lr"); the text itself where there is none.
std::string usual_key(const std::string& key);

/// Value of a field as it stands in TOML; exact: doubles in the shortest form that reads back to the same bits.
std::string field_text(const Field& field, const Experiment& experiment);

/// Puts names in the place of what a configuration leaves open: train.engine = "auto", and an empty model.arch, which
/// is "layers" where model.layers is given and the default elsewhere.
void resolve(Experiment& experiment);

/// Whether the field takes "auto" and `text` is that: then it is set.
bool set_automatic(const Field& field, Experiment& experiment, const std::string& text);

/// Sets a field from a text, as flags give it; a list as split_list() takes it apart. UsageError naming `where`.
void set_field(const Field& field, Experiment& experiment, const std::string& text, const std::string& where);

/// Whether its value is a list of numbers.
bool holds_list(const Field& field);

/// How a list is written, for a message: "a list is written as 0.5,1,2, in a file as [0.5, 1, 2]".
std::string list_form(const Field& field);

/// UsageError where the value is out of the field's range or not among its choices. `where`: file and line, or the
/// flag.
void check_field(const Field& field, const Experiment& experiment, const std::string& where);

/// Checks across fields: steps against epochs, nesterov without momentum … UsageError naming `where` (the file).
void check_experiment(const Experiment& experiment, const std::string& where);

/// The exact dump stored with every output, which reads back to the same Experiment.
std::string to_toml(const Experiment& experiment);

/// Fields of identity in which two runs differ, as "train.lr is 0.1 here and 0.05 there".
std::vector<std::string> identity_differences(const Experiment& here, const Experiment& there);

/// The same for the fields on which the time of a training step depends.
std::vector<std::string> cost_differences(const Experiment& here, const Experiment& there);

/// The same for the fields of [sweep] that say how steps are looked at; which steps may differ.
std::vector<std::string> sweep_differences(const Experiment& here, const Experiment& there);

/// The same for the fields of [surface].
std::vector<std::string> surface_differences(const Experiment& here, const Experiment& there);

}  // namespace gradscape
