#include "gradscape/train/training_process.hpp"

#include <fmt/format.h>

#include <chrono>
#include <limits>

#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

constexpr std::int64_t kMostSteps = 4'000'000'000;  // as train.steps has it

}  // namespace

std::string engine_name(const TrainOptions& options) {
  if (options.engine != "auto") return options.engine;
  return options.precision == "double" ? "direct" : "winograd";
}

template <class S>
TrainingProcess<S>::TrainingProcess(const DataOptions& data, const ModelOptions& model, const TrainOptions& train,
                                    const Dataset& dataset)
    : dataset_(dataset),
      model_(model),
      train_(train),
      standardisation_(make_standardisation(data.standardise, dataset.train)),
      batches_(dataset.train, standardisation_, data, train.batch_size, static_cast<std::uint64_t>(train.seed)),
      network_(make_network<S>(model, dataset.train.shape, dataset.train.classes, engine())),
      total_steps_(gradscape::total_steps(train, batches_.steps_per_epoch())) {
  if (!dataset.train.targets.empty() && model.loss == "cross-entropy")
    throw UsageError("model.loss", "the data have targets, which \"cross-entropy\" does not take", "mse or sse");
  require_large_batches(dataset.train.size(), Mode::train);
  // Without running statistics a test takes those of its batches, as training does.
  if (!model.norm_track) require_large_batches(dataset.test.size(), Mode::evaluation);
  if (total_steps_ > kMostSteps)
    throw UsageError(
        "train.epochs",
        fmt::format("{} epochs of {} steps are {} steps", train.epochs, batches_.steps_per_epoch(), total_steps_),
        fmt::format("at most {} steps: random numbers are addressed by 32 bits of them", kMostSteps));
}

template <class S>
void TrainingProcess<S>::require_large_batches(Index images, Mode mode) const {
  const Index batch = train_.batch_size;
  const Index smallest = images % batch == 0 ? std::min(batch, images) : images % batch;
  if (images == 0 || smallest >= network_->fewest_samples()) return;
  const bool training = mode == Mode::train;
  throw UsageError(
      "train.batch_size",
      fmt::format("{} leaves a batch of {} of the {} {} images, and batch norm {} needs {}", batch, smallest, images,
                  training ? "training" : "test", training ? "on dense layers" : "with model.norm_track = false",
                  network_->fewest_samples()),
      fmt::format("choose another train.batch_size or data.{}_limit", training ? "train" : "test"));
}

template <class S>
TrainingState<S> TrainingProcess<S>::initial_state() const {
  TrainingState<S> state;
  state.theta = network_->initial_parameters(init_from_name(model_.init), static_cast<std::uint64_t>(train_.seed));
  state.buffers = network_->initial_buffers();
  state.optimizer = initial_optimizer_state<S>(train_, state.theta.size());
  return state;
}

template <class S>
TrainingState<S> TrainingProcess<S>::empty_state() const {
  TrainingState<S> state;
  state.optimizer = initial_optimizer_state<S>(train_, 0);
  return state;
}

template <class S>
void TrainingProcess<S>::advance(TrainingState<S>& state, const StepObserver<S>& observe) {
  const Doing doing("computing", "", state.step, state.step + 1);
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  batches_.batch(state.step, batch_);
  const Pass pass{Mode::train, static_cast<std::uint64_t>(train_.seed), static_cast<std::uint32_t>(state.step)};
  const Evaluation value =
      network_->evaluate(state.theta, state.buffers, batch_, pass, {.grad = &grad_, .new_buffers = &buffers_next_});

  TraceRecord record;
  record.step = state.step;
  record.loss = value.loss;
  record.accuracy = value.accuracy;
  record.lr = learning_rate(train_, state.step, total_steps_);
  update_parameters(train_, record.lr, state.theta, update_gradient(state, pass), state.optimizer, theta_next_);
  record.grad_norm = norm(grad_);
  record.theta_norm = norm(state.theta);
  record.update_norm = distance(theta_next_, state.theta);
  record.seconds = std::chrono::duration<double>(Clock::now() - start).count();

  if (observe) observe({record, pass, batch_, state.theta, state.buffers, grad_, theta_next_});
  state.theta.swap(theta_next_);
  state.buffers.swap(buffers_next_);
  ++state.step;
  reach(Moment::step);
}

template <class S>
const Vector<S>& TrainingProcess<S>::update_gradient(const TrainingState<S>& state, const Pass& pass) {
  if (!is_sharpness_aware(train_)) return grad_;
  // Same batch and masks; running statistics are those of the first pass, as in the authors' code.
  network_->evaluate(sam_point(train_, state.theta, grad_), state.buffers, batch_, pass, {.grad = &sam_grad_});
  return sam_grad_;
}

template <class S>
void TrainingProcess<S>::preview(const TrainingState<S>& state, const StepObserver<S>& observe) {
  TrainingState<S> copy = state;
  advance(copy, observe);
}

template <class S>
TestRecord TrainingProcess<S>::test(const TrainingState<S>& state) {
  const ImageSet& images = dataset_.test;
  const Index count = images.size();
  TestRecord record{state.step, 0, 0};
  for (Index first = 0; first < count; first += train_.batch_size) {
    const Index last = std::min(first + train_.batch_size, count);
    const Batch<S> batch = plain_batch<S>(images, standardisation_, first, last);
    const Pass pass{Mode::evaluation, static_cast<std::uint64_t>(train_.seed), static_cast<std::uint32_t>(state.step)};
    const Evaluation value = network_->evaluate(state.theta, state.buffers, batch, pass);
    const double share = static_cast<double>(last - first) / static_cast<double>(count);
    record.loss += value.loss * weight_in_set(network_->loss(), share);
    record.accuracy += value.accuracy * share;
  }
  if (count == 0) record.loss = record.accuracy = std::numeric_limits<double>::quiet_NaN();
  return record;
}

template class TrainingProcess<float>;
template class TrainingProcess<double>;

}  // namespace gradscape
