// What a Network promises: purity, bits that depend on nothing but the arguments, initial values, refusals.
#include <gtest/gtest.h>
#include <omp.h>

#include "gradscape/core/error.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/nn/network.hpp"
#include "gradscape/nn/zoo.hpp"
#include "support/bits.hpp"
#include "support/errors.hpp"
#include "support/hash_values.hpp"
#include "support/isa.hpp"
#include "support/threads.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};
constexpr Index kClasses = 10;

template <class S>
Batch<S> make_batch(Index samples, std::uint32_t seed, FeatureShape input = kImage) {
  Batch<S> batch;
  batch.images = rows_from_nchw(hash_values<S>(samples * input.size(), seed), samples, input);
  batch.labels = hash_labels(samples, seed + 1, kClasses);
  return batch;
}

/// Everything that can depend on more than theta: batch norm on all layers, dropout.
ModelOptions vgg_options() {
  ModelOptions options;
  options.width = 0.0625;
  options.norm = "batch";
  options.norm_dense = true;
  options.dropout = 0.5;
  return options;
}

template <class S>
struct Outcome {
  Evaluation evaluation;
  Vector<S> grad, buffers, logits;

  bool operator==(const Outcome& other) const {
    return same_bits(evaluation.loss, other.evaluation.loss) &&
           same_bits(evaluation.accuracy, other.evaluation.accuracy) && same_bits(grad, other.grad) &&
           same_bits(buffers, other.buffers) && same_bits(logits, other.logits);
  }
};

template <class S>
Outcome<S> evaluate(Network<S>& network, const std::type_identity_t<Point<S>>& theta, const Vector<S>& buffers,
                    const Batch<S>& batch, const Pass& pass) {
  Outcome<S> outcome;
  outcome.evaluation =
      network.evaluate(theta, buffers, batch, pass, {.grad = &outcome.grad, .new_buffers = &outcome.buffers});
  outcome.logits = network.logits().template reshaped<Eigen::RowMajor>();
  return outcome;
}

template <class S>
class NetworkOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(NetworkOf, Scalars);

TYPED_TEST(NetworkOf, EvaluatingChangesNothingThatALaterCallSees) {
  using S = TypeParam;
  const auto network = make_network<S>(vgg_options(), kImage, kClasses);
  const auto theta = network->initial_parameters(Init::he_normal, 3);
  const auto buffers = network->initial_buffers();
  const auto batch = make_batch<S>(12, 1);
  const Vector<S> theta_before = theta, buffers_before = buffers;
  const Pass pass{Mode::train, 7, 5};
  const auto first = evaluate(*network, theta, buffers, batch, pass);

  // Probes elsewhere: other theta, other batch, other mode, with and without gradient and buffers.
  Vector<S> far, grad, new_buffers;
  add_scaled(theta, -3.0, first.grad, far);
  network->evaluate(far, buffers, batch, pass, {.grad = &grad});
  network->evaluate(far, buffers, make_batch<S>(5, 40), {Mode::evaluation, 1, 2});
  network->evaluate(far, buffers, make_batch<S>(20, 50), {Mode::train, 8, 9}, {.new_buffers = &new_buffers});

  EXPECT_TRUE(first == evaluate(*network, theta, buffers, batch, pass));
  EXPECT_TRUE(same_bits(theta, theta_before));
  EXPECT_TRUE(same_bits(buffers, buffers_before));
  // Loss and gradient do not depend on what else is asked for.
  const auto bare = network->evaluate(theta, buffers, batch, pass);
  EXPECT_TRUE(same_bits(bare.loss, first.evaluation.loss));
  network->evaluate(theta, buffers, batch, pass, {.grad = &grad});
  EXPECT_TRUE(same_bits(grad, first.grad));
}

// What a probe asks for: nothing may tell a ray's point from the vector it stands for. 34 channels leave panels part
// full; five classes and odd samples do so in the dense layers.
TYPED_TEST(NetworkOf, PointOnARayIsTheVectorItStandsFor) {
  using S = TypeParam;
  ModelOptions narrow = vgg_options(), mlp;
  narrow.width = 0.53;
  mlp.arch = "mlp";
  for (ModelOptions options : {narrow, mlp})
    for (const Engine engine : {Engine::direct, Engine::winograd}) {
      SCOPED_TRACE(options.arch + (engine == Engine::direct ? " direct" : " winograd"));
      const auto network = make_network<S>(options, kImage, kClasses, engine);
      const auto theta = network->initial_parameters(Init::he_normal, 3);
      const auto buffers = network->initial_buffers();
      const auto batch = make_batch<S>(3, 1);
      const auto direction = hash_values<S>(theta.size(), 9);
      Vector<S> there;
      add_scaled(theta, -0.3, direction, there);
      const Point<S> point(theta, -0.3, direction);
      EXPECT_TRUE(same_bits(point.value(), there));
      EXPECT_TRUE(evaluate(*network, point, buffers, batch, {}) == evaluate<S>(*network, there, buffers, batch, {}));
      EXPECT_FALSE(evaluate(*network, point, buffers, batch, {}) == evaluate<S>(*network, theta, buffers, batch, {}));
    }
}

TYPED_TEST(NetworkOf, RunningStatisticsMoveInTrainModeOnly) {
  using S = TypeParam;
  const auto network = make_network<S>(vgg_options(), kImage, kClasses);
  const auto theta = network->initial_parameters(Init::he_normal, 3);
  const auto buffers = network->initial_buffers();
  const auto batch = make_batch<S>(6, 1);
  Vector<S> moved, kept;
  network->evaluate(theta, buffers, batch, {Mode::train}, {.new_buffers = &moved});
  network->evaluate(theta, moved, batch, {Mode::evaluation}, {.new_buffers = &kept});
  EXPECT_TRUE(same_bits(kept, moved));
  for (const Part& part : network->buffers().parts()) {
    const Vector<S> before = buffers.segment(part.offset, part.size), after = moved.segment(part.offset, part.size);
    EXPECT_FALSE(same_bits(before, after)) << part.name;
    if (part.integer) {
      EXPECT_EQ(after[0], S{1}) << part.name;
    }
  }
}

TYPED_TEST(NetworkOf, BitsDoNotDependOnThreads) {
  using S = TypeParam;
  ModelOptions mlp;
  mlp.arch = "mlp";
  mlp.hidden = {300, 140};
  mlp.norm = "batch";
  mlp.dropout = 0.3;
  ModelOptions plain;
  plain.width = 0.125;
  plain.pool = "average";
  for (const ModelOptions& options : {vgg_options(), plain, mlp}) {
    SCOPED_TRACE(options.arch + " " + options.norm);
    compare_thread_counts(
        [&] {
          const auto network = make_network<S>(options, kImage, kClasses);
          const auto theta = network->initial_parameters(Init::he_normal, 3);
          return evaluate(*network, theta, network->initial_buffers(), make_batch<S>(33, 1), {Mode::train, 7, 5});
        },
        [](int threads, const Outcome<S>& one, const Outcome<S>& many) {
          EXPECT_TRUE(one == many) << threads << " threads";
        });
  }
}

/// Sets OpenMP's schedule for a scope.
class WithSchedule {
 public:
  WithSchedule(omp_sched_t kind, int chunk) {
    omp_get_schedule(&kind_, &chunk_);
    omp_set_schedule(kind, chunk);
  }
  ~WithSchedule() { omp_set_schedule(kind_, chunk_); }
  WithSchedule(const WithSchedule&) = delete;
  WithSchedule& operator=(const WithSchedule&) = delete;

 private:
  omp_sched_t kind_;
  int chunk_;
};

// The tiled convolutions and their products, with channels that fill vectors (8, 16, …) and that do not (11, 22, …).
TYPED_TEST(NetworkOf, BitsDependNeitherOnThreadsNorScheduleNorInstructions) {
  using S = TypeParam;
  const auto batch = make_batch<S>(17, 1);
  for (const Engine engine : {Engine::winograd, Engine::direct})
    for (const double width : {0.125, 11.0 / 64})
      for (const char* norm : {"batch", "none"}) {
        ModelOptions options;
        options.width = width;
        options.norm = norm;
        SCOPED_TRACE(
            fmt::format("{}, width {}, norm {}", engine == Engine::direct ? "direct" : "winograd", width, norm));
        const auto network = make_network<S>(options, kImage, kClasses, engine);
        const auto theta = network->initial_parameters(Init::he_normal, 3);
        const auto buffers = network->initial_buffers();
        const auto compute = [&] { return evaluate(*network, theta, buffers, batch, {Mode::train, 7, 5}); };
        const Outcome<S> first = compute();
        for_each_isa([&](const char* isa) {
          for (const omp_sched_t kind : {omp_sched_static, omp_sched_dynamic}) {
            const WithSchedule schedule(kind, 1);
            for (const int threads : {1, 2, 3, 4}) {
              const WithThreads scope(threads);
              EXPECT_TRUE(first == compute()) << isa << ", schedule " << kind << ", " << threads << " threads";
            }
          }
        });
      }
}

TYPED_TEST(NetworkOf, BitsDoNotDependOnEarlierBatchSizes) {
  using S = TypeParam;
  const auto run = [](std::initializer_list<Index> sizes) {
    const auto network = make_network<S>(vgg_options(), kImage, kClasses);
    const auto theta = network->initial_parameters(Init::he_normal, 3);
    Outcome<S> last;
    for (const Index size : sizes)
      last = evaluate(*network, theta, network->initial_buffers(), make_batch<S>(size, 1), {Mode::train, 7, 5});
    return last;
  };
  EXPECT_TRUE(run({6}) == run({20, 6})) << "smaller after larger";
  EXPECT_TRUE(run({20}) == run({6, 20})) << "larger after smaller";
  EXPECT_EQ(run({20, 6}).logits.size(), 6 * kClasses);
}

TYPED_TEST(NetworkOf, MeanLossIsTheMeanOverSamples) {
  using S = TypeParam;
  ModelOptions options;
  options.width = 0.0625;  // no norm: samples do not see each other
  const auto network = make_network<S>(options, kImage, kClasses);
  const auto theta = network->initial_parameters(Init::he_normal, 3);
  const auto whole = make_batch<S>(5, 1);
  const auto all = network->evaluate(theta, {}, whole, {});
  double loss = 0, accuracy = 0;
  for (Index i = 0; i < whole.size(); ++i) {
    Batch<S> one;
    one.images = whole.images.middleRows(i * kImage.pixels(), kImage.pixels());
    one.labels = {whole.labels[static_cast<std::size_t>(i)]};
    const auto value = network->evaluate(theta, {}, one, {});
    loss += value.loss / 5;
    accuracy += value.accuracy / 5;
  }
  EXPECT_NEAR(all.loss, loss, 100 * std::numeric_limits<S>::epsilon());
  EXPECT_NEAR(all.accuracy, accuracy, 1e-12);
}

TYPED_TEST(NetworkOf, NonFiniteParametersGiveNonFiniteLossesNotErrors) {
  using S = TypeParam;
  ModelOptions options;
  options.width = 0.0625;
  const auto network = make_network<S>(options, kImage, kClasses);
  auto theta = network->initial_parameters(Init::he_normal, 3);
  theta[0] = std::numeric_limits<S>::quiet_NaN();
  Vector<S> grad;
  EXPECT_TRUE(std::isnan(network->evaluate(theta, {}, make_batch<S>(3, 1), {}, {.grad = &grad}).loss));
  EXPECT_FALSE(std::isfinite(norm(grad)));
}

TYPED_TEST(NetworkOf, OneValuePerChannelIsAnErrorInTrainMode) {
  using S = TypeParam;
  ModelOptions options;
  options.arch = "mlp";
  options.norm = "batch";
  const FeatureShape input{1, 1, 8};
  const auto network = make_network<S>(options, input, kClasses);
  const auto theta = network->initial_parameters(Init::he_normal, 3);
  const auto buffers = network->initial_buffers();
  const auto one = make_batch<S>(1, 1, input);
  try {
    network->evaluate(theta, buffers, one, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("layers.1"), std::string::npos) << "names the layer: " << error.what();
  }
  EXPECT_NO_THROW(network->evaluate(theta, buffers, one, {Mode::evaluation}));
  EXPECT_NO_THROW(network->evaluate(theta, buffers, make_batch<S>(2, 1, input), {}));
}

// The same batch size again: what the layers keep between forward and backward has to come back.
TEST(Network, EvaluatesTheSameAfterItsMemoryWasGivenBack) {
  for (const std::string norm : {"none", "batch"}) {
    ModelOptions options = vgg_options();
    options.norm = norm;
    options.norm_dense = norm != "none";
    const auto network = make_network<float>(options, kImage, kClasses, Engine::winograd);
    const Vector<float> theta = network->initial_parameters(Init::pytorch, 1), buffers = network->initial_buffers();
    const Batch<float> batch = make_batch<float>(5, 3);
    const Outcome<float> before = evaluate<float>(*network, theta, buffers, batch, {});
    network->release();
    EXPECT_EQ(evaluate<float>(*network, theta, buffers, batch, {}), before) << norm;
  }
}

TEST(Network, TooSmallImagesAreAUsageError) {
  for (const FeatureShape small : {FeatureShape{16, 16, 3}, FeatureShape{32, 28, 1}})
    expect_error<UsageError>([&] { make_network<float>(ModelOptions{}, small, kClasses); },
                             {"features.20: max pool 2×2 with an input of ", "32×32 pixels or more"});
  ModelOptions options;
  options.width = 0.0625;
  EXPECT_NO_THROW(make_network<float>(options, {32, 32, 1}, kClasses));
}

TEST(Network, WrongSizesAreInternalErrors) {
  ModelOptions options;
  options.arch = "mlp";
  const auto network = make_network<float>(options, {1, 1, 8}, kClasses);
  const auto theta = network->initial_parameters(Init::he_normal, 1);
  const auto run = [&](const Vector<float>& point, const Batch<float>& batch) {
    network->evaluate(point, {}, batch, {});
  };
  EXPECT_THROW(run(theta.head(theta.size() - 1), make_batch<float>(2, 1, {1, 1, 8})), std::logic_error);
  EXPECT_THROW(run(theta, make_batch<float>(2, 1, {1, 1, 9})), std::logic_error);
  EXPECT_THROW(run(theta, Batch<float>{}), std::logic_error);
}

// ---- initial values ----

TEST(Initialisation, NetworksWithAndWithoutNormShareTheirWeights) {
  for (const char* arch : {"vgg-a", "mlp"})
    for (const std::string& init : init_names()) {
      ModelOptions options;
      options.arch = arch;
      options.width = 0.0625;
      const auto none = make_network<float>(options, kImage, kClasses);
      options.norm = "batch";
      options.norm_dense = true;
      const auto batch = make_network<float>(options, kImage, kClasses);
      const auto values = [&](const Network<float>& network) {
        const auto theta = network.initial_parameters(init_from_name(init), 11);
        std::vector<Vector<float>> weights;
        for (const Part& part : network.parameters().parts()) {
          if (part.shape.size() < 2) continue;  // of convolutions and dense layers; the bias comes behind its weight
          weights.push_back(theta.segment(part.offset, part.size + part.shape[0]));
        }
        return weights;
      };
      const auto a = values(*none), b = values(*batch);
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same_bits(a[i], b[i])) << arch << ' ' << init << ' ' << i;
    }
}

TEST(Initialisation, FloatValuesAreTheRoundedDoubleValues) {
  const auto in_float = make_network<float>(vgg_options(), kImage, kClasses);
  const auto in_double = make_network<double>(vgg_options(), kImage, kClasses);
  for (const std::string& name : init_names()) {
    const Init init = init_from_name(name);
    const Vector<float> rounded = in_double->initial_parameters(init, 5).cast<float>();
    EXPECT_TRUE(same_bits(in_float->initial_parameters(init, 5), rounded)) << name;
  }
  EXPECT_TRUE(same_bits<float>(in_float->initial_buffers(), in_double->initial_buffers().cast<float>()));
}

TEST(Initialisation, DependsOnTheSeedNotOnThreads) {
  const auto network = make_network<float>(vgg_options(), kImage, kClasses);
  EXPECT_FALSE(
      same_bits(network->initial_parameters(Init::he_normal, 1), network->initial_parameters(Init::he_normal, 2)));
  compare_thread_counts([&] { return network->initial_parameters(Init::he_normal, 1); },
                        [](int, const auto& one, const auto& many) { EXPECT_TRUE(same_bits(one, many)); });
}

// Published variances: Glorot and Bengio 2010, eq. 12 and 16; He et al. 2015, eq. 10; torch.nn.Linear's default.
TEST(Initialisation, VariancesAreThePublishedOnes) {
  ModelOptions options;
  options.width = 0.5;
  const auto network = make_network<double>(options, kImage, kClasses);
  struct Expected {
    Init init;
    bool uniform;
    double (*variance)(double fan_in, double fan_out);
  };
  const std::vector<Expected> expectations = {
      {Init::xavier_normal, false, [](double in, double out) { return 2 / (in + out); }},
      {Init::xavier_uniform, true, [](double in, double out) { return 2 / (in + out); }},
      {Init::he_normal, false, [](double in, double) { return 2 / in; }},
      {Init::he_uniform, true, [](double in, double) { return 2 / in; }},
      {Init::pytorch, true, [](double in, double) { return 1 / (3 * in); }}};
  for (const Expected& expected : expectations) {
    const auto theta = network->initial_parameters(expected.init, 21);
    double fan_in = 0;
    for (const Part& part : network->parameters().parts()) {
      SCOPED_TRACE(part.name + ", init " + std::to_string(static_cast<int>(expected.init)));
      const Vector<double> w = theta.segment(part.offset, part.size);
      if (part.shape.size() == 1) {  // a bias: behind its weight
        if (expected.init == Init::pytorch) {
          EXPECT_LE(w.cwiseAbs().maxCoeff(), 1 / std::sqrt(fan_in));
          EXPECT_GT(w.cwiseAbs().maxCoeff(), 0.5 / std::sqrt(fan_in));
        } else {
          EXPECT_TRUE(w.isZero(0));
        }
        continue;
      }
      fan_in = static_cast<double>(part.size / part.shape[0]);
      const double area = part.shape.size() == 4 ? static_cast<double>(part.shape[2] * part.shape[3]) : 1.0;
      const double variance = expected.variance(fan_in, static_cast<double>(part.shape[0]) * area);
      const auto n = static_cast<double>(part.size);
      // Five standard errors: of the mean √(var/n), of the variance √(κ − 1)/√n with κ = 3 (normal) or 9/5 (uniform).
      EXPECT_NEAR(w.mean(), 0, 5 * std::sqrt(variance / n));
      EXPECT_NEAR(w.squaredNorm() / n / variance, 1, 5 * std::sqrt((expected.uniform ? 0.8 : 2.0) / n));
      if (expected.uniform) {
        EXPECT_LE(w.cwiseAbs().maxCoeff(), std::sqrt(3 * variance));
      } else {
        EXPECT_GT(w.cwiseAbs().maxCoeff(), 2 * std::sqrt(variance));
      }
    }
  }
}

TEST(Initialisation, NormsStartAsTheIdentity) {
  const auto network = make_network<float>(vgg_options(), kImage, kClasses);
  const auto theta = network->initial_parameters(Init::xavier_normal, 1);
  const auto expect_constant = [](const Vector<float>& values, const Part& part, float constant) {
    EXPECT_TRUE((values.segment(part.offset, part.size).array() == constant).all()) << part.name;
  };
  for (const Part& part : network->parameters().parts()) {
    if (part.shape.size() > 1) continue;
    expect_constant(theta, part, part.name.ends_with("weight") ? 1.0f : 0.0f);
  }
  const auto buffers = network->initial_buffers();
  for (const Part& part : network->buffers().parts())
    expect_constant(buffers, part, part.name.ends_with("running_var") ? 1.0f : 0.0f);
}

}  // namespace
}  // namespace gradscape::testing
