#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "gradscape/data/synthetic.hpp"
#include "support/threads.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kImage = 3072;

std::string image(const ImageSet& set, std::size_t n) {
  return {reinterpret_cast<const char*>(set.bytes().data()) + n * kImage, kImage};
}

TEST(Synthetic, HasTheShapeOfCifar) {
  const Dataset data = make_synthetic(1, 20, 10);
  EXPECT_EQ(data.name, "synthetic");
  for (const ImageSet* set : {&data.train, &data.test}) {
    EXPECT_EQ(set->shape, (FeatureShape{32, 32, 3}));
    EXPECT_EQ(set->classes, 10);
    EXPECT_EQ(set->bytes().size(), set->labels.size() * kImage);
  }
  EXPECT_EQ(data.train.size(), 20);
  EXPECT_EQ(data.test.size(), 10);
  EXPECT_EQ(make_synthetic(1, 10, 0).test.size(), 0);
}

TEST(Synthetic, IsTheSameForAnyNumberOfThreads) {
  testing::compare_thread_counts([] { return make_synthetic(4, 50, 20); },
                                 [](int threads, const Dataset& one, const Dataset& other) {
                                   EXPECT_EQ(one.train.pixels, other.train.pixels) << threads;
                                   EXPECT_EQ(one.train.labels, other.train.labels) << threads;
                                   EXPECT_EQ(one.test.pixels, other.test.pixels) << threads;
                                   EXPECT_EQ(one.test.labels, other.test.labels) << threads;
                                 });
}

TEST(Synthetic, TheFirstImagesDoNotDependOnHowManyThereAre) {
  Dataset many = make_synthetic(4, 64, 37);
  const Dataset few = make_synthetic(4, 23, 11);
  many.train.truncate(23);
  many.test.truncate(11);
  EXPECT_EQ(many.train.pixels, few.train.pixels);
  EXPECT_EQ(many.train.labels, few.train.labels);
  EXPECT_EQ(many.test.pixels, few.test.pixels);
  EXPECT_EQ(many.test.labels, few.test.labels);
}

TEST(Synthetic, LabelsAreBalancedAndNotInOrder) {
  const Dataset data = make_synthetic(2, 300, 100);
  for (const ImageSet* set : {&data.train, &data.test}) {
    std::vector<int> count(10);
    for (const std::int32_t label : set->labels) ++count.at(static_cast<std::size_t>(label));
    EXPECT_EQ(count, std::vector<int>(10, static_cast<int>(set->size()) / 10));
    std::set<std::vector<std::uint8_t>> blocks;
    for (auto at = set->labels.begin(); at != set->labels.end(); at += 10) blocks.insert({at, at + 10});
    EXPECT_EQ(static_cast<Index>(blocks.size()), set->size() / 10);
  }
}

TEST(Synthetic, NoTwoImagesAreTheSame) {
  std::set<std::string> images;
  for (const std::uint64_t seed : {1, 2}) {
    const Dataset data = make_synthetic(seed, 200, 100);
    for (std::size_t n = 0; n < 200; ++n) images.insert(image(data.train, n));
    for (std::size_t n = 0; n < 100; ++n) images.insert(image(data.test, n));
  }
  EXPECT_EQ(images.size(), 600u);
}

TEST(Synthetic, UsesTheByteRangeWithoutClippingMuch) {
  const ImageSet set = make_synthetic(1, 200, 0).train;
  double sum = 0;
  double squares = 0;
  double clipped = 0;
  for (const std::uint8_t byte : set.bytes()) {
    sum += byte;
    squares += byte * byte;
    clipped += byte == 0 || byte == 255;
  }
  const auto count = static_cast<double>(set.bytes().size());
  const double deviation = std::sqrt(squares / count - sum / count * sum / count);
  EXPECT_GT(deviation, 40);  // CIFAR-10 has 64
  EXPECT_LT(deviation, 80);
  EXPECT_LT(clipped / count, 0.1);
}

// A stand-in for photographs: the mean image of each class must not give the labels away (1 in 10 is chance, and 45 %
// would be too easy), and yet the classes must differ. 500 test images: chance has a standard deviation of 1.3 %.
TEST(Synthetic, NearestClassMeanDoesPoorlyButBetterThanChance) {
  for (const std::uint64_t seed : {1, 2}) {
    const Dataset data = make_synthetic(seed, 1500, 500);
    std::vector<std::vector<double>> mean(10, std::vector<double>(kImage));
    for (std::size_t n = 0; n < 1500; ++n)
      for (std::size_t i = 0; i < kImage; ++i)
        mean[static_cast<std::size_t>(data.train.labels[n])][i] += data.train.bytes()[n * kImage + i] / 150.0;
    int correct = 0;
    for (std::size_t n = 0; n < 500; ++n) {
      std::size_t nearest = 0;
      double shortest = std::numeric_limits<double>::infinity();
      for (std::size_t k = 0; k < 10; ++k) {
        double distance = 0;
        for (std::size_t i = 0; i < kImage; ++i) {
          const double difference = data.test.bytes()[n * kImage + i] - mean[k][i];
          distance += difference * difference;
        }
        if (distance < shortest) {
          shortest = distance;
          nearest = k;
        }
      }
      correct += static_cast<std::int32_t>(nearest) == data.test.labels[n];
    }
    EXPECT_LT(correct / 500.0, 0.45) << "seed " << seed;
    EXPECT_GT(correct / 500.0, 0.15) << "seed " << seed;
  }
}

}  // namespace
}  // namespace gradscape
