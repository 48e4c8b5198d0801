// What is looked at in single steps of a training run: each survey makes a row of a table of each step.
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

/// A dimension of these of a network's blocks: numbered from 1 on, so that networks with and without norms, whose names
/// count other modules, have the same numbers for the same layers.
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
  /// Takes over what a row that was made before tells of what prepare() would find.
  virtual void adopt(const Table& /*table*/, std::size_t /*row*/) {}

  /// What is to be said of all that was added; nothing, mostly.
  virtual std::string remark() const { return ""; }
};

/// The blocks of a network with these names, or numbers from 1 on, in the network's order; all, where none is named.
/// UsageError naming `where` and the names there are.
std::vector<std::size_t> choose_blocks(const std::vector<LayerBlock>& blocks, const std::vector<std::string>& names,
                                       const std::string& where);

}  // namespace gradscape
