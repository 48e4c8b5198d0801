#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "gradscape/data/batches.hpp"
#include "support/threads.hpp"

namespace gradscape {
namespace {

/// Images of 4×5 pixels and 3 channels in which neighbouring bytes differ.
ImageSet make_images(Index count) {
  ImageSet images;
  images.shape = {4, 5, 3};
  images.classes = 7;
  for (Index n = 0; n < count; ++n) {
    images.labels.push_back(static_cast<std::int32_t>(n * n % 7));
    for (Index i = 0; i < images.shape.size(); ++i)
      images.bytes().push_back(static_cast<std::uint8_t>(37 * i + 11 * n + 1));
  }
  return images;
}

std::uint8_t pixel(const ImageSet& images, Index n, Index c, Index y, Index x) {
  const FeatureShape& shape = images.shape;
  return images.bytes()[static_cast<std::size_t>(((n * shape.channels + c) * shape.height + y) * shape.width + x)];
}

Standardisation none(const ImageSet& images) {
  return make_standardisation("none", images);
}

TEST(PlainBatch, PlacesChannelsInColumns) {
  // Two images of 1×2 pixels and 2 channels: planes {0, 255}, {51, 102} and {204, 153}, {255, 0}. By hand, (x/255 −
  // 0.5)/0.5.
  ImageSet images;
  images.shape = {1, 2, 2};
  images.classes = 2;
  images.bytes() = {0, 255, 51, 102, 204, 153, 255, 0};
  images.labels = {1, 0};
  const auto batch = plain_batch<double>(images, make_standardisation("half", images), 0, 2);
  Matrix<double> expected(4, 2);
  expected << -1, -0.6, 1, -0.2, 0.6, 1, 0.2, -1;
  ASSERT_EQ(batch.images.rows(), 4);
  ASSERT_EQ(batch.images.cols(), 2);
  EXPECT_LT((batch.images - expected).cwiseAbs().maxCoeff(), 1e-15);
  EXPECT_EQ(batch.labels, (std::vector<int>{1, 0}));
  EXPECT_EQ(batch.indices, (std::vector<std::int32_t>{0, 1}));
  EXPECT_EQ(batch.size(), 2);
}

// (x − mean)/deviation of numbers that are no bytes, by hand; NaN stays, and augmentation puts zeros outside.
TEST(PlainBatch, NumbersAreTakenAsTheyAre) {
  ImageSet images{{1, 2, 2}, 2, {}, {1, 0}};
  images.pixels = std::vector<double>{1, 3, 0.5, -0.5, 300, std::nan(""), 2.5, 1e-3};
  const auto plain = plain_batch<double>(images, none(images), 0, 2);
  EXPECT_EQ(plain.images(0, 0), 1);
  EXPECT_EQ(plain.images(1, 0), 3);
  EXPECT_EQ(plain.images(1, 1), -0.5);
  EXPECT_EQ(plain.images(2, 0), 300);
  EXPECT_TRUE(std::isnan(plain.images(3, 0)));
  EXPECT_EQ(plain.images(3, 1), 1e-3);
  const Standardisation by_hand{{1, -0.5}, {2, 0.25}};
  const auto batch = plain_batch<float>(images, by_hand, 0, 2);
  EXPECT_EQ(batch.images(1, 0), 1.0f);
  EXPECT_EQ(batch.images(0, 1), 4.0f);
  DataOptions options;
  options.augment_crop = 1;
  const BatchSource source(images, by_hand, options, 2, 1);
  for (std::int64_t step = 0; step < 20; ++step) {
    const auto moved = source.batch<double>(step);
    for (Index n = 0; n < 2; ++n) {
      const Augmentation move = source.augmentation(step, moved.indices[static_cast<std::size_t>(n)]);
      if (move.dy == 0) continue;  // the only row is shown
      EXPECT_EQ(moved.images(2 * n, 0), (0.0 - 1) / 2);
      EXPECT_EQ(moved.images(2 * n, 1), (0.0 + 0.5) / 0.25);
    }
  }
}

TEST(PlainBatch, TakesARange) {
  const ImageSet images = make_images(9);
  const auto batch = plain_batch<double>(images, none(images), 4, 7);
  EXPECT_EQ(batch.indices, (std::vector<std::int32_t>{4, 5, 6}));
  EXPECT_EQ(batch.labels, (std::vector<int>{16 % 7, 25 % 7, 36 % 7}));
  for (Index n = 0; n < 3; ++n)
    for (Index c = 0; c < 3; ++c)
      for (Index y = 0; y < 4; ++y)
        for (Index x = 0; x < 5; ++x)
          EXPECT_EQ(batch.images((n * 4 + y) * 5 + x, c), pixel(images, n + 4, c, y, x) / 255.0);
}

TEST(PlainBatch, EveryByteIsStandardisedInDoubleThenRounded) {
  ImageSet images;
  images.shape = {16, 16, 1};
  images.classes = 1;
  images.bytes().resize(256);
  std::iota(images.bytes().begin(), images.bytes().end(), std::uint8_t{0});
  images.labels = {0};
  const Standardisation odd{{0.4914}, {0.2470}};
  const auto wide = plain_batch<double>(images, odd, 0, 1);
  const auto narrow = plain_batch<float>(images, odd, 0, 1);
  for (int byte = 0; byte < 256; ++byte) {
    const double expected = (byte / 255.0 - 0.4914) / 0.2470;
    EXPECT_EQ(wide.images(byte, 0), expected);
    EXPECT_EQ(narrow.images(byte, 0), static_cast<float>(expected));
  }
}

TEST(PlainBatch, ChannelStandardisationGivesMeanZeroAndDeviationOne) {
  const ImageSet images = make_images(40);
  const auto batch = plain_batch<double>(images, make_standardisation("channel", images), 0, 40);
  for (Index c = 0; c < 3; ++c) {
    const double mean = batch.images.col(c).mean();
    const double square = (batch.images.col(c).array() - mean).square().mean();
    EXPECT_NEAR(mean, 0, 1e-13);
    EXPECT_NEAR(square, 1, 1e-13);
  }
}

TEST(BatchSource, EachEpochIsAPermutationWithAShortLastBatch) {
  const ImageSet images = make_images(23);
  const BatchSource source(images, none(images), {}, 5, 3);
  ASSERT_EQ(source.steps_per_epoch(), 5);
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    std::vector<std::int32_t> seen;
    for (std::int64_t step = 5 * epoch; step < 5 * epoch + 5; ++step) {
      const auto batch = source.batch<float>(step);
      EXPECT_EQ(batch.size(), step % 5 == 4 ? 3 : 5);
      EXPECT_EQ(batch.images.rows(), batch.size() * 20);
      ASSERT_EQ(batch.indices.size(), batch.labels.size());
      for (std::size_t i = 0; i < batch.indices.size(); ++i)
        EXPECT_EQ(batch.labels[i], batch.indices[i] * batch.indices[i] % 7);
      seen.insert(seen.end(), batch.indices.begin(), batch.indices.end());
    }
    std::sort(seen.begin(), seen.end());
    std::vector<std::int32_t> all(23);
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(seen, all);
  }
}

TEST(BatchSource, CountsSteps) {
  const ImageSet images = make_images(20);
  const auto steps = [&](Index size) { return BatchSource(images, none(images), {}, size, 1).steps_per_epoch(); };
  EXPECT_EQ(steps(1), 20);
  EXPECT_EQ(steps(10), 2);
  EXPECT_EQ(steps(19), 2);
  EXPECT_EQ(steps(20), 1);
  EXPECT_EQ(steps(64), 1);
  EXPECT_EQ(BatchSource(images, none(images), {}, 64, 1).batch<float>(3).size(), 20);
}

TEST(BatchSource, ABatchIsAFunctionOfItsStepOnly) {
  const ImageSet images = make_images(23);
  DataOptions options;
  options.augment_flip = true;
  options.augment_crop = 2;
  const Standardisation half = make_standardisation("half", images);
  const BatchSource forth(images, half, options, 5, 3);
  std::vector<Batch<float>> batches;
  for (std::int64_t step = 0; step < 15; ++step) batches.push_back(forth.batch<float>(step));

  const testing::WithThreads scope(3);
  const BatchSource back(images, half, options, 5, 3);
  for (const std::int64_t step : {14, 0, 9, 5, 4, 13, 1, 9}) {
    const auto batch = back.batch<float>(step);
    const auto& expected = batches[static_cast<std::size_t>(step)];
    EXPECT_EQ(batch.indices, expected.indices) << step;
    EXPECT_EQ(batch.labels, expected.labels) << step;
    EXPECT_EQ(batch.images, expected.images) << step;
  }
}

TEST(BatchSource, EpochsAndSeedsDiffer) {
  const ImageSet images = make_images(50);
  std::set<std::vector<std::int32_t>> orders;
  for (const std::uint64_t seed : {1, 2, 3})
    for (std::int64_t epoch = 0; epoch < 5; ++epoch)
      orders.insert(BatchSource(images, none(images), {}, 50, seed).batch<float>(epoch).indices);
  EXPECT_EQ(orders.size(), 15u);
}

// In 5000 epochs of 10 images each image comes first 500 times, give or take: Pearson's chi squared with 9 degrees of
// freedom stays below 27.9 with probability 0.999.
TEST(BatchSource, EveryImageComesFirstEquallyOften) {
  const ImageSet images = make_images(10);
  const BatchSource source(images, none(images), {}, 1, 12);
  std::vector<int> first(10);
  for (std::int64_t epoch = 0; epoch < 5000; ++epoch)
    ++first.at(static_cast<std::size_t>(source.batch<float>(10 * epoch).indices[0]));
  double chi_squared = 0;
  for (const int count : first) chi_squared += (count - 500.0) * (count - 500.0) / 500.0;
  EXPECT_LT(chi_squared, 27.9);
}

/// What the batch must show, the long way: mirror, pad with zeros on all sides, cut out.
std::vector<std::uint8_t> mirrored_and_cropped(const ImageSet& images, Index n, Index channel, const Augmentation& move,
                                               Index padding) {
  const Index height = images.shape.height;
  const Index width = images.shape.width;
  const Index stride = width + 2 * padding;
  std::vector<std::uint8_t> padded(static_cast<std::size_t>((height + 2 * padding) * stride), 0);
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x)
      padded[static_cast<std::size_t>((y + padding) * stride + x + padding)] =
          pixel(images, n, channel, y, move.flip ? width - 1 - x : x);
  std::vector<std::uint8_t> out;
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x)
      out.push_back(padded[static_cast<std::size_t>((y + padding + move.dy) * stride + x + padding + move.dx)]);
  return out;
}

TEST(Augmentation, FlipAndCropEqualTheNaiveWay) {
  const ImageSet images = make_images(30);
  const Standardisation half = make_standardisation("half", images);
  for (const bool flip : {false, true})
    for (const Index crop : {0, 1, 3, 6}) {  // 6: more than an image's height and width
      DataOptions options;
      options.augment_flip = flip;
      options.augment_crop = crop;
      const BatchSource source(images, half, options, 8, 5);
      for (const std::int64_t step : {0, 3, 6}) {
        const auto batch = source.batch<double>(step);
        for (Index n = 0; n < batch.size(); ++n) {
          const std::int32_t index = batch.indices[static_cast<std::size_t>(n)];
          const Augmentation move = source.augmentation(step / 4, index);
          for (Index c = 0; c < 3; ++c) {
            const auto expected = mirrored_and_cropped(images, index, c, move, crop);
            for (Index i = 0; i < 20; ++i)
              ASSERT_EQ(batch.images(n * 20 + i, c), (expected[static_cast<std::size_t>(i)] / 255.0 - 0.5) / 0.5);
          }
        }
      }
    }
}

TEST(Augmentation, OffMeansUntouched) {
  const ImageSet images = make_images(30);
  const BatchSource source(images, none(images), {}, 8, 5);
  for (std::int32_t index = 0; index < 30; ++index) {
    const Augmentation move = source.augmentation(2, index);
    EXPECT_EQ(move.dy, 0);
    EXPECT_EQ(move.dx, 0);
    EXPECT_FALSE(move.flip);
  }
}

// 3000 draws: a share of 1/2 has standard deviation 27, one of 1/5 has 22; five of them are allowed.
TEST(Augmentation, UsesEveryOffsetAndHalfOfTheFlips) {
  const ImageSet images = make_images(300);
  DataOptions options;
  options.augment_flip = true;
  options.augment_crop = 2;
  const BatchSource source(images, none(images), options, 8, 5);
  std::vector<int> dy(5);
  std::vector<int> dx(5);
  std::set<std::pair<int, int>> places;
  int flips = 0;
  for (std::int64_t epoch = 0; epoch < 10; ++epoch)
    for (std::int32_t index = 0; index < 300; ++index) {
      const Augmentation move = source.augmentation(epoch, index);
      ++dy.at(static_cast<std::size_t>(move.dy + 2));
      ++dx.at(static_cast<std::size_t>(move.dx + 2));
      places.insert({move.dy, move.dx});
      flips += move.flip;
    }
  EXPECT_NEAR(flips, 1500, 135);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(dy[i], 600, 110);
    EXPECT_NEAR(dx[i], 600, 110);
  }
  EXPECT_EQ(places.size(), 25u);
}

TEST(Augmentation, IsAddressedByEpochAndSampleNotByPlaceInTheBatch) {
  const ImageSet images = make_images(30);
  DataOptions options;
  options.augment_crop = 4;
  const BatchSource small(images, none(images), options, 4, 5);
  const BatchSource large(images, none(images), options, 16, 5);
  int moved = 0;
  for (std::int32_t index = 0; index < 30; ++index) {
    const Augmentation first = small.augmentation(1, index);
    const Augmentation same = large.augmentation(1, index);
    EXPECT_EQ(first.dy, same.dy);
    EXPECT_EQ(first.dx, same.dx);
    const Augmentation next = small.augmentation(2, index);
    moved += first.dy != next.dy || first.dx != next.dx;
  }
  EXPECT_GT(moved, 20);  // of 30, all but one in 81
}

}  // namespace
}  // namespace gradscape
