#include <gtest/gtest.h>

#include "gradscape/cost/bench_job.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

TEST(Timing, MedianAndExtremes) {
  const auto expect = [](const std::vector<double>& seconds, double median, double min, double max) {
    const Timing timing = make_timing(seconds);
    EXPECT_EQ(timing.median, median);
    EXPECT_EQ(timing.min, min);
    EXPECT_EQ(timing.max, max);
  };
  expect({3}, 3, 3, 3);
  expect({5, 1, 4}, 4, 1, 5);
  expect({8, 1, 2, 4}, 3, 1, 8);
  EXPECT_THROW(make_timing({}), std::logic_error);
}

/// A number of the operations of a repetition that follows from the definitions alone.
TEST(BenchJob, CountsTheOperationsOfEveryKindOfWork) {
  Experiment experiment;
  experiment.model.arch = "mlp";
  experiment.model.hidden = {7};
  experiment.train.batch_size = 6;
  experiment.train.steps = 1;
  experiment.sweep.multipliers = {1, 2, 3};
  const double forward = 6 * 2.0 * (3072 * 7 + 7 * 10);
  for (const bool in_double : {false, true}) {
    experiment.sweep.precision = in_double ? "double" : "native";
    const BenchResult result = bench(experiment, {1, true});
    EXPECT_EQ(result.threads, parallel::threads());
    EXPECT_EQ(result.parameters, 3072 * 7 + 7 + 7 * 10 + 10);
    EXPECT_EQ(6 * result.forward_flops, forward);
    EXPECT_EQ(result.forward.flops, forward);
    EXPECT_EQ(result.forward_backward.flops, 3 * forward);
    EXPECT_EQ(result.training_step.flops, 3 * forward);
    const double gradients = in_double ? 4 : 3;  // the one at theta is taken again in double
    EXPECT_EQ(result.probes.flops, gradients * 3 * forward);
    EXPECT_EQ(result.probed_step.flops, (gradients + 1) * 3 * forward);
    EXPECT_EQ(result.storing.flops, 0);
    ASSERT_EQ(result.layers.size(), 5u);
    EXPECT_EQ(result.layers[1].name, "dense 3072→7");
    EXPECT_EQ(result.layers[1].backward.flops, 6 * 4.0 * 3072 * 7);
  }
}

}  // namespace
}  // namespace gradscape::testing
