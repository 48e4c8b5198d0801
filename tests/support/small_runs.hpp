// Training runs small enough for a unit test, and copies of what they show.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "gradscape/train/training_process.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"

namespace gradscape::testing {

/// Images of hashed bytes. Nothing can be learned from them but by heart, which is enough to move weights.
inline ImageSet hash_images(FeatureShape shape, int classes, Index count, std::uint32_t seed) {
  ImageSet images{shape, classes, {}, {}};
  for (Index i = 0; i < count * shape.size(); ++i)
    images.bytes().push_back(static_cast<std::uint8_t>(hash32(i, seed) >> 24));
  for (const int label : hash_labels(count, seed + 1, classes)) images.labels.push_back(label);
  return images;
}

inline Dataset hash_dataset(FeatureShape shape, int classes, Index train, Index test) {
  return {"hashed", hash_images(shape, classes, train, 1), hash_images(shape, classes, test, 3)};
}

/// A data set and the options of a run on it.
struct SmallRun {
  Dataset dataset;
  DataOptions data;
  ModelOptions model;
  TrainOptions train;

  template <class S>
  std::unique_ptr<TrainingProcess<S>> process() const {
    TrainOptions options = train;
    options.precision = sizeof(S) == 4 ? "float" : "double";
    return std::make_unique<TrainingProcess<S>>(data, model, options, dataset);
  }
};

/// Batch norm, dropout and Adam on 4×4 images; three steps to an epoch, the last batch short.
inline SmallRun mlp_run(std::int64_t steps) {
  SmallRun run{hash_dataset({4, 4, 2}, 3, 20, 11), {}, {}, {}};
  run.model.arch = "mlp";
  run.model.hidden = {12, 10};
  run.model.norm = "batch";
  run.model.dropout = 0.25;
  run.train.optimizer = "adam";
  run.train.lr = 0.02;
  run.train.weight_decay = 1e-3;
  run.train.schedule = "cosine";
  run.train.batch_size = 8;
  run.train.steps = steps;
  run.train.seed = 7;
  return run;
}

/// The narrowest VGG-A with batch norm on all layers, dropout, augmentation and momentum; two steps to an epoch, the
/// second batch short.
inline SmallRun vgg_run(std::int64_t steps) {
  SmallRun run{hash_dataset({32, 32, 3}, 10, 14, 5), {}, {}, {}};
  run.data.augment_flip = true;
  run.data.augment_crop = 3;
  run.model.width = 0.0625;
  run.model.norm = "batch";
  run.model.norm_dense = true;
  run.model.dropout = 0.25;
  run.train.momentum = 0.9;
  run.train.lr = 0.05;
  run.train.batch_size = 8;
  run.train.steps = steps;
  run.train.seed = 5;
  return run;
}

template <class S>
bool same_state(const TrainingState<S>& a, const TrainingState<S>& b) {
  bool same = a.step == b.step && same_bits(a.theta, b.theta) && same_bits(a.buffers, b.buffers) &&
              a.optimizer.updates == b.optimizer.updates && a.optimizer.names == b.optimizer.names &&
              a.optimizer.slots.size() == b.optimizer.slots.size();
  for (std::size_t i = 0; same && i < a.optimizer.slots.size(); ++i)
    same = same_bits(a.optimizer.slots[i], b.optimizer.slots[i]);
  return same;
}

/// All of a trace record but the wall time.
inline bool same_record(const TraceRecord& a, const TraceRecord& b) {
  return a.step == b.step && same_bits(a.loss, b.loss) && same_bits(a.accuracy, b.accuracy) && same_bits(a.lr, b.lr) &&
         same_bits(a.grad_norm, b.grad_norm) && same_bits(a.theta_norm, b.theta_norm) &&
         same_bits(a.update_norm, b.update_norm);
}

/// A run's end, its trace, and the state before every step.
template <class S>
struct Training {
  TrainingState<S> state;
  std::vector<TraceRecord> trace;
  std::vector<TrainingState<S>> before;
};

/// Trains from `state` to the last step.
template <class S>
Training<S> train_from(TrainingProcess<S>& process, TrainingState<S> state, const StepObserver<S>& observe = {}) {
  Training<S> training;
  while (state.step < process.total_steps()) {
    training.before.push_back(state);
    process.advance(state, [&](const StepView<S>& view) {
      training.trace.push_back(view.record);
      if (observe) observe(view);
    });
  }
  training.state = std::move(state);
  return training;
}

template <class S>
bool same_training(const Training<S>& a, const Training<S>& b) {
  return same_state(a.state, b.state) &&
         std::equal(a.trace.begin(), a.trace.end(), b.trace.begin(), b.trace.end(), same_record);
}

}  // namespace gradscape::testing
