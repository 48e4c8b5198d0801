// The loss of a fixed set of images on a batch's ray, against PyTorch (parity/data/set_probes.json).
#include <gtest/gtest.h>

#include "gradscape/landscape/sweep.hpp"
#include "support/errors.hpp"
#include "support/parity.hpp"
#include "support/small_runs.hpp"

namespace gradscape::testing {
namespace {

/// The images of make_parity.py's set_probe.
ImageSet hashed_images(Index count, std::uint32_t seed) {
  ImageSet images{{32, 32, 3}, 10, {}, {}};
  for (Index i = 0; i < count * images.shape.size(); ++i)
    images.bytes().push_back(static_cast<std::uint8_t>(hash32(i, seed) % 256));
  for (const int label : hash_labels(count, seed + 1, 10)) images.labels.push_back(label);
  return images;
}

SmallRun run_of(const Json& c) {
  SmallRun run{{"hashed", hashed_images(16, 5000), hashed_images(40, 5002)}, {}, {}, {}};
  run.model.width = c.at("options").at("width");
  run.model.norm = c.at("options").value("norm", "none");
  run.train.batch_size = 16;
  run.train.steps = 1;
  run.train.lr = c.at("lr");
  return run;
}

SweepOptions options_of(const Json& c) {
  SweepOptions options;
  options.multipliers = c.at("multipliers").get<std::vector<double>>();
  options.on = "test";
  options.mode = c.at("mode");
  options.on_images = c.at("images");
  options.on_gradients = true;
  return options;
}

/// The first step, at the weights of make_parity.py.
template <class S>
SweepRecord probe_first_step(const SmallRun& run, const SweepOptions& options) {
  const auto process = run.process<S>();
  StepProber<S> prober(options, *process, 1);
  TrainingState<S> state = process->initial_state();
  state.theta = hash_parameters<S>(process->network().parameters());
  SweepRecord record;
  process->preview(state, [&](const StepView<S>& view) { record = prober.probe_step(view); });
  return record;
}

void expect_parity(const SweepRecord& record, const Json& c) {
  const auto near = [](const char* name, double found, double torch) {
    EXPECT_NEAR(found, torch, 1e-9 * std::abs(torch)) << name;
  };
  const Json& at_theta = c.at("at_theta");
  near("loss at theta", record.set.at_theta.loss, at_theta.at("loss"));
  near("accuracy at theta", record.set.at_theta.accuracy, at_theta.at("accuracy"));
  near("gradient at theta", record.set.at_theta.grad_norm, at_theta.at("grad_norm"));
  near("cosine", record.set.grad_cos, c.at("grad_cos"));
  const Json& cells = c.at("cells");
  ASSERT_EQ(record.set.cells.size(), cells.at("loss").size());
  for (std::size_t i = 0; i < record.set.cells.size(); ++i) {
    SCOPED_TRACE("cell " + std::to_string(i));
    const SetValue& cell = record.set.cells[i];
    near("loss", cell.loss, cells.at("loss")[i]);
    near("accuracy", cell.accuracy, cells.at("accuracy")[i]);
    near("gradient", cell.grad_norm, cells.at("grad_norm")[i]);
    near("difference", cell.grad_diff, cells.at("grad_diff")[i]);
  }
}

TEST(SetProbe, IsThatOfPyTorch) {
  const Json file = load_parity("set_probes");
  for (const Json& c : file.at("cases")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    expect_parity(probe_first_step<double>(run_of(c), options_of(c)), c);
  }
}

// Step sizes m·lr in place of multipliers m are the same points; a float run probed in double is the double run where
// float holds its weights and images (the standardised bytes it does not: they are float's).
TEST(SetProbe, StepSizesAreThePointsOfTheirMultipliers) {
  const Json c = load_parity("set_probes").at("cases")[1];
  SweepOptions options = options_of(c);
  for (const double m : options.multipliers) options.step_sizes.push_back(m * c.at("lr").get<double>());
  const SweepRecord record = probe_first_step<double>(run_of(c), options);
  expect_parity(record, c);
  const SweepRecord by_multiplier = probe_first_step<double>(run_of(c), options_of(c));
  for (std::size_t i = 0; i < record.cells.size(); ++i) {
    EXPECT_NEAR(record.cells[i].loss, by_multiplier.cells[i].loss, 1e-12);
    EXPECT_NEAR(record.cells[i].distance, by_multiplier.cells[i].distance, 1e-12);
    EXPECT_GT(record.cells[i].distance, 0) << "also behind theta";
  }
}

TEST(SetProbe, FloatIsDoubleToRounding) {
  const Json c = load_parity("set_probes").at("cases")[0];
  SweepOptions options = options_of(c);
  const SweepRecord in_float = probe_first_step<float>(run_of(c), options);
  options.precision = "double";
  const SweepRecord in_double = probe_first_step<float>(run_of(c), options);
  for (std::size_t i = 0; i < in_float.set.cells.size(); ++i) {
    const double torch = c.at("cells").at("loss")[i];
    EXPECT_NEAR(in_float.set.cells[i].loss, torch, 1e-5 * torch);
    EXPECT_NEAR(in_double.set.cells[i].loss, torch, 1e-6 * torch);
  }
}

TEST(SetProbe, WithoutGradientsThereAreNone) {
  const Json c = load_parity("set_probes").at("cases")[1];
  SweepOptions options = options_of(c);
  options.on_gradients = false;
  const SweepRecord record = probe_first_step<double>(run_of(c), options);
  EXPECT_NEAR(record.set.cells[2].loss, c.at("cells").at("loss")[2].get<double>(), 1e-9);
  EXPECT_TRUE(std::isnan(record.set.cells[2].grad_norm) && std::isnan(record.set.grad_cos));
}

TEST(SetProbe, BandsAreOfTheCellsInFront) {
  const std::vector<SetValue> cells = {{9, 0, 0, 0}, {2, 0, 0, 0}, {3, 0, 0, 0}};
  const SetBands bands = make_bands(cells, {-1, 0.5, 2});
  EXPECT_EQ(bands.loss_min, 2);
  EXPECT_EQ(bands.loss_max, 3);
}

TEST(SetProbe, PositionsAreEvenlySpaced) {
  EXPECT_EQ(spaced_positions(10, 4), (std::vector<std::int32_t>{0, 2, 5, 7}));
  EXPECT_EQ(spaced_positions(3, 0), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(spaced_positions(3, 8), (std::vector<std::int32_t>{0, 1, 2})) << "no more than there are";
}

TEST(SetProbe, RefusesSetsThatCannotBe) {
  SmallRun run = mlp_run(1);  // batches of 8, batch norm on dense layers
  const auto process = run.process<double>();
  SweepOptions options;
  options.on = "test";
  options.on_images = 9;
  expect_error<UsageError>([&] { SetProbe<double>(options, *process); },
                           {"sweep.on_images", "9 leave a batch of 1", "evaluation"});
  options.mode = "evaluation";
  EXPECT_EQ(SetProbe<double>(options, *process).size(), 9);
  run.dataset.test = {run.dataset.train.shape, 3, {}, {}};
  const auto without = run.process<double>();
  expect_error<UsageError>([&] { SetProbe<double>(options, *without); }, {"sweep.on", "no test images"});
}

}  // namespace
}  // namespace gradscape::testing
