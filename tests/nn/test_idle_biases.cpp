// Which biases have a gradient of 0 by definition: those whose gradient in double is nothing but rounding.
#include <gtest/gtest.h>

#include <algorithm>

#include "gradscape/nn/zoo.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

/// Largest entry of each bias's gradient, on a random batch at the initial weights.
std::vector<std::pair<std::string, double>> bias_gradients(const ModelOptions& options, FeatureShape images) {
  constexpr Index kSamples = 6;
  const auto network = make_network<double>(options, images, 10, Engine::direct);
  Batch<double> batch;
  const auto pixels = hash_values<double>(kSamples * images.size(), 3);
  batch.images = Eigen::Map<const Matrix<double>>(pixels.data(), kSamples * images.pixels(), images.channels);
  for (Index i = 0; i < kSamples; ++i) batch.labels.push_back(static_cast<int>(i % 10));
  Vector<double> grad(network->parameters().size());
  network->evaluate(network->initial_parameters(Init::xavier_normal, 1), network->initial_buffers(), batch,
                    {Mode::train, 1, 0}, {.grad = &grad});
  std::vector<std::pair<std::string, double>> gradients;
  for (const Part& part : network->parameters().parts())
    if (part.role == Role::bias)
      gradients.emplace_back(part.name, grad.segment(part.offset, part.size).cwiseAbs().maxCoeff());
  return gradients;
}

TEST(IdleBiases, AreThoseWithoutAGradient) {
  const WithThreads one_thread{1};
  for (const char* norm : {"none", "batch", "l1", "l2", "linf", "layer", "group"}) {
    ModelOptions options;
    options.arch = "vgg-a";
    options.width = 0.0625;
    options.norm = norm;
    options.norm_groups = 4;  // of the first layer's four channels, and of more in others
    const FeatureShape images{32, 32, 3};
    const auto idle = idle_biases(zoo_graph(options, images, 10));
    for (const auto& [name, largest] : bias_gradients(options, images)) {
      const bool zero = std::count(idle.begin(), idle.end(), name) > 0;
      EXPECT_EQ(largest < 1e-14, zero) << norm << " " << name << " " << largest;
    }
    EXPECT_EQ(idle.empty(), std::string(norm) != "batch" && std::string(norm) != "group") << norm;
  }
}

}  // namespace
}  // namespace gradscape::testing
