#include <gtest/gtest.h>

#include "gradscape/core/error.hpp"
#include "gradscape/study/checkpoint_spacing.hpp"

namespace gradscape {
namespace {

constexpr std::int64_t kMegabyte = 1000 * 1000;

std::int64_t spacing(std::int64_t segments, double gigabytes, std::int64_t total, std::int64_t bytes) {
  TrainOptions options;
  options.checkpoint_segments = segments;
  options.checkpoint_gb = gigabytes;
  return checkpoint_spacing(options, total, bytes);
}

TEST(CheckpointSpacing, CutsTheRunIntoAsManySegmentsAsAreWanted) {
  EXPECT_EQ(spacing(16, 4, 1600, kMegabyte), 100);
  EXPECT_EQ(spacing(16, 4, 1000, kMegabyte), 63);  // 15 segments of 63 and one of 55
  EXPECT_EQ(spacing(1, 4, 1000, kMegabyte), 1000);
}

TEST(CheckpointSpacing, TheDiskLimitsThem) {
  // 5 MB hold five checkpoints: four segments, the first checkpoint being at step 0.
  EXPECT_EQ(spacing(16, 0.005, 1000, kMegabyte), 250);
  EXPECT_EQ(spacing(16, 0.002, 1000, kMegabyte), 1000);
  for (std::int64_t total = 1; total < 60; ++total)
    for (std::int64_t room = 2; room < 20; ++room) {
      const std::int64_t every = spacing(7, 1e-3 * static_cast<double>(room), total, kMegabyte);
      const std::int64_t checkpoints = 1 + (total + every - 1) / every;
      EXPECT_LE(checkpoints, room) << total;
      EXPECT_LE(checkpoints, 8) << total;
    }
}

TEST(CheckpointSpacing, AStepIsTheLeast) {
  EXPECT_EQ(spacing(16, 4, 3, kMegabyte), 1);
  EXPECT_EQ(spacing(16, 4, 0, kMegabyte), 1);
}

TEST(CheckpointSpacing, RefusesADiskThatHoldsNoTwo) {
  EXPECT_THROW(spacing(16, 0.0019, 1000, kMegabyte), UsageError);
}

}  // namespace
}  // namespace gradscape
