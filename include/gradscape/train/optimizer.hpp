#pragma once

#include <string>
#include <vector>

#include "gradscape/core/types.hpp"
#include "gradscape/train/options.hpp"

namespace gradscape {

/// What an optimiser remembers between steps: vectors as long as theta, under PyTorch's names ("momentum_buffer";
/// "exp_avg", "exp_avg_sq"), and the number of updates done.
template <class S>
struct OptimizerState {
  std::vector<std::string> names;
  std::vector<Vector<S>> slots;
  std::int64_t updates = 0;
};

const std::vector<std::string>& optimizer_names();

/// State before the first update, for theta of `size` elements.
template <class S>
OptimizerState<S> initial_optimizer_state(const TrainOptions& options, Index size);

/// One update: theta_next = theta − step(grad, state), and the state after it. `grad` is the gradient of the loss
/// alone; weight decay is added here. Semantics of torch.optim.SGD (momentum, nesterov, dampening 0) and
/// torch.optim.Adam (eps added after the bias correction). theta_next may not be theta.
template <class S>
void update_parameters(const TrainOptions& options, double lr, const Vector<S>& theta, const Vector<S>& grad,
                       OptimizerState<S>& state, Vector<S>& theta_next);

}  // namespace gradscape
