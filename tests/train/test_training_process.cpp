// A training run is a function of its options and data: nothing else decides about its bits.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/core/vector_math.hpp"
#include "gradscape/train/schedule.hpp"
#include "gradscape/train/training_process.hpp"
#include "support/errors.hpp"
#include "support/small_runs.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

template <class S>
Training<S> train(const SmallRun& run) {
  const auto process = run.process<S>();
  return train_from(*process, process->initial_state());
}

template <class S>
class TrainingProcessOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(TrainingProcessOf, Scalars);

TYPED_TEST(TrainingProcessOf, BitsDoNotDependOnThreads) {
  using S = TypeParam;
  for (const SmallRun& run : {mlp_run(5), vgg_run(3)}) {
    compare_thread_counts([&] { return train<S>(run); },
                          [&](int threads, const Training<S>& one, const Training<S>& many) {
                            EXPECT_TRUE(same_training(one, many)) << run.model.arch << ", threads: " << threads;
                          });
  }
}

TYPED_TEST(TrainingProcessOf, ResumedFromAnyStateItEndsTheSame) {
  using S = TypeParam;
  for (const SmallRun& run : {mlp_run(8), vgg_run(3)}) {
    const Training<S> whole = train<S>(run);
    for (std::size_t k = 0; k < whole.before.size(); k += 3) {
      const auto process = run.process<S>();
      const Training<S> rest = train_from(*process, whole.before[k]);
      EXPECT_TRUE(same_state(rest.state, whole.state)) << run.model.arch << " from step " << k;
      EXPECT_TRUE(std::equal(rest.trace.begin(), rest.trace.end(), whole.trace.begin() + static_cast<std::ptrdiff_t>(k),
                             whole.trace.end(), same_record));
    }
  }
}

TYPED_TEST(TrainingProcessOf, SeedAndNothingElseDecides) {
  using S = TypeParam;
  SmallRun run = mlp_run(4);
  const auto first = train<S>(run);
  EXPECT_TRUE(same_training(first, train<S>(run)));
  run.train.checkpoint_every = 2;
  run.train.test_every = 1;
  EXPECT_TRUE(same_training(first, train<S>(run))) << "intervals are no part of a run";
  ++run.train.seed;
  EXPECT_FALSE(same_state(first.state, train<S>(run).state));
}

template <class S>
double naive_norm(const Vector<S>& values) {
  long double sum = 0;
  for (const S value : values) sum += static_cast<long double>(value) * static_cast<long double>(value);
  return static_cast<double>(std::sqrt(sum));
}

// The trace against plain sums over what the observer sees, and the observer's view against the states around it.
TYPED_TEST(TrainingProcessOf, TraceRecordsWhatTheStepDid) {
  using S = TypeParam;
  const SmallRun run = mlp_run(5);
  const auto process = run.process<S>();
  const auto network = make_network<S>(run.model, run.dataset.train.shape, 3);
  auto state = process->initial_state();
  for (std::int64_t step = 0; step < 5; ++step) {
    const auto before = state;
    Vector<S> next;
    process->advance(state, [&](const StepView<S>& view) {
      next = view.theta_next;
      EXPECT_TRUE(same_bits(view.theta, before.theta));
      EXPECT_TRUE(same_bits(view.buffers, before.buffers));
      EXPECT_EQ(view.record.step, step);
      EXPECT_EQ(view.record.lr, learning_rate(run.train, step, 5));
      EXPECT_NEAR(view.record.grad_norm, naive_norm(view.grad), 1e-13 * view.record.grad_norm);
      EXPECT_NEAR(view.record.theta_norm, naive_norm(view.theta), 1e-13 * view.record.theta_norm);
      const Vector<double> update = view.theta_next.template cast<double>() - view.theta.template cast<double>();
      EXPECT_NEAR(view.record.update_norm, update.norm(), 1e-13 * view.record.update_norm);
      EXPECT_GT(view.record.update_norm, 0);
      EXPECT_GE(view.record.seconds, 0);
      // Loss, accuracy and gradient of the batch in train mode, without weight decay.
      Vector<S> grad;
      const auto value = network->evaluate(before.theta, before.buffers, view.batch, view.pass, {.grad = &grad});
      EXPECT_EQ(view.pass.mode, Mode::train);
      EXPECT_EQ(view.record.loss, value.loss);
      EXPECT_TRUE(same_bits(view.grad, grad));
      Index correct = 0;
      for (Index n = 0; n < view.batch.size(); ++n) {
        Index winner = 0;
        network->logits().row(n).maxCoeff(&winner);
        correct += winner == view.batch.labels[static_cast<std::size_t>(n)] ? 1 : 0;
      }
      EXPECT_DOUBLE_EQ(view.record.accuracy, static_cast<double>(correct) / static_cast<double>(view.batch.size()));
    });
    EXPECT_EQ(state.step, step + 1);
    EXPECT_EQ(state.optimizer.updates, step + 1);
    EXPECT_TRUE(same_bits(state.theta, next));
    EXPECT_FALSE(same_bits(state.buffers, before.buffers));
  }
}

// The observer sees the gradient at theta; the move is by the gradient at distance rho (parity/ has it against
// PyTorch), and the running statistics are those of the first pass.
TYPED_TEST(TrainingProcessOf, SharpnessAwareMovesByTheOtherGradient) {
  using S = TypeParam;
  SmallRun run = mlp_run(2);
  run.train.optimizer = "sam";
  run.train.sam_rho = 0.25;
  run.train.weight_decay = 0;
  const auto process = run.process<S>();
  const auto network = make_network<S>(run.model, run.dataset.train.shape, 3);
  auto state = process->initial_state();
  const auto before = state;
  process->advance(state, [&](const StepView<S>& view) {
    Vector<S> grad, ascent, buffers, next;
    network->evaluate(before.theta, before.buffers, view.batch, view.pass, {.grad = &grad, .new_buffers = &buffers});
    EXPECT_TRUE(same_bits(view.grad, grad));
    const Vector<S> point = before.theta + static_cast<S>(0.25 / norm(grad)) * grad;
    network->evaluate(point, before.buffers, view.batch, view.pass, {.grad = &ascent});
    EXPECT_FALSE(same_bits(ascent, grad));
    auto sgd = initial_optimizer_state<S>(run.train, grad.size());
    update_parameters<S>(run.train, run.train.lr, before.theta, ascent, sgd, next);
    EXPECT_TRUE(same_bits(view.theta_next, next));
    EXPECT_NEAR(view.record.grad_norm, norm(grad), 1e-13 * norm(grad));
  });
}

TEST(TrainingProcess, CountsStepsAndEpochs) {
  SmallRun run = mlp_run(7);  // 20 images in batches of 8
  EXPECT_EQ(run.process<float>()->steps_per_epoch(), 3);
  EXPECT_EQ(run.process<float>()->total_steps(), 7);
  run.train.steps = 0;
  run.train.epochs = 4;
  EXPECT_EQ(run.process<float>()->total_steps(), 12);
}

// In evaluation mode an image's loss does not depend on its batch. So the test's mean over 11 images in batches of 8
// and 3 is that over 11 batches of one; a mean of the two batches' means would weigh the last three images too much.
TEST(TrainingProcess, TestWeighsAShortLastBatchRightly) {
  for (const std::string loss : {"cross-entropy", "mse", "sse"}) {
    SmallRun run = mlp_run(4);
    run.model.loss = loss;
    const auto process = run.process<double>();
    const auto state = train_from(*process, process->initial_state()).state;
    const auto network = make_network<double>(run.model, run.dataset.train.shape, 3);
    double total = 0, correct = 0;
    for (Index n = 0; n < 11; ++n) {
      const auto batch = plain_batch<double>(run.dataset.test, process->standardisation(), n, n + 1);
      const auto value = network->evaluate(state.theta, state.buffers, batch, {Mode::evaluation, 0, 0});
      total += value.loss;
      correct += value.accuracy;
    }
    const TestRecord record = process->test(state);
    EXPECT_EQ(record.step, 4);
    EXPECT_NEAR(record.loss, loss == "sse" ? total : total / 11, 1e-12 * total) << loss;
    EXPECT_NEAR(record.accuracy, correct / 11, 1e-12) << loss;
    const double first_step_loss = process->test(process->initial_state()).loss;
    EXPECT_NE(record.loss, first_step_loss) << "the state is looked at";
  }
}

TEST(TrainingProcess, TestLeavesTheTrainingAlone) {
  const SmallRun run = mlp_run(6);
  const auto process = run.process<float>();
  auto state = process->initial_state();
  while (state.step < 6) {
    process->test(state);
    process->advance(state, {});
  }
  EXPECT_TRUE(same_state(state, train<float>(run).state));
}

TEST(TrainingProcess, TestWithoutImagesIsNan) {
  SmallRun run = mlp_run(4);
  run.dataset.test.bytes().clear();
  run.dataset.test.labels.clear();
  const auto process = run.process<float>();
  const TestRecord record = process->test(process->initial_state());
  EXPECT_TRUE(std::isnan(record.loss));
  EXPECT_TRUE(std::isnan(record.accuracy));
}

// The BN / no-BN pair sees the same batches and starts from the same convolution and dense weights.
TEST(TrainingProcess, VariantsShareBatchesAndInitialWeights) {
  for (SmallRun with : {mlp_run(5), vgg_run(3)}) {
    SmallRun without = with;
    without.model.norm = "none";
    const auto a = with.process<float>();
    const auto b = without.process<float>();

    const auto weights = [](TrainingProcess<float>& process) {
      std::vector<Vector<float>> list;  // convolutions and dense layers: what has more than one dimension
      const auto theta = process.initial_state().theta;
      for (const Part& part : process.network().parameters().parts())
        if (part.shape.size() > 1) list.emplace_back(theta.segment(part.offset, part.size));
      return list;
    };
    const auto weights_a = weights(*a), weights_b = weights(*b);
    ASSERT_EQ(weights_a.size(), weights_b.size());
    ASSERT_GT(a->initial_state().theta.size(), b->initial_state().theta.size());
    for (std::size_t i = 0; i < weights_a.size(); ++i) EXPECT_TRUE(same_bits(weights_a[i], weights_b[i])) << i;

    std::vector<Batch<float>> batches;
    train_from<float>(*a, a->initial_state(), [&](const auto& view) { batches.push_back(view.batch); });
    train_from<float>(*b, b->initial_state(), [&](const StepView<float>& view) {
      const auto& other = batches[static_cast<std::size_t>(view.record.step)];
      EXPECT_EQ(view.batch.indices, other.indices);
      EXPECT_EQ(view.batch.labels, other.labels);
      EXPECT_TRUE(view.batch.images == other.images);
    });
  }
}

// 17 images in batches of 8 leave a batch of one, in which batch norm has nothing to normalise by (PyTorch refuses
// too).
TEST(TrainingProcess, BatchNormRefusesABatchOfOne) {
  SmallRun run = mlp_run(3);
  run.dataset = hash_dataset({4, 4, 2}, 3, 17, 0);
  // 17 images in batches of 8 leave one, at the end of the first epoch: refused before the first step.
  expect_error([&] { run.process<float>(); }, {"train.batch_size", "batch norm", "17 training images"});
}

TEST(TrainingProcess, WithoutRunningStatisticsItRefusesATestOfOne) {
  for (const Index images : {1, 9, 17}) {  // batches of 8 leave one
    SmallRun run = mlp_run(3);
    run.dataset = hash_dataset({4, 4, 2}, 3, 16, images);
    EXPECT_NO_THROW(run.process<float>());  // running statistics need no batch
    run.model.norm_track = false;
    expect_error<UsageError>([&] { run.process<float>(); },
                             {"train.batch_size", "norm_track = false", fmt::format("{} test images", images)});
    run.model.norm = "l2";  // divides by no count less one
    EXPECT_NO_THROW(run.process<float>());
  }
  for (const Index images : {0, 2, 8, 16, 18}) {
    SmallRun run = mlp_run(3);
    run.dataset = hash_dataset({4, 4, 2}, 3, 16, images);
    run.model.norm_track = false;
    const auto process = run.process<float>();
    process->test(process->initial_state());
  }
}

TEST(TrainingProcess, RefusesMoreStepsThanRandomNumbersAreAddressedBy) {
  SmallRun run = mlp_run(0);
  run.train.steps = 0;
  run.train.epochs = 1'000'000'000;
  run.train.batch_size = 5;  // of 20 images: 4 steps
  EXPECT_NO_THROW(run.process<float>());
  run.train.batch_size = 4;
  expect_error<UsageError>([&] { run.process<float>(); }, {"train.epochs", "5000000000 steps"});
}

}  // namespace
}  // namespace gradscape::testing
