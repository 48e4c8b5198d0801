#pragma once

#include <string>
#include <vector>

#include "gradscape/core/point.hpp"
#include "gradscape/core/types.hpp"
#include "gradscape/train/options.hpp"

namespace gradscape {

/// What an optimiser remembers between steps: vectors as long as theta, under PyTorch's names ("momentum_buffer";
/// "exp_avg", "exp_avg_sq"; "square_avg", "grad_avg"), and the number of updates done.
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
/// alone; weight decay is added here. Semantics of torch.optim.SGD (momentum, nesterov, dampening 0), Adam (eps added
/// after the bias correction), AdamW (theta shrinks by lr·weight_decay first), RMSprop. sam updates as sgd does, with
/// the gradient at sam_point(). theta_next may not be theta.
template <class S>
void update_parameters(const TrainOptions& options, double lr, const Vector<S>& theta, const Vector<S>& grad,
                       OptimizerState<S>& state, Vector<S>& theta_next);

/// Whether the update's gradient is taken elsewhere than at theta: at sam_point().
bool is_sharpness_aware(const TrainOptions& options);

/// θ + ρ·g/‖g‖, the point of steepest ascent at distance ρ (Foret et al. 2021, equation 2, p = 2); θ where ‖g‖ is 0.
/// A view of both vectors.
template <class S>
Point<S> sam_point(const TrainOptions& options, const Vector<S>& theta, const Vector<S>& grad);

}  // namespace gradscape
