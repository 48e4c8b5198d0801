// What an evaluation is worth: its errors against double, and at which steps a sweep measures them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradscape/landscape/noise_floor.hpp"
#include "gradscape/landscape/sweep.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

constexpr double kFloatEpsilon = std::numeric_limits<float>::epsilon();

SweepOptions every(std::int64_t steps, std::int64_t first = 0) {
  SweepOptions options;
  options.every = steps;
  options.first = first;
  options.multipliers = {0.5, 2.0};
  return options;
}

TEST(FloorStep, IsTheFirstOfTheSegmentWhateverIsProbed) {
  for (const auto& [step, expected] : {std::pair{0, 0}, {1, 0}, {3, 0}, {4, 4}, {7, 4}, {10, 8}})
    EXPECT_EQ(floor_step(4, step), expected);
  EXPECT_EQ(floor_step(9007199254740991, 4'000'000'000), 0);
  EXPECT_EQ(floor_step(1, 17), 17);
}

/// The quotient spelled out with Eigen.
template <class A, class B>
double relative(const A& found, const B& reference) {
  return (found - reference).norm() / reference.norm();
}

template <class S>
class NoiseFloorOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(NoiseFloorOf, Scalars);

// Against a network built here. The sums differ in order only.
TYPED_TEST(NoiseFloorOf, ErrorsAreThoseAgainstDoubleWithTheDirectEngine) {
  using S = TypeParam;
  for (SmallRun run : {mlp_run(3), vgg_run(2)})
    for (const std::string engine : {"direct", "winograd"}) {
      SCOPED_TRACE(run.model.arch + " " + engine);
      run.train.engine = engine;
      const auto process = run.process<S>();
      const auto network = make_network<double>(run.model, run.dataset.train.shape, run.dataset.train.classes);
      train_from<S>(*process, process->initial_state(), [&](const StepView<S>& view) {
        const Matrix<double> logits = process->network().logits().template cast<double>();
        const Batch<double> batch{view.batch.images.template cast<double>(), view.batch.labels, view.batch.indices};
        Vector<double> exact;
        const Vector<double> theta = view.theta.template cast<double>();
        const double loss =
            network->evaluate(theta, view.buffers.template cast<double>(), batch, view.pass, {.grad = &exact}).loss;
        const Vector<double> grad = view.grad.template cast<double>();

        const RelativeErrors errors = compare_with_double(*process, view);
        EXPECT_NEAR(errors.loss, std::abs(view.record.loss - loss) / loss, 1e-15);
        EXPECT_NEAR(errors.logits, relative(logits, network->logits()), 1e-12 * errors.logits);
        EXPECT_NEAR(errors.gradient, relative(grad, exact), 1e-12 * errors.gradient);
        const auto& parts = process->network().parameters().parts();
        ASSERT_EQ(errors.tensors.size(), parts.size());
        for (std::size_t i = 0; i < parts.size(); ++i) {
          const double expected =
              relative(grad.segment(parts[i].offset, parts[i].size), exact.segment(parts[i].offset, parts[i].size));
          EXPECT_NEAR(errors.tensors[i], expected, 1e-12 * expected) << parts[i].name;
        }
        if (std::is_same_v<S, double> && engine == "direct") {
          EXPECT_EQ(errors.gradient, 0) << "the reference itself";
          EXPECT_EQ(errors.logits, 0);
          EXPECT_EQ(errors.loss, 0);
        }
        if (std::is_same_v<S, float>) {
          EXPECT_GT(errors.gradient, 0);
          EXPECT_LT(errors.logits, 1e4 * kFloatEpsilon);
        }
      });
    }
}

TEST(CompareWithDouble, SeesAWrongTensor) {
  const SmallRun run = mlp_run(1);
  const auto process = run.process<double>();
  process->preview(process->initial_state(), [&](const StepView<double>& view) {
    const Part part = process->network().parameters().parts()[0];
    Vector<double> grad = view.grad;
    grad.segment(part.offset, part.size) *= 1.25;
    const RelativeErrors errors = compare_with_double<double>(
        *process, {view.record, view.pass, view.batch, view.theta, view.buffers, grad, view.theta_next});
    EXPECT_NEAR(errors.tensors[0], 0.25, 1e-12);
    for (std::size_t i = 1; i < errors.tensors.size(); ++i) EXPECT_EQ(errors.tensors[i], 0);
    EXPECT_NEAR(errors.gradient, relative(grad, view.grad), 1e-12);
    EXPECT_EQ(errors.loss, 0);
  });
}

TEST(CompareWithDouble, IsNanWhereTheGradientIsNotFinite) {
  const SmallRun run = mlp_run(1);
  const auto process = run.process<float>();
  auto state = process->initial_state();
  state.theta.setConstant(1e30f);  // float overflows, double does not
  StepProber<float> prober(every(1), *process, 3);
  process->preview(state, [&](const StepView<float>& view) {
    EXPECT_FALSE(std::isfinite(view.record.grad_norm));
    EXPECT_TRUE(std::isnan(compare_with_double(*process, view).gradient));
  });
  process->preview(state, [&](const StepView<float>& view) {
    const SweepRecord record = prober.probe_step(view);
    EXPECT_TRUE(std::isnan(record.noise_floor));
    for (const Cell& cell : record.cells) EXPECT_EQ(cell.status, CellStatus::non_finite);
  });
}

/// The records of a run from `state` on, the floor that is missing at its first probed step shown before.
std::vector<SweepRecord> records_from(const SmallRun& run, const SweepOptions& options, TrainingState<float> state,
                                      const std::vector<TrainingState<float>>& states) {
  const auto process = run.process<float>();
  StepProber<float> prober(options, *process, 3);
  std::int64_t first = state.step;
  while (!is_selected(options, first, process->total_steps())) ++first;
  if (const std::int64_t missing = prober.missing_floor(first); missing >= 0 && missing < state.step) {
    EXPECT_THROW(process->preview(states[static_cast<std::size_t>(first)],
                                  [&](const StepView<float>& view) { prober.probe_step(view); }),
                 std::logic_error)
        << "a floor that is not known is not made up";
    process->preview(states[static_cast<std::size_t>(missing)],
                     [&](const StepView<float>& view) { prober.measure_floor(view); });
  }
  std::vector<SweepRecord> records;
  const auto observe = [&](const StepView<float>& view) {
    std::int64_t next = view.record.step;
    while (!is_selected(options, next, process->total_steps()) && next < process->total_steps()) ++next;
    if (next == view.record.step)
      records.push_back(prober.probe_step(view));
    else if (prober.missing_floor(next) == view.record.step)
      prober.measure_floor(view);
  };
  state = train_from<float>(*process, std::move(state), observe).state;
  if (is_selected(options, state.step, process->total_steps())) process->preview(state, observe);
  return records;
}

// Wherever work begins: records are functions of the step.
TEST(StepProber, MeasuresTheFloorOncePerSegmentWhereverWorkBegins) {
  const SmallRun run = vgg_run(8);
  const auto process = run.process<float>();
  const auto training = train_from(*process, process->initial_state());
  auto states = training.before;  // before each step, the one after the last update included
  states.push_back(training.state);
  std::vector<double> own;  // each step's own error
  for (const auto& state : states)
    process->preview(state,
                     [&](const StepView<float>& view) { own.push_back(compare_with_double(*process, view).gradient); });
  for (const SweepOptions& options : {every(1), every(2), every(2, 1)}) {
    const auto whole = records_from(run, options, states[0], states);
    ASSERT_EQ(whole.back().step, options.first == 1 ? 7 : 8);
    for (const SweepRecord& record : whole)
      EXPECT_EQ(record.noise_floor, own[static_cast<std::size_t>(floor_step(3, record.step))]) << record.step;
    for (std::size_t begin = 1; begin < 8; ++begin) {
      const auto part = records_from(run, options, states[begin], states);
      ASSERT_FALSE(part.empty());
      for (std::size_t i = 0; i < part.size(); ++i) {
        const SweepRecord& other = whole[whole.size() - part.size() + i];
        EXPECT_EQ(part[i].step, other.step);
        EXPECT_EQ(part[i].noise_floor, other.noise_floor) << "from " << begin << " at " << other.step;
      }
    }
  }
  EXPECT_NE(own[0], own[3]) << "floors that tell segments apart";
}

TEST(StepProber, ProbesInDoubleWithTheDirectEngineHaveNoFloor) {
  const auto floors = [](SmallRun run, auto scalar, const std::string& precision, const std::string& engine) {
    using S = decltype(scalar);
    run.train.engine = engine;
    SweepOptions options = every(1);
    options.precision = precision;
    const auto process = run.process<S>();
    StepProber<S> prober(options, *process, 3);
    std::vector<double> list;
    train_from<S>(*process, process->initial_state(), [&](const StepView<S>& view) {
      EXPECT_EQ(prober.missing_floor(view.record.step), -1);
      list.push_back(prober.probe_step(view).noise_floor);
    });
    return list;
  };
  const std::vector<double> none(2, 0.0);
  EXPECT_EQ(floors(vgg_run(2), 0.0, "native", "direct"), none);
  EXPECT_EQ(floors(vgg_run(2), 0.0, "double", "direct"), none);
  EXPECT_EQ(floors(vgg_run(2), 0.0, "native", "auto"), none) << "double's own engine";
  EXPECT_EQ(floors(vgg_run(2), 0.0f, "double", "winograd"), none) << "the probe is double's own";
  for (const std::string engine : {"direct", "winograd"})
    for (const double floor : floors(vgg_run(2), 0.0f, "native", engine)) EXPECT_GT(floor, kFloatEpsilon / 16);
}

// So small a step changes the gradient by less than float can tell; double can.
TEST(StepProber, MarksDifferencesThatAreRounding) {
  const SmallRun run = mlp_run(3);
  SweepOptions options = every(1);
  options.multipliers = {1e-9, 1.0};
  for (const std::string precision : {"native", "double"}) {
    options.precision = precision;
    const auto process = run.process<float>();
    StepProber<float> prober(options, *process, 3);
    train_from<float>(*process, process->initial_state(), [&](const StepView<float>& view) {
      const SweepRecord record = prober.probe_step(view);
      EXPECT_EQ(record.cells[0].status, precision == "native" ? CellStatus::below_noise : CellStatus::ok);
      EXPECT_EQ(record.cells[1].status, CellStatus::ok);
      const Bands bands = make_bands(record.cells, options.multipliers, record.train_grad_norm);
      EXPECT_EQ(bands.grad_diff_min, record.cells[precision == "native" ? 1 : 0].grad_diff);
    });
  }
}

}  // namespace
}  // namespace gradscape::testing
