// The networks that a configuration can name: their sizes against published ones, their names, and that bits do not
// depend on threads whatever the norm.
#include <gtest/gtest.h>

#include <cmath>

#include "gradscape/nn/zoo.hpp"
#include "support/bits.hpp"
#include "support/errors.hpp"
#include "support/hash_values.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};

std::unique_ptr<Network<float>> network_of(const std::string& arch, const std::string& norm, double width = 1) {
  ModelOptions options;
  options.arch = arch;
  options.norm = norm;
  options.width = width;
  return make_network<float>(options, kImage, 10);
}

// The widely used CIFAR versions with one 512→10 layer behind the convolutions have, with batch norm, 9,231,114,
// 9,416,010, 14,728,266 and 20,040,522 parameters (kuangliu/pytorch-cifar); two for each normalised channel less
// without. VGG-A: the course exercise's 9,750,922 and 9,756,426.
TEST(Vgg, HasThePublishedNumberOfParameters) {
  struct Size {
    const char* arch;
    Index with_norm;
    Index channels;
  };
  for (const Size& size : {Size{"vgg-11", 9231114, 2752}, Size{"vgg-13", 9416010, 2944}, Size{"vgg-16", 14728266, 4224},
                           Size{"vgg-19", 20040522, 5504}, Size{"vgg-a", 9756426, 2752}}) {
    EXPECT_EQ(network_of(size.arch, "batch")->parameters().size(), size.with_norm) << size.arch;
    EXPECT_EQ(network_of(size.arch, "none")->parameters().size(), size.with_norm - 2 * size.channels) << size.arch;
  }
}

TEST(Vgg, BlocksAreTheLayersOfThePaper) {
  for (const auto& [arch, count] :
       {std::pair{"vgg-11", 9}, {"vgg-13", 11}, {"vgg-16", 14}, {"vgg-19", 17}, {"vgg-a", 11}})
    for (const std::string norm : {"none", "batch", "l1", "group"}) {
      const auto network = network_of(arch, norm, 0.125);
      ASSERT_EQ(network->blocks().size(), static_cast<std::size_t>(count)) << arch;
      Index end = 0;
      for (const LayerBlock& block : network->blocks()) {
        EXPECT_EQ(block.begin, end) << "blocks follow each other, and are all of theta";
        end = block.end;
      }
      EXPECT_EQ(end, network->parameters().size());
    }
  EXPECT_EQ(network_of("vgg-16", "batch")->blocks()[12].name, "features.40");
  EXPECT_EQ(network_of("vgg-16", "none")->blocks()[12].name, "features.28");
  EXPECT_EQ(network_of("vgg-16", "none")->blocks()[13].name, "classifier.0");
}

TEST(DeepLinearNetwork, HasNoBiasAndNoNormBehindItsLastLayer) {
  ModelOptions options;
  options.arch = "deep-linear";
  options.loss = "sse";
  for (const auto& [norm, size] : {std::pair{"none", 2500}, {"batch", 2500 + 24 * 20}, {"l1", 2500 + 24 * 20}}) {
    options.norm = norm;
    EXPECT_EQ(make_network<double>(options, {1, 1, 10}, 10)->parameters().size(), size) << norm;
  }
}

TEST(Norms, BitsDoNotDependOnThreads) {
  for (const std::string arch : {"vgg-11", "mlp"})
    for (const std::string& norm : norm_names())
      for (const bool noise : {false, true}) {
        ModelOptions options;
        options.arch = arch;
        options.norm = norm;
        options.noise = noise;
        options.width = 0.125;
        options.hidden = {40, 24};
        Vector<float> first_grad, first_buffers;
        for (const int threads : {1, 2, 3}) {
          const WithThreads guard(threads);
          const auto network = make_network<float>(options, kImage, 10, Engine::winograd);
          const Vector<float> theta = network->initial_parameters(Init::xavier_normal, 4);
          Batch<float> batch;
          batch.images = rows_from_nchw(hash_values<float>(13 * kImage.size(), 5), 13, kImage);
          batch.labels = hash_labels(13, 6, 10);
          Vector<float> grad, buffers;
          network->evaluate(theta, network->initial_buffers(), batch, {Mode::train, 3, 8},
                            {.grad = &grad, .new_buffers = &buffers});
          EXPECT_TRUE(grad.allFinite());
          if (threads == 1) first_grad = grad, first_buffers = buffers;
          EXPECT_TRUE(same_bits(grad, first_grad)) << arch << norm << noise << threads;
          EXPECT_TRUE(same_bits(buffers, first_buffers)) << arch << norm << noise << threads;
        }
      }
}

// By hand: channel 0 holds 1, 2, -3, 4 in its four rows, channel 1 twice as much.
TEST(LpNorms, RunningValuesServeEvaluation) {
  struct Case {
    const char* norm;
    double scale;  // of channel 0
  };
  for (const auto& [norm, scale] : {Case{"l1", 2.5}, Case{"l2", std::sqrt(30 / 4.0)}, Case{"linf", 4}}) {
    ModelOptions options;
    options.arch = "mlp";
    options.hidden = {2};
    options.norm = norm;
    options.bias = false;
    options.activation = "linear";
    const auto network = make_network<double>(options, {1, 1, 1}, 2);
    Vector<double> theta = network->initial_parameters(Init::xavier_normal, 1);
    theta.head(2) << 1, 2;        // the hidden layer's weight
    theta.tail(4) << 1, 0, 0, 1;  // the last layer hands on
    Batch<double> batch;
    batch.images = (Matrix<double>(4, 1) << 1, 2, -3, 4).finished();
    batch.labels = {0, 0, 0, 0};
    Vector<double> buffers, unchanged;
    network->evaluate(theta, network->initial_buffers(), batch, {Mode::train}, {.new_buffers = &buffers});
    const Vector<double> expected =
        (Vector<double>(5) << 0.1 * 1, 0.1 * 2, 0.9 + 0.1 * scale, 0.9 + 0.2 * scale, 1).finished();
    EXPECT_LT((buffers - expected).cwiseAbs().maxCoeff(), 1e-15) << norm << buffers.transpose();
    EXPECT_NEAR(network->logits()(3, 0), (4 - 1) / (scale + 1e-5), 1e-14);
    network->evaluate(theta, buffers, batch, {Mode::evaluation}, {.new_buffers = &unchanged});
    EXPECT_NEAR(network->logits()(3, 1), (8 - 0.2) / (0.9 + 0.2 * scale + 1e-5), 1e-14) << norm;
    EXPECT_TRUE(same_bits(buffers, unchanged));
  }
}

TEST(GroupNorm, GroupsMustDivideEveryLayersChannels) {
  ModelOptions options;
  options.norm = "group";
  options.norm_groups = 7;
  expect_error<UsageError>(
      [&] { make_network<float>(options, kImage, 10); },
      {"network, features.1: group norm in 7", "64 channels", "take 1, 2, 4, 8, 16, 32, 64 groups"});
  options.norm_groups = 64;
  EXPECT_NO_THROW(make_network<float>(options, kImage, 10));
}

}  // namespace
}  // namespace gradscape::testing
