// Narrow VGG-A networks against PyTorch: names and shapes, twenty training steps, the gradient-direction probe, and the
// whole gradient of the first step. All with both engines.
//
// Bounds in double: 1e-9. In float, relative to PyTorch's own float32 error: direct 4 times; winograd 10 times for
// losses and logits, and 4 times for gradients as well.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "gradscape/core/vector_math.hpp"
#include "gradscape/nn/zoo.hpp"
#include "gradscape/train/optimizer.hpp"
#include "support/parity.hpp"
#include "support/threads.hpp"
#include "support/vgg_activations.hpp"

namespace gradscape::testing {
namespace {

constexpr FeatureShape kImage{32, 32, 3};
constexpr Index kSamples = 16;
constexpr int kClasses = 10;

/// On one thread, for speed: the networks are small, and bits do not depend on it (nn/test_network.cpp).
class VggParity : public ::testing::Test {
  const WithThreads one_thread_{1};
};

/// Runs body(engine) for every engine.
template <class Body>
void for_each_engine(Body&& body) {
  for (const std::string& name : engine_names()) {
    SCOPED_TRACE(name);
    body(engine_from_name(name), name);
  }
}

double factor_of(Engine engine) {
  return engine == Engine::winograd ? 10 : 4;
}

ModelOptions options_of(const Json& given) {
  ModelOptions options;
  options.arch = given.value("arch", options.arch);
  options.width = given.value("width", options.width);
  options.hidden = given.value("hidden", options.hidden);
  options.activation = given.value("activation", options.activation);
  options.pool = given.value("pool", options.pool);
  options.norm = given.value("norm", options.norm);
  options.norm_dense = given.value("norm_dense", options.norm_dense);
  options.norm_affine = given.value("norm_affine", options.norm_affine);
  options.norm_track = given.value("norm_track", options.norm_track);
  options.dropout = given.value("dropout", options.dropout);
  options.bias = given.value("bias", options.bias);
  options.loss = given.value("loss", options.loss);
  options.label_smoothing = given.value("label_smoothing", options.label_smoothing);
  options.loss_decay = given.value("loss_decay", options.loss_decay);
  return options;
}

template <class S>
Batch<S> batch_of_step(std::uint32_t step) {
  Batch<S> batch;
  batch.images = rows_from_nchw(hash_values<S>(kSamples * kImage.size(), 1000 + step), kSamples, kImage);
  batch.labels = hash_labels(kSamples, 2000 + step, kClasses);
  return batch;
}

/// What a training run leaves, under the names that the stored results have.
template <class S>
struct Run {
  Vector<double> losses;
  Vector<S> logits;    // of step 0
  Vector<S> gradient;  // of step 0
  Vector<S> theta;     // after the last step
  Vector<S> buffers;
};

/// SGD on batches 0, 1, …; visit(step, network, theta, buffers, batch, loss, grad) sees every step before its update.
template <class S, class Visit>
Run<S> train(const Json& c, Engine engine, Visit&& visit) {
  const auto network = make_network<S>(options_of(c.at("options")), kImage, kClasses, engine);
  TrainOptions sgd;
  sgd.lr = c.at("lr");
  if (c.at("sam_rho") > 0) {
    sgd.optimizer = "sam";
    sgd.sam_rho = c.at("sam_rho");
  }
  Run<S> run;
  run.losses.resize(c.at("steps").get<Index>());
  run.theta = hash_parameters<S>(network->parameters());
  run.buffers = network->initial_buffers();
  auto state = initial_optimizer_state<S>(sgd, run.theta.size());
  for (Index step = 0; step < run.losses.size(); ++step) {
    const auto batch = batch_of_step<S>(static_cast<std::uint32_t>(step));
    Vector<S> grad, next, new_buffers;
    run.losses[step] =
        network->evaluate(run.theta, run.buffers, batch, {}, {.grad = &grad, .new_buffers = &new_buffers}).loss;
    if (step == 0) {
      run.logits = network->logits().template reshaped<Eigen::RowMajor>();
      run.gradient = grad;
    }
    visit(step, *network, run.theta, run.buffers, batch, run.losses[step], grad);
    if (is_sharpness_aware(sgd)) {
      const Vector<S> at_theta = grad;
      network->evaluate(sam_point(sgd, run.theta, at_theta), run.buffers, batch, {}, {.grad = &grad});
    }
    update_parameters<S>(sgd, sgd.lr, run.theta, grad, state, next);
    run.theta = next;
    run.buffers = new_buffers;
  }
  return run;
}

template <class S>
Run<S> train(const Json& c, Engine engine) {
  return train<S>(c, engine, [](auto&&...) {});
}

/// The first step alone: its loss, logits and gradient.
template <class S>
Run<S> first_step(Json c, Engine engine) {
  c["steps"] = 1;
  return train<S>(c, engine);
}

const Json& stored_networks() {
  static const Json cases = [] {
    Json list = load_parity("vgg").at("cases");
    const Json losses = load_parity("losses");  // named, so that it lives as long as the loop reads it
    for (const Json& c : losses.at("cases")) list.push_back(c);
    return list;
  }();
  return cases;
}

const Json& stored_network(const std::string& name) {
  for (const Json& c : stored_networks())
    if (c.at("name") == name) return c;
  throw std::runtime_error("no stored network " + name);
}

/// The probe at θ − m·lr·g on the batch of the step, written out from its definition.
void expect_probe_parity(const Json& c, const Json& table, Network<double>& network, const Vector<double>& theta,
                         const Vector<double>& buffers, const Batch<double>& batch, const Vector<double>& g) {
  const double lr = c.at("lr");
  const auto multipliers = c.at("multipliers").get<std::vector<double>>();
  for (std::size_t i = 0; i < multipliers.size(); ++i) {
    SCOPED_TRACE("multiplier " + std::to_string(multipliers[i]));
    Vector<double> point, h;
    add_scaled(theta, -multipliers[i] * lr, g, point);
    const double loss = network.evaluate(point, buffers, batch, {}, {.grad = &h}).loss;
    const double reach = multipliers[i] * lr * norm(g);
    const double change = distance(h, g);
    const auto expect = [&](const char* name, double value) {
      const double torch = table.at(name)[i];
      EXPECT_NEAR(value, torch, 1e-9 * std::abs(torch)) << name;
      worst().double_error = std::max(worst().double_error, std::abs(value - torch) / std::abs(torch));
    };
    expect("loss", loss);
    expect("grad_norm", norm(h));
    expect("grad_diff", change);
    expect("grad_cos", dot(h, g) / (norm(h) * norm(g)));
    expect("distance", reach);
    expect("beta", change / reach);
  }
}

TEST_F(VggParity, NamesAndShapesAreThoseOfPyTorch) {
  const auto expect_parts = [](const Layout& layout, const Json& stored) {
    ASSERT_EQ(layout.parts().size(), stored.size());
    for (std::size_t i = 0; i < stored.size(); ++i) {
      EXPECT_EQ(layout.parts()[i].name, stored[i][0].get<std::string>());
      EXPECT_EQ(layout.parts()[i].shape, stored[i][1].get<std::vector<Index>>());
    }
  };
  const Json file = load_parity("names");
  for (const Json& c : file.at("cases")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const auto network = make_network<float>(options_of(c.at("options")), kImage, kClasses);
    expect_parts(network->parameters(), c.at("parameters"));
    expect_parts(network->buffers(), c.at("buffers"));
    for (const Part& part : network->buffers().parts())
      EXPECT_EQ(part.integer, part.name.ends_with("num_batches_tracked"));
  }
}

TEST_F(VggParity, ParameterCountsAtFullWidth) {
  ModelOptions options;
  const auto count = [&] { return make_network<float>(options, kImage, kClasses)->parameters().size(); };
  EXPECT_EQ(count(), 9'750'922);
  options.norm = "batch";
  EXPECT_EQ(count(), 9'756'426);
  options.norm_dense = true;
  EXPECT_EQ(count(), 9'758'474);
}

TEST_F(VggParity, Double) {
  for_each_engine([](Engine engine, const std::string& engine_name) {
    worst() = {};
    for (const Json& c : stored_networks()) {
      SCOPED_TRACE(c.at("name").get<std::string>());
      const Json probes = c.value("probes", Json::object());
      std::size_t probed = 0;
      const auto run = train<double>(c, engine,
                                     [&](Index step, auto& network, const auto& theta, const auto& buffers,
                                         const auto& batch, double, const auto& grad) {
                                       const std::string key = std::to_string(step);
                                       if (!probes.contains(key)) return;
                                       SCOPED_TRACE("step " + key);
                                       expect_probe_parity(c, probes.at(key), network, theta, buffers, batch, grad);
                                       ++probed;
                                     });
      EXPECT_EQ(probed, probes.size());
      const Json& results = c.at("results");
      // Every step's loss by itself, not only against the largest.
      for (Index step = 0; step < run.losses.size(); ++step) {
        const double torch = results.at("losses").at("values")[static_cast<std::size_t>(step)];
        EXPECT_NEAR(run.losses[step], torch, 1e-9 * torch) << "step " << step;
      }
      expect_parity("losses", run.losses, results.at("losses"));
      expect_parity("logits", run.logits, results.at("logits"));
      expect_parity("gradient", run.gradient, results.at("gradient"));
      if (results.contains("theta")) expect_parity("theta", run.theta, results.at("theta"));
      if (results.contains("buffers")) expect_parity("buffers", run.buffers, results.at("buffers"));
    }
    report_worst<double>("networks, " + engine_name);
  });
}

// Over twenty steps a flipped unit sends two runs apart, PyTorch's too: where both distances are far above 1e-6 (batch
// norm on the dense layers of a batch of 16), they are those of runs that have parted, and only their size is compared.
// The other networks do not flip here, and the linear ones cannot.
TEST_F(VggParity, FloatLossesAndLogits) {
  for_each_engine([](Engine engine, const std::string& engine_name) {
    worst() = {};
    for (const Json& c : stored_networks()) {
      SCOPED_TRACE(c.at("name").get<std::string>());
      const auto run = train<float>(c, engine);
      const Json& results = c.at("results");
      expect_parity<float>("logits", run.logits, results.at("logits"), factor_of(engine));
      if (run.losses.size() == 1) continue;  // one number's rounding error says nothing
      // The losses are doubles of a float32 network: they are measured as such, against float32's bound.
      const Difference d = difference(run.losses, results.at("losses"));
      const double torch_error = results.at("losses").at("float32_error");
      EXPECT_LE(d.euclidean, factor_of(engine) * torch_error) << "losses";
      const auto name = fmt::format("{}, {}", c.at("name").get<std::string>(), engine_name);
      fmt::print("  {}: error of the losses {:.3g}, PyTorch's {:.3g}\n", name, d.euclidean, torch_error);
      RecordProperty(name + ": error of the losses", fmt::format("{:.3g}, PyTorch's {:.3g}", d.euclidean, torch_error));
    }
    report_worst<float>("logits, " + engine_name);
  });
}

TEST_F(VggParity, FloatGradientOfNetworksThatCannotFlip) {
  for_each_engine([](Engine engine, const std::string& engine_name) {
    worst() = {};
    for (const char* name : {"gradient, linear", "gradient, linear, batch", "linear", "linear, batch"}) {
      const Json& c = stored_network(name);
      const auto run = first_step<float>(c, engine);
      expect_parity<float>(name, run.gradient, c.at("results").at("gradient"));
    }
    report_worst<float>("gradient, " + engine_name);
  });
}

// A unit that flips takes its whole share of the gradient with it, in PyTorch too: so 1e-2, and the flips are counted.
TEST_F(VggParity, FloatGradientOfNetworksThatFlip) {
  for_each_engine([](Engine engine, const std::string& engine_name) {
    for (const char* name : {"gradient, none", "gradient, batch", "none", "batch"}) {
      SCOPED_TRACE(name);
      const Json& c = stored_network(name);
      const ModelOptions options = options_of(c.at("options"));
      const auto run = first_step<float>(c, engine);
      const auto reference = first_step<double>(c, engine);
      const Json& stored = c.at("results").at("gradient");
      const double error = difference(run.gradient, stored).euclidean;
      EXPECT_LE(error, 1e-2);

      const auto layout = make_network<float>(options, kImage, kClasses)->parameters();
      const auto in_float = vgg_activations<float>(options, kImage, kClasses, hash_parameters<float>(layout),
                                                   batch_of_step<float>(0).images, kSamples, engine);
      const auto in_double = vgg_activations<double>(options, kImage, kClasses, hash_parameters<double>(layout),
                                                     batch_of_step<double>(0).images, kSamples, engine);
      // The layers that were run one by one are those of the network, which sums batch statistics in another order.
      EXPECT_TRUE((in_float.logits.reshaped<Eigen::RowMajor>().array() == run.logits.array()).all());
      EXPECT_LE((in_double.logits.reshaped<Eigen::RowMajor>() - reference.logits).norm(),
                1e-13 * reference.logits.norm());
      const Flips flips = count_flips(in_float, in_double, kSamples);
      // Without a flip only rounding is left, in every layer (weight and bias together): 5e-6. The biases of
      // convolutions before a batch norm are left out: their gradient is 0.
      double worst_layer = 0;
      std::map<std::string, std::pair<double, double>> layers;  // ‖error‖² and ‖gradient‖²
      for (const Part& part : layout.parts()) {
        const Vector<double> exact = reference.gradient.segment(part.offset, part.size);
        if (exact.norm() < 1e-10 * reference.gradient.norm()) continue;
        auto& [difference, size] = layers[part.name.substr(0, part.name.rfind('.'))];
        difference += (run.gradient.segment(part.offset, part.size).cast<double>() - exact).squaredNorm();
        size += exact.squaredNorm();
      }
      for (const auto& [layer, sums] : layers) worst_layer = std::max(worst_layer, std::sqrt(sums.first / sums.second));
      if (flips.signs + flips.winners == 0) {
        EXPECT_LE(worst_layer, 5e-6);
      }
      const auto text = fmt::format(
          "gradient error {:.3g}, PyTorch's {:.3g}, of the worst layer {:.3g}; {} of {} ReLU signs and {} of {} "
          "max-pool winners flipped",
          error, stored.at("float32_error").get<double>(), worst_layer, flips.signs, flips.units, flips.winners,
          flips.windows);
      fmt::print("  {}, {}: {}\n", name, engine_name, text);
      RecordProperty(fmt::format("{}, {}", name, engine_name), text);
    }
  });
}

// The counter above can count: weights that are off by 1e-4 in float flip some units, exact ones of a doubled float
// network none.
TEST_F(VggParity, FlipsAreSeen) {
  ModelOptions options;
  options.width = 0.03125;
  const auto theta = hash_parameters<float>(make_network<float>(options, kImage, kClasses)->parameters());
  const auto images = batch_of_step<float>(0).images;
  const auto exact = vgg_activations<double>(options, kImage, kClasses, theta.cast<double>(), images.cast<double>(),
                                             kSamples, Engine::direct);
  const auto count = [&](float factor) {
    const Vector<float> off = theta + factor * hash_values<float>(theta.size(), 1);
    return count_flips(vgg_activations<float>(options, kImage, kClasses, off, images, kSamples, Engine::direct), exact,
                       kSamples);
  };
  const Flips none = count(0.0f), some = count(1e-4f), more = count(1e-2f);
  EXPECT_LT(none.signs + none.winners, 5);
  EXPECT_GT(some.signs, 10);
  EXPECT_GT(some.winners, 1);
  EXPECT_GT(more.signs, 10 * some.signs);
  EXPECT_GT(more.winners, some.winners);
}

}  // namespace
}  // namespace gradscape::testing
