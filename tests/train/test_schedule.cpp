#include <gtest/gtest.h>

#include <stdexcept>

#include "gradscape/train/schedule.hpp"

namespace gradscape::testing {
namespace {

TrainOptions options(const std::string& schedule) {
  TrainOptions made;
  made.schedule = schedule;
  return made;
}

TEST(Schedule, ConstantIsTheRateItself) {
  auto constant = options("constant");
  constant.lr = 0.1;
  for (const std::int64_t step : {0, 1, 500, 1000}) EXPECT_EQ(learning_rate(constant, step, 1000), 0.1);
}

// torch.optim.lr_scheduler.StepLR(step_size=3, gamma=0.3) on lr = 0.1, PyTorch 1.13: the rate of steps 0 … 9.
TEST(Schedule, StepIsPyTorchsStepLR) {
  const double torch[] = {0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.009, 0.009, 0.009, 0.0026999999999999997};
  auto step = options("step");
  step.lr = 0.1;
  step.schedule_step = 3;
  step.schedule_gamma = 0.3;
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(learning_rate(step, i, 10), torch[i], 1e-15) << i;
}

// torch.optim.lr_scheduler.CosineAnnealingLR(T_max=8, eta_min=0.002) on lr = 0.05, PyTorch 1.13: steps 0 … 8.
TEST(Schedule, CosineIsPyTorchsCosineAnnealingLR) {
  const double torch[] = {0.05,
                          0.04817310878027088,
                          0.04297056274847714,
                          0.03518440237676216,
                          0.026000000000000002,
                          0.016815597623237845,
                          0.00902943725152286,
                          0.0038268912197291184,
                          0.002};
  auto cosine = options("cosine");
  cosine.lr = 0.05;
  cosine.lr_min = 0.002;
  for (int i = 0; i <= 8; ++i) EXPECT_NEAR(learning_rate(cosine, i, 8), torch[i], 1e-15) << i;
}

TEST(Schedule, CosineByHand) {
  auto cosine = options("cosine");
  cosine.lr = 1.0;
  EXPECT_EQ(learning_rate(cosine, 0, 6), 1.0);
  EXPECT_NEAR(learning_rate(cosine, 2, 6), 0.75, 1e-15);  // cos 60° = 1/2
  EXPECT_NEAR(learning_rate(cosine, 3, 6), 0.5, 1e-15);
  EXPECT_NEAR(learning_rate(cosine, 4, 6), 0.25, 1e-15);
  EXPECT_EQ(learning_rate(cosine, 6, 6), 0.0);
}

// torch.optim.lr_scheduler.OneCycleLR(max_lr=0.4, total_steps=10, pct_start=0.4, div_factor=10, final_div_factor=100),
// PyTorch 1.13: steps 0 … 9.
TEST(Schedule, OneCycleIsPyTorchsOneCycleLR) {
  const double torch[] = {0.03999999999999998, 0.13,
                          0.30999999999999994, 0.4,
                          0.3732318756761309,  0.30010000000000003,
                          0.20020000000000002, 0.10030000000000004,
                          0.02716812432386915, 0.0004};
  auto cycle = options("onecycle");
  cycle.lr = 0.4;
  cycle.cycle_rise = 0.4;
  cycle.cycle_first = 10;
  cycle.cycle_last = 100;
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(learning_rate(cycle, i, 10), torch[i], 1e-15) << i;
}

// torch's SequentialLR of LinearLR(start_factor=0.25, total_iters=4) and CosineAnnealingLR(T_max=6, eta_min=0.002) on
// lr = 0.05, PyTorch 1.13: steps 0 … 9.
TEST(Schedule, WarmUpIsPyTorchsLinearLR) {
  const double torch[] = {0.0125,
                          0.021875000000000002,
                          0.03125000000000001,
                          0.04062500000000001,
                          0.05,
                          0.04678460969082653,
                          0.038000000000000006,
                          0.026000000000000002,
                          0.014000000000000005,
                          0.005215390309173471};
  auto cosine = options("cosine");
  cosine.lr = 0.05;
  cosine.lr_min = 0.002;
  cosine.warmup_steps = 4;
  cosine.warmup_factor = 0.25;
  for (int i = 0; i < 10; ++i) EXPECT_NEAR(learning_rate(cosine, i, 10), torch[i], 1e-15) << i;
}

TEST(Schedule, OnlySomeDependOnTheNumberOfSteps) {
  for (const auto& name : schedule_names()) {
    auto schedule = options(name);
    schedule.schedule_step = 2;
    const bool differs = learning_rate(schedule, 5, 10) != learning_rate(schedule, 5, 20);
    EXPECT_EQ(depends_on_total(name), differs) << name;
    EXPECT_EQ(depends_on_total(name), name == "cosine" || name == "onecycle") << name;
  }
}

TEST(Schedule, StepsOrEpochs) {
  TrainOptions train;
  train.steps = 24;
  EXPECT_EQ(total_steps(train, 391), 24);
  train.steps = 0;
  train.epochs = 20;
  EXPECT_EQ(total_steps(train, 391), 7820);  // the course exercise: 20 epochs of 391 steps
}

TEST(Schedule, UnknownNameIsAnInternalError) {
  EXPECT_THROW(learning_rate(options("nothing"), 0, 1), std::logic_error);
}

}  // namespace
}  // namespace gradscape::testing
