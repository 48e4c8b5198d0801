// The mean over a partition into batches, and the statistics averaged over it.
#include <gtest/gtest.h>

#include "gradscape/data/batches.hpp"
#include "gradscape/train/set_objective.hpp"
#include "support/bits.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

/// Images of 8×8 for convolutions wide enough that their weights are transformed in blocks.
SmallRun convolutions() {
  SmallRun run{hash_dataset({8, 8, 3}, 4, 50, 10), {}, {}, {}};
  run.model.arch = "layers";
  run.model.layers =
      "conv 16 3x3 pad 1\nnorm batch\nrelu\nconv 80 3x3 pad 1\nnorm batch\nrelu\nconv 80 3x3 pad 1\nrelu\n"
      "globalpool\nflatten\ndense 4\n";
  run.train.batch_size = 16;
  run.train.steps = 1;
  return run;
}

struct Setting {
  SmallRun run = convolutions();
  std::unique_ptr<TrainingProcess<float>> process = run.process<float>();
  SetObjective<float> set{process->dataset().train, process->standardisation(), spaced_positions(50, 40), 16};
  Vector<float> theta = process->initial_state().theta, buffers = process->initial_state().buffers;
  Pass train{Mode::train};

  Evaluation batch(Index first, Index last, Vector<float>* next = nullptr) {
    const auto positions = spaced_positions(50, 40);
    const auto images = plain_batch<float>(process->dataset().train, process->standardisation(),
                                           {positions.begin() + first, positions.begin() + last});
    return process->network().evaluate(theta, buffers, images, train, {.new_buffers = next});
  }
};

/// Fault 12: 40 images in batches of 16, the last of 8, which weighs half as much.
TEST(SetObjective, BatchesWeighByTheirSize) {
  Setting s;
  const Evaluation whole = s.set.evaluate(s.process->network(), s.theta, s.buffers, s.train);
  const double expected = 0.4 * s.batch(0, 16).loss + 0.4 * s.batch(16, 32).loss + 0.2 * s.batch(32, 40).loss;
  EXPECT_NEAR(whole.loss, expected, 1e-12);
  EXPECT_EQ(s.set.batches(), 3);
  EXPECT_EQ(s.set.smallest(), 8);
}

/// Against the momentum rule of the norm itself: one batch's own statistics are (new − (1 − m)·old)/m.
TEST(SetObjective, StatisticsAreTheBatchesOwnAveraged) {
  Setting s;
  const Vector<float> found = s.set.average_statistics(s.process->network(), s.theta, s.train);
  Vector<double> expected = Vector<double>::Zero(found.size());
  const double momentum = s.run.model.norm_momentum;
  for (const auto& [first, last] : {std::pair<Index, Index>{0, 16}, {16, 32}, {32, 40}}) {
    Vector<float> next;
    s.batch(first, last, &next);
    const Vector<double> own = (next.cast<double>() - (1 - momentum) * s.buffers.cast<double>()) / momentum;
    expected += own * static_cast<double>(last - first) / 40;
  }
  for (const Part& part : s.process->network().buffers().parts()) {
    if (part.integer) continue;
    for (Index i = part.offset; i < part.offset + part.size; ++i)
      EXPECT_NEAR(found[i], expected[i], 1e-5 * (1 + std::abs(expected[i]))) << part.name;
  }
}

/// What a layer keeps of one theta is not used for another, nor after its memory was given back.
TEST(SetObjective, WhatIsKeptOfThetaBelongsToIt) {
  Setting s;
  Vector<float> other = s.theta * 1.5f;
  const auto fresh = [&](const Vector<float>& theta) {
    Setting clean;
    return clean.set.evaluate(clean.process->network(), theta, clean.buffers, clean.train).loss;
  };
  const double here = fresh(s.theta), there = fresh(other);
  EXPECT_NE(here, there);
  Network<float>& network = s.process->network();
  EXPECT_EQ(s.set.evaluate(network, s.theta, s.buffers, s.train).loss, here);
  EXPECT_EQ(s.set.evaluate(network, other, s.buffers, s.train).loss, there);
  network.release();
  EXPECT_EQ(s.set.evaluate(network, s.theta, s.buffers, s.train).loss, here);
}

}  // namespace
}  // namespace gradscape::testing
