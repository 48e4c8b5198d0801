// Measurements at single steps of a training run: a survey makes a table with a row for each step.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gradscape/core/table.hpp"
#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// The dimension of training steps, empty.
Dimension step_dimension();

/// A dimension of numbers 0, 1, ….
Dimension counted_dimension(const std::string& name, const std::string& long_name, std::size_t size);

/// The dimension of the chosen ones of a network's blocks: numbered from 1 on, so that networks with and without norms,
/// whose names count other modules, have the same numbers for the same layers.
Dimension layer_dimension(const std::vector<LayerBlock>& blocks = {}, const std::vector<std::size_t>& chosen = {});

/// Looks at single steps of a training run, first or replayed: a row is a function of the run and the step alone. The
/// kinds are listed in survey_kinds.hpp.
template <class S>
class StepSurvey {
 public:
  virtual ~StepSurvey() = default;

  /// The table that add() adds rows to, without any.
  virtual Table begin() const = 0;

  /// Appends the row of the step seen. Changes nothing of the training.
  virtual void add(const StepView<S>& step, Table& table) = 0;

  /// The step, this or an earlier one, that prepare() must be shown before `step` is added; −1: none, or it was.
  virtual std::int64_t needs(std::int64_t /*step*/) const { return -1; }
  virtual void prepare(const StepView<S>& /*step*/) {}
  /// Takes from a row made earlier what prepare() would find.
  virtual void adopt(const Table& /*table*/, std::size_t /*row*/) {}

  /// A message to the user about all rows added; usually empty.
  virtual std::string remark() const { return ""; }
};

/// The blocks of a network with these names, or numbers from 1 on, in the network's order; all, where none is named.
/// UsageError naming `where` and the names there are.
std::vector<std::size_t> choose_blocks(const std::vector<LayerBlock>& blocks, const std::vector<std::string>& names,
                                       const std::string& where);

}  // namespace gradscape
