// The analyses of training steps against closed forms of small networks.
#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <cmath>
#include <limits>

#include "gradscape/core/vector_math.hpp"
#include "gradscape/data/linear.hpp"
#include "gradscape/landscape/distributions.hpp"
#include "gradscape/landscape/shift.hpp"
#include "gradscape/landscape/sweep.hpp"
#include "gradscape/landscape/theorem.hpp"
#include "support/errors.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

using Square = Matrix<double>;

/// A deep linear network on its own data.
SmallRun linear_run(std::int64_t depth, std::int64_t steps, const std::string& norm = "none") {
  SmallRun run{make_linear(5, 6, 0.57, 40, 0), {}, {}, {}};
  run.data.source = "linear";
  run.model.arch = "deep-linear";
  run.model.depth = depth;
  run.model.loss = "sse";
  run.model.norm = norm;
  run.train.lr = 1e-4;
  run.train.batch_size = 40;
  run.train.steps = steps;
  run.train.precision = "double";
  run.train.seed = 3;
  return run;
}

/// The gradient of Σ ‖W_d…W_1 x − t‖² for layer `k` (from 0), by the chain of matrices: 2·(W_d…W_{k+1})ᵀ·R·(W_{k−1}…W_1
/// X)ᵀ.
Square chain_gradient(const std::vector<Square>& weights, const Batch<double>& batch, std::size_t k) {
  const Square x = batch.images.transpose(), t = batch.targets.transpose();
  Square before = x, after = Square::Identity(x.rows(), x.rows());
  for (std::size_t i = 0; i < k; ++i) before = weights[i] * before;
  for (std::size_t i = k + 1; i < weights.size(); ++i) after = weights[i] * after;
  const Square residual = after * weights[k] * before - t;
  return 2 * after.transpose() * residual * before.transpose();
}

std::vector<Square> weights_of(const Vector<double>& theta, std::size_t depth) {
  const auto size =
      static_cast<Index>(std::lround(std::sqrt(static_cast<double>(theta.size()) / static_cast<double>(depth))));
  std::vector<Square> weights;
  for (std::size_t i = 0; i < depth; ++i)
    weights.push_back(Eigen::Map<const Square>(theta.data() + static_cast<Index>(i) * size * size, size, size));
  return weights;
}

double relative(double found, double expected) {
  return std::abs(found - expected) / std::abs(expected);
}

TEST(DeepLinear, LossAndGradientAreThoseOfTheProduct) {
  for (const std::size_t depth : {1, 2, 5}) {
    const SmallRun run = linear_run(static_cast<std::int64_t>(depth), 1);
    const auto process = run.process<double>();
    auto state = process->initial_state();
    process->advance(state, [&](const StepView<double>& view) {
      const auto weights = weights_of(view.theta, depth);
      Square x = view.batch.images.transpose();
      for (const Square& weight : weights) x = weight * x;
      const double loss = (x - view.batch.targets.transpose()).squaredNorm();
      EXPECT_LT(relative(view.record.loss, loss), 1e-13);
      EXPECT_TRUE(std::isnan(view.record.accuracy)) << "regression has none";
      for (std::size_t k = 0; k < depth; ++k) {
        const Square expected = chain_gradient(weights, view.batch, k);
        const auto found = weights_of(view.grad, depth)[k];
        EXPECT_LT((found - expected).norm() / expected.norm(), 1e-12) << k;
      }
    });
  }
}

// Read off the paper's figure: the loss starts between 3.5e4 and 4.0e4. One network of 25 layers may start far from the
// median, which is of 41 seeds here.
TEST(DeepLinear, StartsWhereThePapersFigureDoes) {
  std::vector<double> losses;
  for (std::int64_t seed = 1; seed <= 41; ++seed) {
    SmallRun run = linear_run(25, 1);
    run.dataset = make_linear(static_cast<std::uint64_t>(seed), 10, DataOptions().linear_deviation, 1000, 0);
    run.train.batch_size = 1000;
    run.train.seed = seed;
    const auto process = run.process<double>();
    auto state = process->initial_state();
    process->advance(state, [&](const StepView<double>& view) { losses.push_back(view.record.loss); });
  }
  std::nth_element(losses.begin(), losses.begin() + 20, losses.end());
  EXPECT_GT(losses[20], 3.2e4);
  EXPECT_LT(losses[20], 4.3e4);
}

TEST(LinearData, TargetsAreOneLinearMapOfStandardNormalFeatures) {
  const Dataset data = make_linear(9, 10, 0.57, 4000, 50);
  const auto matrix = [](const std::vector<double>& values) {
    return Eigen::Map<const Square>(values.data(), static_cast<Index>(values.size()) / 10, 10);
  };
  const auto features = [](const ImageSet& set) -> const std::vector<double>& {
    return std::get<std::vector<double>>(set.pixels);
  };
  const auto x = matrix(features(data.train)), y = matrix(data.train.targets);
  EXPECT_NEAR(x.mean(), 0, 5 / std::sqrt(40000.0));
  EXPECT_NEAR(x.array().square().mean(), 1, 5 * std::sqrt(2 / 40000.0));
  const Square map = (x.transpose() * x).ldlt().solve(x.transpose() * y);  // least squares finds A exactly
  EXPECT_LT((x * map - y).norm() / y.norm(), 1e-12);
  EXPECT_LT((matrix(features(data.test)) * map - matrix(data.test.targets)).norm(), 1e-10) << "the same map";
  EXPECT_NEAR(std::sqrt(map.array().square().mean()), 0.57, 5 * 0.57 / std::sqrt(200.0));
  const Dataset fewer = make_linear(9, 10, 0.57, 30, 0);
  EXPECT_TRUE(std::equal(features(fewer.train).begin(), features(fewer.train).end(), features(data.train).begin()));
  EXPECT_NE(fewer.train.fingerprint(), make_linear(8, 10, 0.57, 30, 0).train.fingerprint());
}

/// What an analysis finds at every step of a run.
template <class S, class Analysis, class... Arguments>
Table analyse_run(const SmallRun& run, const StepObserver<S>& also, Arguments&&... arguments) {
  const auto process = run.process<S>();
  Analysis analysis(*process, std::forward<Arguments>(arguments)...);
  Table table = analysis.begin();
  train_from<S>(*process, process->initial_state(), [&](const StepView<S>& view) {
    analysis.add(view, table);
    if (also) also(view);
  });
  return table;
}

TEST(Shift, IsDefinition21) {
  constexpr std::size_t kDepth = 4;
  std::vector<double> norms, cosines;
  const Table table = analyse_run<double, ShiftAnalysis<double>>(
      linear_run(kDepth, 3),
      [&](const StepView<double>& view) {
        auto weights = weights_of(view.theta, kDepth);
        const auto next = weights_of(view.theta_next, kDepth);
        const auto now = weights;
        for (std::size_t k = 0; k < kDepth; ++k) {
          const Square before = chain_gradient(now, view.batch, k), after = chain_gradient(weights, view.batch, k);
          norms.push_back((before - after).norm());
          cosines.push_back(before.cwiseProduct(after).sum() / before.norm() / after.norm());
          weights[k] = next[k];
        }
      },
      std::vector<std::string>{});
  ASSERT_EQ(table.variable("shift_norm").values.size(), 3 * kDepth);
  EXPECT_EQ(table.dimension("layer").labels,
            (std::vector<std::string>{"layers.0", "layers.1", "layers.2", "layers.3"}));
  for (std::size_t i = 0; i < norms.size(); ++i) {
    const double found = table.variable("shift_norm").values[i];
    if (i % kDepth == 0)
      EXPECT_EQ(found, 0) << "nothing lies before the first layer";
    else
      EXPECT_LT(relative(found, norms[i]), 1e-7) << i;  // a small difference of large gradients
    EXPECT_NEAR(table.variable("shift_cos").values[i], cosines[i], 1e-12);
  }
}

TEST(Shift, OfChosenLayersIsThatOfAll) {
  const SmallRun run = vgg_run(2);
  const Table all = analyse_run<float, ShiftAnalysis<float>>(run, {}, std::vector<std::string>{});
  const Table some =
      analyse_run<float, ShiftAnalysis<float>>(run, {}, std::vector<std::string>{"11", "features.4", "3"});
  EXPECT_EQ(some.dimension("layer").values, (std::vector<double>{2, 3, 11}));
  const std::size_t depth = all.dimension("layer").size();
  for (const char* name : {"shift_norm", "shift_cos", "grad_norm"})
    for (std::size_t row = 0; row < 2; ++row)
      for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(
            some.variable(name).values[3 * row + i],
            all.variable(name).values[depth * row + static_cast<std::size_t>(some.dimension("layer").values[i]) - 1]);
  expect_error<UsageError>(
      [&] { analyse_run<float, ShiftAnalysis<float>>(run, {}, std::vector<std::string>{"features.1"}); },
      {"--layers", "features.1", "features.0, features.4"});
}

TEST(Distributions, DescribeValues) {
  Vector<double> values = hash_values<double>(100000, 3, 2, 1);
  values[17] = std::numeric_limits<double>::quiet_NaN();
  values[40000] = -std::numeric_limits<double>::infinity();
  const auto found = describe_values<double>({values.data(), 1000, 100}, 7);
  EXPECT_EQ(found.non_finite, 2);
  long double sum = 0, second = 0, third = 0, fourth = 0;
  double low = 9e9, high = -9e9;
  const long double count = 99998;
  for (const double v : values)
    if (std::isfinite(v)) sum += v, low = std::min(low, v), high = std::max(high, v);
  const long double mean = sum / count;
  std::vector<double> bins(7);
  for (const double v : values) {
    if (!std::isfinite(v)) continue;
    const long double d = v - mean;
    second += d * d, third += d * d * d, fourth += d * d * d * d;
    bins[std::min<std::size_t>(6, static_cast<std::size_t>(7 * (v - low) / (high - low)))] += 1;
  }
  const long double variance = second / count;
  EXPECT_EQ(found.low, low);
  EXPECT_EQ(found.high, high);
  EXPECT_LT(relative(found.mean, static_cast<double>(mean)), 1e-13);
  EXPECT_LT(relative(found.variance, static_cast<double>(variance)), 1e-13);
  EXPECT_NEAR(found.skewness, static_cast<double>(third / count / std::pow(variance, 1.5L)), 1e-12);
  EXPECT_LT(relative(found.kurtosis, static_cast<double>(fourth / count / variance / variance)), 1e-12);
  double total = 0;
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_NEAR(found.count[i], bins[i], 2) << "a value on an edge may go either way";
    total += found.count[i];
  }
  EXPECT_EQ(total, 99998);
  const Vector<double> same = Vector<double>::Constant(5, 4.0);
  const auto flat = describe_values<double>({same.data(), 5, 1}, 3);
  EXPECT_EQ(flat.variance, 0);
  EXPECT_TRUE(std::isnan(flat.skewness));
  EXPECT_EQ(flat.count, (std::vector<double>{5, 0, 0}));
}

// An activation is what goes to the non-linearity: x·Wᵀ + b, normalised where there is a norm. Of the first layer of an
// mlp it follows from the batch alone.
TEST(Distributions, OfTheFirstLayer) {
  for (const std::string norm : {"none", "batch"}) {
    SmallRun run = mlp_run(2);
    run.model.norm = norm;
    run.model.dropout = 0;
    const auto activation = [&](const StepView<double>& view, const Vector<double>& theta) {
      // Images are rows [pixels, channels]; the flattened order is PyTorch's: channels first.
      Square x(view.batch.size(), 32);
      for (Index n = 0; n < x.rows(); ++n)
        for (Index pixel = 0; pixel < 16; ++pixel)
          for (Index c = 0; c < 2; ++c) x(n, c * 16 + pixel) = view.batch.images(n * 16 + pixel, c);
      Square y = x * Eigen::Map<const Square>(theta.data(), 12, 32).transpose();
      y.rowwise() += theta.segment(12 * 32, 12).transpose();
      if (norm == "none") return y;
      for (Index c = 0; c < 12; ++c) {
        const double mean = y.col(c).mean();
        const double deviation = std::sqrt((y.col(c).array() - mean).square().mean() + 1e-5);
        y.col(c) = (y.col(c).array() - mean) / deviation * theta[12 * 33 + c] + theta[12 * 34 + c];
      }
      return y;
    };
    std::vector<double> means, variances, drifts;
    const Table table = analyse_run<double, DistributionAnalysis<double>>(
        run,
        [&](const StepView<double>& view) {
          const Square y = activation(view, view.theta), z = activation(view, view.theta_next);
          means.push_back(y.mean());
          variances.push_back((y.array() - y.mean()).square().mean());
          drifts.push_back(std::sqrt((z.colwise().mean() - y.colwise().mean()).squaredNorm() / 12));
        },
        std::vector<std::string>{"1"}, std::size_t{16});
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_NEAR(table.variable("activation_mean").values[i], means[i], 1e-12) << norm;
      EXPECT_NEAR(table.variable("activation_variance").values[i], variances[i], 1e-12) << norm;
      EXPECT_NEAR(table.variable("drift_mean").values[i], drifts[i], 1e-12) << norm;
    }
    EXPECT_EQ(table.variable("activation_count").values.size(), 2 * 16u);
  }
}

TEST(Theorem, TheSidesDifferByTheTermOfEps) {
  for (SmallRun run : {vgg_run(2), mlp_run(3), linear_run(5, 2, "batch")}) {
    const auto process = run.process<double>();
    TheoremAnalysis<double> analysis(*process, {});
    Table table = analysis.begin();
    train_from<double>(*process, process->initial_state(),
                       [&](const StepView<double>& view) { analysis.add(view, table); });
    const auto value = [&](const char* name, std::size_t i) { return table.variable(name).values[i]; };
    double largest_share = 0;
    ASSERT_GT(table.variable("lhs").values.size(), 20u);
    for (std::size_t i = 0; i < table.variable("lhs").values.size(); ++i) {
      if (value("rhs", i) == 0 || std::isnan(value("removed", i))) continue;  // a dead unit
      const double whole = value("rhs", i) / (1 - value("removed", i));
      EXPECT_LE(std::abs(value("gap", i) - value("gap_expected", i)), 1e-9 * whole) << run.model.arch << i;
      EXPECT_GE(value("removed", i), 0);
      EXPECT_LE(value("removed", i), 1);
      largest_share = std::max(largest_share, value("gap_expected", i) / whole);
    }
    EXPECT_LT(analysis.worst(), 1e-9);
    // The bound would notice if the term were left out.
    if (run.model.arch != "deep-linear") {
      EXPECT_GT(largest_share, 1e-8) << run.model.arch;
    }
    expect_error<UsageError>(
        [&] {
          SmallRun plain = run;
          plain.model.norm = "none";
          TheoremAnalysis<double>(*plain.process<double>(), {});
        },
        {"batch norm", "no layer of this run has one"});
  }
}

TEST(Fusion, IsTheSameFunction) {
  for (const std::string norm : {"none", "batch"})
    for (const std::string pool : {"max", "average"}) {
      SmallRun run = vgg_run(1);
      run.model.norm = norm;
      run.model.pool = pool;
      const auto process = run.process<double>();
      auto state = process->initial_state();
      const auto plain = make_network<double>(process->model(), {32, 32, 3}, 10, Engine::direct, Fusion::off);
      process->advance(state, [&](const StepView<double>& view) {
        Vector<double> grad, buffers;
        const auto value =
            plain->evaluate(view.theta, view.buffers, view.batch, view.pass, {.grad = &grad, .new_buffers = &buffers});
        EXPECT_LT(relative(value.loss, view.record.loss), 1e-12);
        EXPECT_LT(distance(grad, view.grad) / gradscape::norm(view.grad), 1e-11);
      });
    }
}

TEST(Probe, TellsOfLayers) {
  const SmallRun run = vgg_run(1);
  const auto process = run.process<float>();
  SweepOptions options;
  options.layers = true;
  StepProber<float> prober(options, *process, 1);
  auto state = process->initial_state();
  process->advance(state, [&](const StepView<float>& view) {
    const SweepRecord record = prober.probe_step(view);
    ASSERT_EQ(prober.layers().size(), 11u);
    for (std::size_t i = 0; i < record.cells.size(); ++i) {
      const Cell& cell = record.cells[i];
      double squares = 0, distances = 0;
      for (std::size_t layer = 0; layer < 11; ++layer) {
        squares += cell.layer_grad_diff[layer] * cell.layer_grad_diff[layer];
        const double part = cell.layer_grad_diff[layer] / cell.layer_beta[layer];
        distances += part * part;
      }
      EXPECT_LT(relative(std::sqrt(squares), cell.grad_diff), 1e-12) << "the layers are all of theta";
      EXPECT_LT(relative(std::sqrt(distances), cell.distance), 1e-6);
    }
  });
}

TEST(Probe, RandomDirectionsAreGaussianOfTheGradientsNorm) {
  const Vector<double> grad = hash_values<double>(20000, 4);
  Vector<double> direction, other;
  draw_direction<double>(7, 3, grad, direction);
  EXPECT_LT(relative(norm(direction), norm(grad)), 1e-12);
  EXPECT_LT(std::abs(dot(direction, grad)) / norm(grad) / norm(grad), 5 / std::sqrt(20000.0)) << "not along it";
  const double scale = norm(grad) / std::sqrt(20000.0);
  EXPECT_NEAR((direction.array() / scale).pow(4).mean(), 3, 5 * std::sqrt(96 / 20000.0)) << "of a normal distribution";
  draw_direction<double>(7, 4, grad, other);
  EXPECT_LT(std::abs(dot(direction, other)) / norm(grad) / norm(grad), 5 / std::sqrt(20000.0)) << "new in every step";
}

// With fresh noise each cell is another function; with the step's own draw a cell at a tiny step is nearly g itself.
TEST(Probe, SeesTheStepsOwnNoiseOrAFreshDraw) {
  SmallRun run = mlp_run(1);
  run.model.noise = true;
  run.model.dropout = 0;
  const auto process = run.process<double>();
  auto state = process->initial_state();
  SweepOptions options;
  options.multipliers = {1e-7, 2e-7};
  StepProber<double> own(options, *process, 1);
  options.noise = "fresh";
  StepProber<double> fresh(options, *process, 1);
  process->advance(state, [&](const StepView<double>& view) {
    const auto step = own.probe_step(view).cells, draws = fresh.probe_step(view).cells;
    EXPECT_LT(step[0].grad_diff / view.record.grad_norm, 1e-4);
    EXPECT_GT(draws[0].grad_diff / view.record.grad_norm, 0.02);
    EXPECT_GT(std::abs(draws[0].loss - draws[1].loss) / view.record.loss, 1e-4);
    EXPECT_TRUE(own.probe_step(view).cells[1].loss == step[1].loss) << "no draw is left behind";
  });
}

}  // namespace
}  // namespace gradscape::testing
