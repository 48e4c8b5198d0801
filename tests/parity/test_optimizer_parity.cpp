// Optimisers over ten updates against torch.optim: parameters after the first and the last, and the optimiser's
// state.
#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/train/optimizer.hpp"
#include "support/parity.hpp"

namespace gradscape::testing {
namespace {

constexpr Index kSize = 256;

TrainOptions options_of(const Json& c) {
  TrainOptions options;
  options.optimizer = c.at("optimizer");
  const Json& given = c.at("options");
  options.lr = given.at("lr");
  options.momentum = given.value("momentum", options.momentum);
  options.nesterov = given.value("nesterov", options.nesterov);
  options.weight_decay = given.value("weight_decay", options.weight_decay);
  options.beta1 = given.value("beta1", options.beta1);
  options.beta2 = given.value("beta2", options.beta2);
  options.eps = given.value("eps", options.eps);
  options.rms_decay = given.value("rms_decay", options.rms_decay);
  options.rms_centered = given.value("rms_centered", options.rms_centered);
  return options;
}

/// Gradients of four sizes 1, 2^-10, 2^-20, 2^-30 (where Adam's eps shows), one in 16 always 0.
template <class S>
Vector<S> gradient_of_step(std::uint32_t step) {
  auto grad = hash_values<S>(kSize, 10 + step);
  for (Index i = 0; i < kSize; ++i)
    grad[i] = i % 16 == 15 ? S{0} : static_cast<S>(std::ldexp(grad[i], static_cast<int>(-10 * (i % 4))));
  return grad;
}

template <class S>
void expect_parity_of_all() {
  worst() = {};
  const Json file = load_parity("optimizers");
  for (const Json& c : file.at("cases")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const TrainOptions options = options_of(c);
    const Json& results = c.at("results");
    auto theta = hash_values<S>(kSize, 1);
    auto state = initial_optimizer_state<S>(options, kSize);
    const auto steps = c.at("steps").get<std::uint32_t>();
    for (std::uint32_t step = 0; step < steps; ++step) {
      Vector<S> next;
      update_parameters<S>(options, options.lr, theta, gradient_of_step<S>(step), state, next);
      theta = next;
      if (step == 0) expect_parity("theta after 1", theta, results.at("theta after 1"));
    }
    expect_parity("theta", theta, results.at("theta"));
    EXPECT_EQ(state.updates, steps);
    EXPECT_EQ(state.slots.size() + 2, results.size()) << "the same state as torch.optim";
    for (std::size_t slot = 0; slot < state.slots.size(); ++slot)
      expect_parity(state.names[slot], state.slots[slot], results.at(state.names[slot]));
  }
  report_worst<S>("optimisers");
}

TEST(OptimizerParity, Double) {
  expect_parity_of_all<double>();
}
TEST(OptimizerParity, Float) {
  expect_parity_of_all<float>();
}

}  // namespace
}  // namespace gradscape::testing
