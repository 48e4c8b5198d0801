// What a network says of its layers' costs: names, floating-point operations against counts by hand, and times.
#include <gtest/gtest.h>

#include <chrono>
#include <numeric>

#include "gradscape/nn/convolution.hpp"
#include "gradscape/nn/zoo.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};
constexpr Index kClasses = 10;

TEST(LayerCosts, VggAHasTheOperationsCountedByHand) {
  for (const char* norm : {"none", "batch"}) {
    ModelOptions options;
    options.norm = norm;
    const auto network = make_network<float>(options, kImage, kClasses);
    std::vector<double> found;
    for (const auto& layer : network->layers())
      if (layer->flops() > 0) found.push_back(layer->flops());
    // Two operations · 9 taps · channels in · channels out · pixels out; dense: two operations · in · out.
    const std::vector<double> expected = {2.0 * 9 * 3 * 64 * 1024,
                                          2.0 * 9 * 64 * 128 * 256,
                                          2.0 * 9 * 128 * 256 * 64,
                                          2.0 * 9 * 256 * 256 * 64,
                                          2.0 * 9 * 256 * 512 * 16,
                                          2.0 * 9 * 512 * 512 * 16,
                                          2.0 * 9 * 512 * 512 * 4,
                                          2.0 * 9 * 512 * 512 * 4,
                                          2.0 * 512 * 512,
                                          2.0 * 512 * 512,
                                          2.0 * 512 * 10};
    EXPECT_EQ(found, expected) << norm;
    EXPECT_EQ(network->flops(), 306587648.0) << norm;
  }
}

TEST(LayerCosts, AConvolutionCountsItsOutputPixelsAndAllTaps) {
  Layout parameters, buffers;
  ConvolutionOptions options;
  options.channels = 5;
  options.kernel_height = 3;
  options.kernel_width = 2;
  options.stride = 2;
  options.padding = 1;
  const Convolution<double> convolution(parameters, buffers, "c", "", {7, 6, 4}, options, 0, Engine::winograd);
  ASSERT_EQ(convolution.out(), (FeatureShape{4, 4, 5}));
  EXPECT_EQ(convolution.flops(), 2.0 * (3 * 2 * 4) * 5 * 16);
  EXPECT_EQ(convolution.describe(), "conv 3×2 4→5 @4×4 (im2col)");
}

TEST(LayerCosts, LayersAreNamedInOrder) {
  ModelOptions options;
  options.width = 0.0625;
  options.norm = "batch";
  options.dropout = 0.25;
  std::vector<std::string> names;
  const auto vgg = make_network<float>(options, kImage, kClasses, Engine::winograd);
  for (const auto& layer : vgg->layers()) names.push_back(layer->describe());
  EXPECT_EQ(
      names,
      (std::vector<std::string>{
          "conv 3×3 3→4 @32×32, norm, relu, pool (im2col)", "conv 3×3 4→8 @16×16, norm, relu, pool (im2col)",
          "conv 3×3 8→16 @8×8, norm, relu (winograd 4×4)", "conv 3×3 16→16 @8×8, norm, relu, pool (winograd 4×4)",
          "conv 3×3 16→32 @4×4, norm, relu (winograd 4×4)", "conv 3×3 32→32 @4×4, norm, relu, pool (winograd 4×4)",
          "conv 3×3 32→32 @2×2, norm, relu (toeplitz 2×2)", "conv 3×3 32→32 @2×2, norm, relu, pool (toeplitz 2×2)",
          "flatten", "dense 32→32", "relu", "dropout 0.25", "dense 32→32", "relu", "dropout 0.25", "dense 32→10"}));
}

TEST(LayerCosts, TimesAreOfEveryLayerAndChangeNoBit) {
  ModelOptions options;
  options.width = 0.125;
  options.norm = "batch";
  const auto network = make_network<float>(options, kImage, kClasses);
  const auto theta = network->initial_parameters(Init::he_normal, 3);
  const auto buffers = network->initial_buffers();
  Batch<float> batch;
  batch.images = rows_from_nchw(hash_values<float>(9 * kImage.size(), 1), 9, kImage);
  batch.labels = hash_labels(9, 2, kClasses);
  Vector<float> plain, timed;
  const Evaluation first = network->evaluate(theta, buffers, batch, {}, {.grad = &plain});
  LayerTimes times;
  const auto start = std::chrono::steady_clock::now();
  const Evaluation second = network->evaluate(theta, buffers, batch, {}, {.grad = &timed, .times = &times});
  const double whole = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_TRUE(same_bits(first.loss, second.loss));
  EXPECT_TRUE(same_bits(plain, timed));

  const std::size_t layers = network->layers().size();
  ASSERT_EQ(times.forward.size(), layers);
  ASSERT_EQ(times.backward.size(), layers);
  for (std::size_t i = 0; i < layers; ++i) {
    if (network->layers()[i]->flops() == 0) continue;  // the others may be too quick for the clock
    EXPECT_GT(times.forward[i], 0) << i;
    EXPECT_GT(times.backward[i], 0) << i;
  }
  const auto sum = [](const std::vector<double>& list) { return std::accumulate(list.begin(), list.end(), 0.0); };
  EXPECT_LE(sum(times.forward) + sum(times.backward) + times.loss, whole);

  network->evaluate(theta, buffers, batch, {}, {.times = &times});
  EXPECT_GT(sum(times.forward), 0);
  EXPECT_EQ(sum(times.backward), 0) << "nothing of the call before stays";
}

}  // namespace
}  // namespace gradscape::testing
