// What an analysis finds at the steps of a run, as named variables over named dimensions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// A dimension: its places are numbers, or have names.
struct SeriesDimension {
  std::string name;
  std::string units;
  std::string long_name;
  std::vector<double> values;            // the places; of places with names their numbers
  std::vector<std::string> labels = {};  // their names
  bool integer = false;                  // values are whole numbers

  std::size_t size() const { return values.size(); }
};

/// Values over some of the dimensions, row-major. A variable over "step" has it first.
struct SeriesVariable {
  std::string name;
  std::string units;
  std::string long_name;
  std::vector<std::string> dimensions;
  std::vector<double> values = {};
};

struct Series {
  std::string kind;  // "shift", "distributions", "theorem", "runs": the type of its file
  std::vector<SeriesDimension> dimensions;
  std::vector<SeriesVariable> variables;

  const SeriesDimension& dimension(const std::string& name) const;
  SeriesDimension& dimension(const std::string& name);
  const SeriesVariable& variable(const std::string& name) const;
  SeriesVariable& variable(const std::string& name);
  /// Values of a variable at one place of its first dimension.
  std::size_t row_size(const SeriesVariable& variable) const;
};

/// The dimension of training steps, empty.
SeriesDimension step_dimension();

/// A dimension of these of a network's blocks: numbered from 1 on, so that networks with and without norms, whose names
/// count other modules, have the same numbers for the same layers.
SeriesDimension layer_dimension(const std::vector<LayerBlock>& blocks, const std::vector<std::size_t>& chosen);

/// Looks at single steps of a training run; several kinds are in the headers beside this one.
template <class S>
class StepAnalysis {
 public:
  virtual ~StepAnalysis() = default;

  /// What add() adds to: all dimensions, "step" empty, and the variables without values.
  virtual Series begin() const = 0;

  /// Appends what is found at the step seen to every variable over "step". Changes nothing of the training.
  virtual void add(const StepView<S>& step, Series& series) = 0;
};

/// The blocks of a network with these names, or numbers from 1 on, in the network's order; all, where none is named.
/// UsageError naming `where` and the names there are.
std::vector<std::size_t> choose_blocks(const std::vector<LayerBlock>& blocks, const std::vector<std::string>& names,
                                       const std::string& where);

}  // namespace gradscape
