// The only thing the landscape knows of a network: a pure function of theta.
#pragma once

#include "gradscape/core/point.hpp"

namespace gradscape {

/// L(theta) on one fixed batch, and the fraction of its samples that is classified right (NaN where that has no
/// meaning, as for a quadratic).
struct Evaluation {
  double loss = 0;
  double accuracy = 0;
};

/// theta → loss, gradient, for one fixed (batch, mode, random-number address). Pure: no call changes anything that a
/// later call could see. Implemented by a network on a batch (train/network_objective.hpp) and, in tests, by an
/// analytic quadratic.
template <class S>
class Objective {
 public:
  virtual ~Objective() = default;

  /// Dimension of theta.
  virtual Index size() const = 0;

  /// Chooses the draw of random numbers that later evaluations see, of an objective whose cells may see draws of their
  /// own (sweep.noise = "fresh"); 0 is the training step's.
  virtual void choose_draw(std::uint32_t /*draw*/) {}

  /// Loss at theta and, unless `grad` is null, ∇L(theta), resized to size().
  virtual Evaluation evaluate(const Point<S>& theta, Vector<S>* grad) = 0;
};

}  // namespace gradscape
