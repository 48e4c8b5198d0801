// Which steps are probed, what a record of one holds, and that probing leaves no trace in the training.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradscape/landscape/sweep.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

SweepOptions sweep_options(const std::string& direction = "gradient", const std::string& precision = "native") {
  SweepOptions options;
  options.multipliers = {0.25, 1.0, 4.0};
  options.direction = direction;
  options.precision = precision;
  return options;
}

TEST(CellsAtOnce, SmallLayersAreProbedSideBySide) {
  const double vgg_a = 3 * 306.6e6 * 128 / 19;                  // operations of a mean layer, batch 128
  const double mlp = 3 * 2.0 * (3072 * 10 + 2500) * 1000 / 51;  // 25 layers of 10 units, batch 1000
  EXPECT_EQ(cells_at_once(vgg_a, 4, 1), 1);
  EXPECT_EQ(cells_at_once(vgg_a, 4, 2), 1);
  EXPECT_EQ(cells_at_once(vgg_a, 4, 512), 4) << "nothing is large for so many threads";
  EXPECT_EQ(cells_at_once(mlp, 4, 1), 1);
  EXPECT_EQ(cells_at_once(mlp, 4, 2), 2);
  EXPECT_EQ(cells_at_once(mlp, 4, 64), 4);
  EXPECT_EQ(cells_at_once(mlp, 1, 64), 1);
}

/// A run with a prober at every step against the same run without.
template <class S>
void expect_probing_leaves_no_trace(const SmallRun& run, const SweepOptions& options) {
  SCOPED_TRACE(run.model.arch + " " + options.direction + " " + options.precision);
  const auto plain = run.process<S>();
  const auto alone = train_from(*plain, plain->initial_state());

  const auto probed = run.process<S>();
  StepProber<S> prober(options, *probed, 3);
  int records = 0;
  const auto with_probes = train_from<S>(*probed, probed->initial_state(), [&](const StepView<S>& view) {
    const SweepRecord record = prober.probe_step(view);
    EXPECT_EQ(record.cells.size(), options.multipliers.size());
    EXPECT_GT(record.cells.back().grad_diff, 0) << "a probe that goes nowhere proves nothing";
    ++records;
  });
  EXPECT_EQ(records, run.train.steps);
  EXPECT_TRUE(same_training(alone, with_probes));
  EXPECT_FALSE(same_bits(alone.before[0].buffers, alone.state.buffers)) << "batch norm's statistics are in the game";
}

TEST(StepProber, LeavesNoTraceInAnMlpRun) {
  for (const auto& direction : direction_names())
    for (const std::string precision : {"native", "double"}) {
      expect_probing_leaves_no_trace<float>(mlp_run(7), sweep_options(direction, precision));
      expect_probing_leaves_no_trace<double>(mlp_run(7), sweep_options(direction, precision));
    }
}

// What a stopped sweep needs to go on inside of a segment.
TEST(StepProber, AdoptsTheFloorOfAnEarlierRecord) {
  const SmallRun run = mlp_run(7);
  const SweepOptions options = sweep_options();
  const auto process = run.process<float>();
  StepProber<float> whole(options, *process, 3);
  std::vector<SweepRecord> records;
  train_from<float>(*process, process->initial_state(),
                    [&](const StepView<float>& view) { records.push_back(whole.probe_step(view)); });
  ASSERT_FALSE(same_bits(records[2].noise_floor, records[3].noise_floor)) << "segments have floors of their own";

  StepProber<float> later(options, *process, 3);
  later.adopt_floor(4, records[4].noise_floor);
  EXPECT_EQ(later.missing_floor(5), -1);
  EXPECT_EQ(later.missing_floor(2), 0) << "another segment's is not known";
  train_from<float>(*process, process->initial_state(), [&](const StepView<float>& view) {
    if (view.record.step < 5) return;
    const SweepRecord record = later.probe_step(view);
    EXPECT_TRUE(same_bits(record.noise_floor, records[static_cast<std::size_t>(record.step)].noise_floor));
  });
}

TEST(StepProber, LeavesNoTraceInAVggRun) {
  expect_probing_leaves_no_trace<float>(vgg_run(3), sweep_options());
  expect_probing_leaves_no_trace<float>(vgg_run(3), sweep_options("update", "double"));
}

TEST(Preview, ShowsTheNextStepAndChangesNothing) {
  const SmallRun run = mlp_run(6);
  const auto process = run.process<float>();
  const auto reference = train_from(*process, process->initial_state());
  auto state = reference.before[4];
  TraceRecord shown;
  Vector<float> next;
  process->preview(state, [&](const StepView<float>& view) {
    shown = view.record;
    next = view.theta_next;
  });
  EXPECT_TRUE(same_state(state, reference.before[4]));
  EXPECT_TRUE(same_record(shown, reference.trace[4]));
  EXPECT_TRUE(same_bits(next, reference.before[5].theta));
  EXPECT_TRUE(same_state(train_from(*process, state).state, reference.state));
}

TEST(Preview, OfTheStepAfterTheLastTakesTheNextBatch) {
  const SmallRun run = mlp_run(4);  // three steps to an epoch: step 4 is the second of the second epoch
  const auto process = run.process<double>();
  const auto end = train_from(*process, process->initial_state()).state;
  std::vector<std::int32_t> indices;
  std::int64_t step = -1;
  process->preview(end, [&](const StepView<double>& view) {
    indices = view.batch.indices;
    step = view.record.step;
  });
  EXPECT_EQ(step, 4);
  EXPECT_EQ(indices, process->batches().batch<double>(4).indices);
}

/// Runs a training and hands each step's view and record to `look`.
template <class S, class Look>
void probe_every_step(const SmallRun& run, const SweepOptions& options, Look&& look) {
  const auto process = run.process<S>();
  StepProber<S> prober(options, *process, 3);
  train_from<S>(*process, process->initial_state(),
                [&](const StepView<S>& view) { look(view, prober.probe_step(view)); });
}

/// Loss and gradient in double of a network built here, nowhere near the prober.
struct Reference {
  explicit Reference(const SmallRun& run)
      : network(make_network<double>(run.model, run.dataset.train.shape, run.dataset.train.classes)) {}

  template <class S>
  Evaluation evaluate(const StepView<S>& view, const Vector<double>& theta) {
    const Batch<double> batch{view.batch.images.template cast<double>(), view.batch.labels, view.batch.indices};
    return network->evaluate(theta, view.buffers.template cast<double>(), batch, view.pass, {.grad = &grad});
  }

  std::unique_ptr<Network<double>> network;
  Vector<double> grad;
};

// The definitions, spelled out with Eigen in double. Both sides evaluate at points that are equal to rounding.
TEST(StepProber, CellsFollowTheDefinitions) {
  const SmallRun run = mlp_run(5);
  Reference reference(run);
  const SweepOptions options = sweep_options();
  probe_every_step<double>(run, options, [&](const StepView<double>& view, const SweepRecord& record) {
    reference.evaluate(view, view.theta);
    const Vector<double> g = reference.grad;
    EXPECT_EQ(record.step, view.record.step);
    EXPECT_EQ(record.lr, view.record.lr);
    EXPECT_EQ(record.train_loss, view.record.loss);
    EXPECT_NEAR(record.train_grad_norm, g.norm(), 1e-12 * g.norm());
    for (std::size_t i = 0; i < options.multipliers.size(); ++i) {
      const double eta = options.multipliers[i] * view.record.lr;
      const Cell& cell = record.cells[i];
      const double loss = reference.evaluate(view, view.theta - eta * g).loss;
      const Vector<double>& there = reference.grad;
      const double scale = std::max(there.norm(), g.norm());
      EXPECT_NEAR(cell.loss, loss, 1e-11 * loss);
      EXPECT_NEAR(cell.grad_norm, there.norm(), 1e-11 * scale);
      EXPECT_NEAR(cell.grad_diff, (there - g).norm(), 1e-11 * scale);
      EXPECT_NEAR(cell.grad_cos, there.dot(g) / (there.norm() * g.norm()), 1e-11);
      EXPECT_NEAR(cell.distance, eta * g.norm(), 1e-12 * eta * g.norm());
      EXPECT_NEAR(cell.beta, (there - g).norm() / (eta * g.norm()), 1e-11 * scale / (eta * g.norm()));
      EXPECT_EQ(cell.status, CellStatus::ok);
    }
  });
}

// theta(1) is the next step's theta. In double, theta + (theta_next − theta) may miss it by a rounding: 1e-11 covers
// what that does to the loss.
TEST(StepProber, UpdateDirectionLeadsToTheNextWeights) {
  const SmallRun run = mlp_run(5);
  Reference reference(run);
  const SweepOptions options = sweep_options("update");
  probe_every_step<double>(run, options, [&](const StepView<double>& view, const SweepRecord& record) {
    const Cell& cell = record.cells[1];
    ASSERT_EQ(options.multipliers[1], 1.0);
    const double loss = reference.evaluate(view, view.theta_next).loss;
    EXPECT_NEAR(cell.loss, loss, 1e-11 * loss);
    EXPECT_NEAR(cell.grad_norm, reference.grad.norm(), 1e-11 * reference.grad.norm());
    EXPECT_NEAR(cell.grad_diff, (reference.grad - view.grad).norm(), 1e-11 * view.grad.norm());
    EXPECT_NEAR(cell.distance, (view.theta_next - view.theta).norm(), 1e-12 * view.record.update_norm);
    EXPECT_NEAR(record.cells[2].distance, 4 * view.record.update_norm, 1e-12 * view.record.update_norm);
  });
}

// Of a float run probed in double, the difference of two floats is exact in double unless they are 2²⁹ apart: theta(1)
// is theta_next to the bit, and so is the loss.
TEST(StepProber, UpdateDirectionOfAFloatRunInDouble) {
  const SmallRun run = mlp_run(5);
  Reference reference(run);
  probe_every_step<float>(run, sweep_options("update", "double"),
                          [&](const StepView<float>& view, const SweepRecord& record) {
                            const Vector<double> next = view.theta_next.cast<double>();
                            const Vector<double> update = next - view.theta.cast<double>();
                            ASSERT_TRUE(same_bits<double>(view.theta.cast<double>() + update, next));
                            EXPECT_EQ(record.cells[1].loss, reference.evaluate(view, next).loss);
                          });
}

bool same_cells(const SweepRecord& a, const SweepRecord& b) {
  return std::equal(a.cells.begin(), a.cells.end(), b.cells.begin(), b.cells.end(), [](const Cell& x, const Cell& y) {
    return same_bits(x.loss, y.loss) && same_bits(x.accuracy, y.accuracy) && same_bits(x.grad_norm, y.grad_norm) &&
           same_bits(x.grad_diff, y.grad_diff) && same_bits(x.grad_cos, y.grad_cos) &&
           same_bits(x.distance, y.distance) && same_bits(x.beta, y.beta) && x.status == y.status;
  });
}

TEST(ProbePrecision, DoubleOfADoubleRunIsTheNativeProbe) {
  const SmallRun run = mlp_run(4);
  std::vector<SweepRecord> native;
  probe_every_step<double>(run, sweep_options(), [&](const auto&, const SweepRecord& r) { native.push_back(r); });
  probe_every_step<double>(run, sweep_options("gradient", "double"),
                           [&](const StepView<double>& view, const SweepRecord& record) {
                             const auto& other = native[static_cast<std::size_t>(view.record.step)];
                             EXPECT_TRUE(same_cells(record, other));
                             EXPECT_EQ(record.train_loss, other.train_loss);
                             EXPECT_EQ(record.train_grad_norm, other.train_grad_norm);
                           });
}

// With linear activations no unit can flip between the precisions, so float's loss and gradient are off by rounding
// alone: some hundreds of operations deep, each half an eps of 1.2e-7, errors that mostly cancel. 1000 eps is a bound
// that a wrong term of any kind (a buffer, a mask, a batch) would break.
TEST(ProbePrecision, DoubleOfAFloatRunIsCloseAndMoreExact) {
  SmallRun run = mlp_run(5);
  run.model.activation = "linear";
  constexpr double kBound = 1000 * std::numeric_limits<float>::epsilon();
  Reference reference(run);
  std::vector<SweepRecord> native;
  probe_every_step<float>(run, sweep_options(), [&](const auto&, const SweepRecord& r) { native.push_back(r); });
  probe_every_step<float>(run, sweep_options("gradient", "double"),
                          [&](const StepView<float>& view, const SweepRecord& record) {
                            const auto& other = native[static_cast<std::size_t>(view.record.step)];
                            const Vector<double> theta = view.theta.cast<double>();
                            EXPECT_EQ(record.train_loss, reference.evaluate(view, theta).loss) << "double all through";
                            const Vector<double> g = reference.grad;
                            EXPECT_NE(record.train_loss, other.train_loss);
                            EXPECT_NEAR(record.train_loss, other.train_loss, kBound * other.train_loss);
                            EXPECT_NEAR(record.train_grad_norm, g.norm(), 1e-12 * g.norm());
                            for (std::size_t i = 0; i < record.cells.size(); ++i) {
                              const Cell& a = record.cells[i];
                              const Cell& b = other.cells[i];
                              const double scale = std::max(a.grad_norm, record.train_grad_norm);
                              EXPECT_NEAR(a.loss, b.loss, kBound * std::abs(a.loss));
                              EXPECT_NEAR(a.grad_norm, b.grad_norm, kBound * scale);
                              EXPECT_NEAR(a.grad_diff, b.grad_diff, kBound * scale);
                              EXPECT_NEAR(a.grad_cos, b.grad_cos, kBound);
                              EXPECT_NEAR(a.distance, b.distance, kBound * a.distance);
                              EXPECT_NEAR(a.beta, b.beta, kBound * scale / a.distance);
                              EXPECT_EQ(a.accuracy, b.accuracy);
                            }
                          });
}

// docs/format.md: output pixel (y, x) shows input pixel (y + crop_y, x + crop_x), or W − 1 − (x + crop_x) in a mirrored
// image; byte 0 outside. With what a record says, anyone can make the batch from the images.
TEST(SweepRecord, SaysWhichSamplesWereProbedAndHowTheyWereMoved) {
  const SmallRun run = vgg_run(4);
  const ImageSet& images = run.dataset.train;
  std::vector<std::int32_t> seen;
  std::vector<std::size_t> sizes;
  int moved = 0, mirrored = 0;
  SweepOptions options = sweep_options();
  options.multipliers = {1.0};
  probe_every_step<float>(run, options, [&](const StepView<float>& view, const SweepRecord& record) {
    sizes.push_back(record.batch_index.size());
    ASSERT_EQ(record.batch_index, view.batch.indices);
    ASSERT_EQ(record.augmentation.size(), record.batch_index.size());
    for (std::size_t n = 0; n < record.batch_index.size(); ++n) {
      const std::int32_t index = record.batch_index[n];
      const Augmentation move = record.augmentation[n];
      seen.push_back(index);
      moved += move.dy != 0 || move.dx != 0 ? 1 : 0;
      mirrored += move.flip ? 1 : 0;
      EXPECT_EQ(view.batch.labels[n], images.labels[static_cast<std::size_t>(index)]);
      const auto byte = [&](Index c, Index y, Index x) -> int {
        const Index from_y = y + move.dy;
        const Index from_x = move.flip ? 31 - (x + move.dx) : x + move.dx;
        if (from_y < 0 || from_y > 31 || from_x < 0 || from_x > 31) return 0;
        return images.bytes()[static_cast<std::size_t>(((index * 3 + c) * 32 + from_y) * 32 + from_x)];
      };
      int wrong = 0;
      for (Index y = 0; y < 32; ++y)
        for (Index x = 0; x < 32; ++x)
          for (Index c = 0; c < 3; ++c) {
            const double expected = (byte(c, y, x) / 255.0 - 0.5) / 0.5;  // data.standardise = "half"
            const auto row = static_cast<Index>(n) * 1024 + y * 32 + x;
            wrong += view.batch.images(row, c) == static_cast<float>(expected) ? 0 : 1;
          }
      EXPECT_EQ(wrong, 0) << "pixels of sample " << n;
    }
  });
  EXPECT_EQ(sizes, (std::vector<std::size_t>{8, 6, 8, 6})) << "14 images in batches of 8";
  for (std::ptrdiff_t epoch : {0, 1}) {
    std::vector<std::int32_t> order(seen.begin() + 14 * epoch, seen.begin() + 14 * (epoch + 1));
    std::sort(order.begin(), order.end());
    for (std::int32_t i = 0; i < 14; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_GT(moved, 0);
  EXPECT_GT(mirrored, 0);
  EXPECT_LT(mirrored, 28);
}

}  // namespace
}  // namespace gradscape::testing
