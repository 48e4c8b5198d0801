// A step allocates nothing once its memory has grown: malloc and its kin are replaced by functions that count. An
// executable of its own, because of that.
#include <errno.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "gradscape/data/dataset.hpp"
#include "gradscape/landscape/sweep.hpp"
#include "gradscape/nn/zoo.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
}

namespace {

std::atomic<bool> counting{false};
std::atomic<long> calls{0};
std::atomic<std::size_t> bytes{0};
std::atomic<std::size_t> largest{0};

/// Counts an allocation of any thread; must not allocate itself.
void note(std::size_t size) {
  if (!counting.load(std::memory_order_relaxed)) return;
  calls.fetch_add(1);
  bytes.fetch_add(size);
  std::size_t seen = largest.load();
  while (size > seen && !largest.compare_exchange_weak(seen, size)) {
  }
}

}  // namespace

extern "C" {

void* malloc(std::size_t size) {
  note(size);
  return __libc_malloc(size);
}

void* calloc(std::size_t count, std::size_t size) {
  note(count * size);
  return __libc_calloc(count, size);
}

void* realloc(void* memory, std::size_t size) {
  note(size);
  return __libc_realloc(memory, size);
}

void* memalign(std::size_t alignment, std::size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  note(size);
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}

}  // extern "C"

namespace gradscape::testing {
namespace {

struct Allocations {
  long calls;
  std::size_t bytes;
  std::size_t largest;
};

template <class Work>
Allocations count_allocations(Work&& work) {
  calls = 0;
  bytes = 0;
  largest = 0;
  counting = true;
  work();
  counting = false;
  return {calls, bytes, largest};
}

constexpr FeatureShape kImage{32, 32, 3};
constexpr int kClasses = 10;

/// With the static schedule every thread meets in the first call what it meets later, and its memory has grown then.
class Steps : public ::testing::Test {
 protected:
  Steps() {
    omp_get_schedule(&kind_, &chunk_);
    omp_set_schedule(omp_sched_static, 1);
  }
  ~Steps() override { omp_set_schedule(kind_, chunk_); }

 private:
  omp_sched_t kind_;
  int chunk_;
};

TEST_F(Steps, TheCounterCounts) {
  const auto one = count_allocations([] { Scratch<float>().at_least(1000); });
  EXPECT_EQ(one.calls, 1);
  EXPECT_GE(one.largest, 4000u);
  EXPECT_EQ(count_allocations([] { Vector<double> vector(10); }).calls, 1);
  EXPECT_EQ(count_allocations([] {}).calls, 0);
  const WithThreads two(2);
  const auto in_threads = [] { parallel::for_each(2, [](Index) { Scratch<float>().at_least(10); }); };
  in_threads();  // the threads are there now
  EXPECT_EQ(count_allocations(in_threads).calls, 2);
}

ModelOptions vgg_options(const char* norm) {
  ModelOptions options;
  options.width = 0.25;
  options.norm = norm;
  return options;
}

ModelOptions mlp_options() {
  ModelOptions options;
  options.arch = "mlp";
  options.hidden = {300, 140};
  options.norm = "batch";
  options.dropout = 0.25;
  return options;
}

template <class S>
void expect_none(const ModelOptions& options, Engine engine) {
  for (const int threads : {1, 2, 3}) {
    const WithThreads scope(threads);
    const auto network = make_network<S>(options, kImage, kClasses, engine);
    const auto theta = network->initial_parameters(Init::he_normal, 3);
    const auto buffers = network->initial_buffers();
    Batch<S> batch;
    batch.images = rows_from_nchw(hash_values<S>(24 * kImage.size(), 1), 24, kImage);
    batch.labels = hash_labels(24, 2, kClasses);
    Vector<S> grad, new_buffers;
    const auto evaluate = [&] {
      network->evaluate(theta, buffers, batch, {}, {.grad = &grad, .new_buffers = &new_buffers});
    };
    evaluate();
    for (int call = 2; call <= 4; ++call) {
      const Allocations found = count_allocations(evaluate);
      EXPECT_EQ(found.calls, 0) << threads << " threads, call " << call << ": " << found.bytes << " bytes";
    }
  }
}

TEST_F(Steps, EvaluatingAllocatesNothing) {
  for (const Engine engine : {Engine::winograd, Engine::direct})
    for (const char* norm : {"batch", "none"}) {
      SCOPED_TRACE(norm);
      expect_none<float>(vgg_options(norm), engine);
    }
  auto options = vgg_options("batch");
  options.norm_dense = true;
  options.dropout = 0.5;
  options.pool = "average";
  expect_none<double>(options, Engine::winograd);
  expect_none<float>(mlp_options(), Engine::direct);
}

/// A training run on images of the synthetic set, in batches of 16.
struct Training {
  Training(const ModelOptions& model, const char* optimizer, Index images) {
    data.synthetic_train = images;
    data.synthetic_test = 0;
    data.augment_crop = 4;
    data.augment_flip = true;
    train.batch_size = 16;
    train.optimizer = optimizer;
    train.epochs = 100;
    dataset = load_dataset(data);
    process = std::make_unique<TrainingProcess<float>>(data, model, train, dataset);
    state = process->initial_state();
  }

  DataOptions data;
  TrainOptions train;
  Dataset dataset;
  std::unique_ptr<TrainingProcess<float>> process;
  TrainingState<float> state;
};

TEST_F(Steps, TrainingAllocatesNothing) {
  for (const int threads : {1, 2})
    for (const char* optimizer : {"sgd", "adam"}) {
      const WithThreads scope(threads);
      Training run(vgg_options("batch"), optimizer, 64);
      run.process->advance(run.state, {});
      for (int step = 1; step < 9; ++step) {  // two epochs
        const Allocations found = count_allocations([&] { run.process->advance(run.state, {}); });
        EXPECT_EQ(found.calls, 0) << optimizer << ", step " << step << ": " << found.bytes << " bytes";
      }
    }
}

/// What a SweepRecord holds: cells, indices, augmentation.
constexpr long kRecordVectors = 3;

TEST_F(Steps, ProbingAllocatesItsRecordOnly) {
  for (const int threads : {1, 2})
    for (const char* direction : {"gradient", "update"}) {
      const WithThreads scope(threads);
      Training run(vgg_options("batch"), "sgd", 64);
      SweepOptions sweep;
      sweep.direction = direction;
      StepProber<float> prober(sweep, *run.process, 1000);
      SweepRecord record;
      const StepObserver<float> observe = [&](const StepView<float>& step) { record = prober.probe_step(step); };
      run.process->advance(run.state, observe);  // measures the noise floor, and builds the network anew
      run.process->advance(run.state, observe);
      for (int step = 2; step < 9; ++step) {
        const Allocations found = count_allocations([&] { run.process->advance(run.state, observe); });
        EXPECT_EQ(found.calls, kRecordVectors) << direction << ", step " << step;
        EXPECT_LE(found.bytes, record.cells.size() * sizeof(Cell) + record.batch_index.size() * sizeof(std::int32_t) +
                                   record.augmentation.size() * sizeof(Augmentation));
      }
    }
}

}  // namespace
}  // namespace gradscape::testing
