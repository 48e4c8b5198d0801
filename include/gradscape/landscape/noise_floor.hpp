// How exact an evaluation is: compared with the same one in double with the direct engine.
#pragma once

#include <vector>

#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// ‖x − x_ref‖₂/‖x_ref‖₂ of what an evaluation gave; x_ref is the same in double with the direct engine, at the same
/// weights, batch and pass. 0 where both are equal, NaN where the quotient is not finite.
struct RelativeErrors {
  double loss = 0;
  double logits = 0;
  double gradient = 0;          // all parameters: the noise floor (docs/definitions.md)
  std::vector<double> tensors;  // of the gradient, one per part of the network's parameters()
};

/// The errors of the step's own evaluation. To be called by the step's observer, before it uses the network for
/// anything else. The double network lives during the call only, and the process's network gives its scratch memory
/// back before, so that both never hold theirs at once.
template <class S>
RelativeErrors compare_with_double(TrainingProcess<S>& process, const StepView<S>& step);

}  // namespace gradscape
