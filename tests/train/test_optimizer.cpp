// The optimisers' own promises; agreement with torch.optim is in parity/test_optimizer_parity.cpp.
#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/train/optimizer.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

TrainOptions make_options(const std::string& optimizer) {
  TrainOptions options;
  options.optimizer = optimizer;
  options.weight_decay = 0.01;
  if (optimizer == "sgd") {
    options.momentum = 0.9;
    options.nesterov = true;
  }
  return options;
}

template <class S>
Vector<S> scalar(double value) {
  return Vector<S>::Constant(1, static_cast<S>(value));
}

TEST(Optimizer, NamesAndSlots) {
  EXPECT_EQ(optimizer_names(), (std::vector<std::string>{"sgd", "adam", "adamw", "rmsprop", "sam"}));
  TrainOptions options;
  EXPECT_TRUE(initial_optimizer_state<float>(options, 3).slots.empty()) << "plain SGD remembers nothing";
  options.momentum = 0.5;
  EXPECT_EQ(initial_optimizer_state<float>(options, 3).names, std::vector<std::string>{"momentum_buffer"});
  options.optimizer = "adam";
  const auto state = initial_optimizer_state<float>(options, 3);
  EXPECT_EQ(state.names, (std::vector<std::string>{"exp_avg", "exp_avg_sq"}));
  EXPECT_EQ(state.updates, 0);
  for (const auto& slot : state.slots) EXPECT_TRUE(slot.size() == 3 && slot.isZero(0));
  options.optimizer = "rmsprop";
  options.rms_centered = true;
  EXPECT_EQ(initial_optimizer_state<float>(options, 3).names,
            (std::vector<std::string>{"square_avg", "momentum_buffer", "grad_avg"}));
  options.optimizer = "nothing";
  EXPECT_THROW(initial_optimizer_state<float>(options, 3), std::logic_error);
}

// θ = 2, g = 4, lr = 1/8, weight decay 1/2: d = 5. Momentum 1/2: buffers 5, then 5/2 + d.
TEST(Optimizer, SgdByHand) {
  TrainOptions options;
  options.weight_decay = 0.5;
  Vector<double> next;
  auto state = initial_optimizer_state<double>(options, 1);
  update_parameters<double>(options, 0.125, scalar<double>(2), scalar<double>(4), state, next);
  EXPECT_EQ(next[0], 2 - 5.0 / 8);

  options.momentum = 0.5;
  for (const bool nesterov : {false, true}) {
    options.nesterov = nesterov;
    state = initial_optimizer_state<double>(options, 1);
    update_parameters<double>(options, 0.125, scalar<double>(2), scalar<double>(4), state, next);
    EXPECT_EQ(next[0], 2 - (nesterov ? 7.5 : 5.0) / 8);
    EXPECT_EQ(state.slots[0][0], 5);
    update_parameters<double>(options, 0.125, scalar<double>(2), scalar<double>(4), state, next);
    EXPECT_EQ(state.slots[0][0], 7.5);
    EXPECT_EQ(next[0], 2 - (nesterov ? 8.75 : 7.5) / 8);
    EXPECT_EQ(state.updates, 2);
  }
}

// Kingma and Ba 2015, section 2.1: the first step has length lr, whatever the gradient's size, as long as it is far
// above eps.
TEST(Optimizer, AdamsFirstStep) {
  TrainOptions options;
  options.optimizer = "adam";
  for (const double g : {1e-3, -2.0, 1e4}) {
    Vector<double> next;
    auto state = initial_optimizer_state<double>(options, 1);
    update_parameters<double>(options, 0.25, scalar<double>(1), scalar<double>(g), state, next);
    EXPECT_NEAR(next[0], 1 - 0.25 * g / (std::abs(g) + options.eps), 1e-14);
  }
  // At |g| = eps the step is half as long: eps is added after the bias correction.
  Vector<double> next;
  auto state = initial_optimizer_state<double>(options, 1);
  update_parameters<double>(options, 0.25, scalar<double>(1), scalar<double>(options.eps), state, next);
  EXPECT_NEAR(next[0], 1 - 0.125, 1e-12);
}

// Loshchilov and Hutter 2019, algorithm 2: without a gradient θ shrinks by lr·weight_decay, whatever the averages.
TEST(Optimizer, AdamWDecaysByItself) {
  TrainOptions options;
  options.optimizer = "adamw";
  options.weight_decay = 0.5;
  Vector<double> next;
  auto state = initial_optimizer_state<double>(options, 1);
  update_parameters<double>(options, 0.25, scalar<double>(2), scalar<double>(0), state, next);
  EXPECT_EQ(next[0], 2 * (1 - 0.25 * 0.5));
}

// The point lies at distance ρ in the gradient's direction, and at θ where there is no direction.
TEST(Optimizer, SamPointByHand) {
  TrainOptions options;
  options.sam_rho = 0.5;
  Vector<double> theta(2), grad(2);
  theta << 1, 2;
  grad << 3, -4;
  const auto point = sam_point(options, theta, grad).value();
  EXPECT_DOUBLE_EQ(point[0], 1 + 0.3);
  EXPECT_DOUBLE_EQ(point[1], 2 - 0.4);
  EXPECT_TRUE(same_bits(sam_point<double>(options, theta, Vector<double>::Zero(2)).value(), theta));
}

TEST(Optimizer, LeavesThetaAndGradientAlone) {
  for (const auto& name : optimizer_names()) {
    const auto options = make_options(name);
    const auto theta = hash_values<float>(1000, 1), grad = hash_values<float>(1000, 2);
    auto state = initial_optimizer_state<float>(options, 1000);
    Vector<float> next;
    update_parameters<float>(options, 0.1, theta, grad, state, next);
    EXPECT_TRUE(same_bits(theta, hash_values<float>(1000, 1)));
    EXPECT_TRUE(same_bits(grad, hash_values<float>(1000, 2)));
    EXPECT_FALSE(same_bits(theta, next));
  }
}

TEST(Optimizer, GradientOfAnotherSizeIsAnInternalError) {
  const TrainOptions options;
  auto state = initial_optimizer_state<float>(options, 3);
  Vector<float> next;
  EXPECT_THROW(update_parameters<float>(options, 0.1, Vector<float>::Zero(3), Vector<float>::Zero(2), state, next),
               std::logic_error);
}

template <class S>
void expect_same_bits_at_any_number_of_threads() {
  constexpr Index kSize = 3 * parallel::kElementwiseChunk + 5;
  for (const auto& name : optimizer_names()) {
    const auto options = make_options(name);
    compare_thread_counts(
        [&] {
          auto theta = hash_values<S>(kSize, 1);
          auto state = initial_optimizer_state<S>(options, kSize);
          for (std::uint32_t step = 0; step < 3; ++step) {
            Vector<S> next;
            update_parameters<S>(options, 0.1, theta, hash_values<S>(kSize, 2 + step), state, next);
            theta = next;
          }
          state.slots.push_back(theta);
          return state.slots;
        },
        [&](int threads, const auto& one, const auto& many) {
          for (std::size_t i = 0; i < one.size(); ++i)
            EXPECT_TRUE(same_bits(one[i], many[i])) << name << ' ' << threads;
        });
  }
}

TEST(Optimizer, BitsDoNotDependOnThreads) {
  expect_same_bits_at_any_number_of_threads<float>();
  expect_same_bits_at_any_number_of_threads<double>();
}

}  // namespace
}  // namespace gradscape::testing
