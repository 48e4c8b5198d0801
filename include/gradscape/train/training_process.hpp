// Training as a deterministic process: a state, and a function that takes it one step further.
#pragma once

#include <functional>
#include <memory>

#include "gradscape/data/batches.hpp"
#include "gradscape/nn/zoo.hpp"
#include "gradscape/train/optimizer.hpp"
#include "gradscape/train/options.hpp"
#include "gradscape/train/trace.hpp"

namespace gradscape {

/// Everything that exact continuation needs: what a checkpoint holds.
template <class S>
struct TrainingState {
  std::int64_t step = 0;  // updates done
  Vector<S> theta;
  Vector<S> buffers;
  OptimizerState<S> optimizer;
};

/// What an observer sees of one training step: everything as it was when the gradient was taken, and the next weights.
/// The references are valid during the call.
template <class S>
struct StepView {
  const TraceRecord& record;
  const Pass& pass;
  const Batch<S>& batch;
  const Vector<S>& theta;
  const Vector<S>& buffers;
  const Vector<S>& grad;  // of the loss alone, without weight decay
  const Vector<S>& theta_next;
};

/// What a step's evaluation saw, in double: the same function of the same numbers.
struct StepInDouble {
  Batch<double> batch;
  Vector<double> theta;
  Vector<double> buffers;
};

template <class S>
StepInDouble in_double(const StepView<S>& step) {
  return {in_double(step.batch), step.theta.template cast<double>(), step.buffers.template cast<double>()};
}

template <class S>
using StepObserver = std::function<void(const StepView<S>&)>;

/// The training run that the options describe, on a data set that must outlive it. Used for training and, from a
/// checkpoint's state, for replay: both take the same steps to the same bits.
template <class S>
class TrainingProcess {
 public:
  /// UsageError where a batch of training, or of a test, would be too small for the network, or the steps too many.
  TrainingProcess(const DataOptions& data, const ModelOptions& model, const TrainOptions& train,
                  const Dataset& dataset);

  std::int64_t total_steps() const { return total_steps_; }
  Index steps_per_epoch() const { return batches_.steps_per_epoch(); }
  Network<S>& network() { return *network_; }
  const Standardisation& standardisation() const { return standardisation_; }
  const BatchSource& batches() const { return batches_; }
  const ModelOptions& model() const { return model_; }
  const Dataset& dataset() const { return dataset_; }
  /// Whether the run's states are snapshots: each is looked at by itself, on the batch of its number, and nothing is
  /// known of the weights after it.
  bool imported() const { return train_.imported; }
  Engine engine() const { return engine_from_name(engine_name(train_)); }

  TrainingState<S> initial_state() const;

  /// A state without values, to be filled: the optimiser's slots have their names only.
  TrainingState<S> empty_state() const;

  /// Takes one step; `observe` (may be empty) is called between the gradient and the move.
  void advance(TrainingState<S>& state, const StepObserver<S>& observe);

  /// Shows the step that would come next without taking it.
  void preview(const TrainingState<S>& state, const StepObserver<S>& observe);

  /// Loss and accuracy on the test images at `state`; NaN where there are none.
  TestRecord test(const TrainingState<S>& state);

 private:
  /// UsageError where the last batch of so many images is too small for batch norm on its statistics.
  void require_large_batches(Index images, Mode mode) const;
  /// The gradient with which the optimiser moves: grad_, but for optimisers that take one elsewhere.
  const Vector<S>& update_gradient(const TrainingState<S>& state, const Pass& pass);

  const Dataset& dataset_;
  ModelOptions model_;
  TrainOptions train_;
  Standardisation standardisation_;
  BatchSource batches_;
  std::unique_ptr<Network<S>> network_;
  std::int64_t total_steps_;
  Batch<S> batch_;  // scratch of advance()
  Vector<S> grad_;
  Vector<S> sam_grad_;
  Vector<S> theta_next_;
  Vector<S> buffers_next_;
};

}  // namespace gradscape
