#include "gradscape/train/optimizer.hpp"

#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/core/named_table.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/vector_math.hpp"

namespace gradscape {
namespace {

/// An optimiser: the vectors it keeps, and its update.
template <class S>
struct Method {
  std::vector<std::string> (*slots)(const TrainOptions&);
  void (*update)(const TrainOptions&, double lr, const Vector<S>& theta, const Vector<S>& grad,
                 OptimizerState<S>& state, Vector<S>& theta_next);
};

std::vector<std::string> sgd_slots(const TrainOptions& options) {
  if (options.momentum == 0) return {};
  return {"momentum_buffer"};
}

std::vector<std::string> adam_slots(const TrainOptions&) {
  return {"exp_avg", "exp_avg_sq"};
}

/// g + decay·θ; g alone without decay, also where θ is infinite.
template <class S>
S decayed(S grad, S decay, S theta) {
  return decay == S{0} ? grad : grad + decay * theta;
}

/// d = g + wd·θ; buf ← μ·buf + d; θ ← θ − lr·(nesterov ? d + μ·buf : buf)
template <class S>
void sgd_update(const TrainOptions& options, double lr, const Vector<S>& theta, const Vector<S>& grad,
                OptimizerState<S>& state, Vector<S>& theta_next) {
  const S rate = static_cast<S>(lr);
  const S decay = static_cast<S>(options.weight_decay);
  const S momentum = static_cast<S>(options.momentum);
  const bool nesterov = options.nesterov;
  const S* x = theta.data();
  const S* g = grad.data();
  S* next = theta_next.data();
  S* buffer = state.slots.empty() ? nullptr : state.slots[0].data();
  parallel::for_chunks(theta.size(), parallel::kElementwiseChunk, [=](Index first, Index last, Index) {
    if (buffer == nullptr) {
      for (Index i = first; i < last; ++i) next[i] = x[i] - rate * decayed(g[i], decay, x[i]);
      return;
    }
    for (Index i = first; i < last; ++i) {
      const S d = decayed(g[i], decay, x[i]);
      buffer[i] = momentum * buffer[i] + d;
      next[i] = x[i] - rate * (nesterov ? d + momentum * buffer[i] : buffer[i]);
    }
  });
}

/// Kingma and Ba 2015, in the form of torch.optim.Adam:
/// θ ← θ − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + eps)
/// decoupled (Loshchilov and Hutter 2019, torch.optim.AdamW): θ ← (1 − lr·wd)·θ before that, and nothing added to g.
template <class S, bool decoupled>
void adam_update(const TrainOptions& options, double lr, const Vector<S>& theta, const Vector<S>& grad,
                 OptimizerState<S>& state, Vector<S>& theta_next) {
  const auto t = static_cast<double>(state.updates + 1);
  const S rate = static_cast<S>(lr / (1.0 - std::pow(options.beta1, t)));
  const S root = static_cast<S>(std::sqrt(1.0 - std::pow(options.beta2, t)));
  const S decay = decoupled ? S{0} : static_cast<S>(options.weight_decay);
  const S shrink = decoupled ? static_cast<S>(1.0 - lr * options.weight_decay) : S{1};
  const S beta1 = static_cast<S>(options.beta1);
  const S beta2 = static_cast<S>(options.beta2);
  const S rest1 = static_cast<S>(1.0 - options.beta1);
  const S rest2 = static_cast<S>(1.0 - options.beta2);
  const S eps = static_cast<S>(options.eps);
  const S* x = theta.data();
  const S* g = grad.data();
  S* next = theta_next.data();
  S* mean = state.slots[0].data();
  S* square = state.slots[1].data();
  parallel::for_chunks(theta.size(), parallel::kElementwiseChunk, [=](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) {
      const S d = decayed(g[i], decay, x[i]);
      mean[i] = beta1 * mean[i] + rest1 * d;
      square[i] = beta2 * square[i] + rest2 * d * d;
      next[i] = shrink * x[i] - rate * (mean[i] / (std::sqrt(square[i]) / root + eps));
    }
  });
}

std::vector<std::string> rmsprop_slots(const TrainOptions& options) {
  std::vector<std::string> slots = {"square_avg"};
  if (options.momentum > 0) slots.emplace_back("momentum_buffer");
  if (options.rms_centered) slots.emplace_back("grad_avg");
  return slots;
}

/// Tieleman and Hinton 2012, in the form of torch.optim.RMSprop: v ← α·v + (1 − α)·d²; with `centered` less the square
/// of the gradients' mean; d/(√v + eps), by way of a momentum buffer where there is one.
template <class S>
void rmsprop_update(const TrainOptions& options, double lr, const Vector<S>& theta, const Vector<S>& grad,
                    OptimizerState<S>& state, Vector<S>& theta_next) {
  const S rate = static_cast<S>(lr);
  const S decay = static_cast<S>(options.weight_decay);
  const S keep = static_cast<S>(options.rms_decay);
  const S rest = static_cast<S>(1.0 - options.rms_decay);
  const S momentum = static_cast<S>(options.momentum);
  const S eps = static_cast<S>(options.eps);
  const S* x = theta.data();
  const S* g = grad.data();
  S* next = theta_next.data();
  S* square = state.slots[0].data();
  S* buffer = options.momentum > 0 ? state.slots[1].data() : nullptr;
  S* mean = options.rms_centered ? state.slots.back().data() : nullptr;
  parallel::for_chunks(theta.size(), parallel::kElementwiseChunk, [=](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) {
      const S d = decayed(g[i], decay, x[i]);
      square[i] = keep * square[i] + rest * d * d;
      S variance = square[i];
      if (mean != nullptr) {
        mean[i] = keep * mean[i] + rest * d;
        variance -= mean[i] * mean[i];
      }
      const S step = d / (std::sqrt(variance) + eps);
      if (buffer == nullptr) {
        next[i] = x[i] - rate * step;
        continue;
      }
      buffer[i] = momentum * buffer[i] + step;
      next[i] = x[i] - rate * buffer[i];
    }
  });
}

template <class S>
const NamedTable<Method<S>>& methods() {
  static const NamedTable<Method<S>> table("optimiser", {{"sgd", {sgd_slots, sgd_update<S>}},
                                                         {"adam", {adam_slots, adam_update<S, false>}},
                                                         {"adamw", {adam_slots, adam_update<S, true>}},
                                                         {"rmsprop", {rmsprop_slots, rmsprop_update<S>}},
                                                         {"sam", {sgd_slots, sgd_update<S>}}});
  return table;
}

}  // namespace

const std::vector<std::string>& optimizer_names() {
  return methods<float>().names();
}

template <class S>
OptimizerState<S> initial_optimizer_state(const TrainOptions& options, Index size) {
  OptimizerState<S> state;
  state.names = methods<S>().find(options.optimizer).slots(options);
  state.slots.assign(state.names.size(), Vector<S>::Zero(size));
  return state;
}

template <class S>
void update_parameters(const TrainOptions& options, double lr, const Vector<S>& theta, const Vector<S>& grad,
                       OptimizerState<S>& state, Vector<S>& theta_next) {
  check(grad.size() == theta.size(), "a gradient as long as theta");
  theta_next.resize(theta.size());
  methods<S>().find(options.optimizer).update(options, lr, theta, grad, state, theta_next);
  ++state.updates;
}

bool is_sharpness_aware(const TrainOptions& options) {
  return options.optimizer == "sam";
}

template <class S>
Point<S> sam_point(const TrainOptions& options, const Vector<S>& theta, const Vector<S>& grad) {
  const double length = norm(grad);
  return length > 0 ? Point<S>(theta, options.sam_rho / length, grad) : Point<S>(theta);
}

#define GRADSCAPE_INSTANTIATE(S)                                                                      \
  template OptimizerState<S> initial_optimizer_state<S>(const TrainOptions&, Index);                  \
  template void update_parameters<S>(const TrainOptions&, double, const Vector<S>&, const Vector<S>&, \
                                     OptimizerState<S>&, Vector<S>&);                                 \
  template Point<S> sam_point<S>(const TrainOptions&, const Vector<S>&, const Vector<S>&);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
