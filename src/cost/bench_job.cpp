#include "gradscape/cost/bench_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/host/scratch_folder.hpp"
#include "gradscape/landscape/sweep_survey.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

/// Seconds since the last call, or since construction.
class Lap {
 public:
  double operator()() {
    const auto now = Clock::now();
    return std::chrono::duration<double>(now - std::exchange(last_, now)).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_ = Clock::now();
};

/// Repetitions that are not counted. The first measures the sweep's noise floor, which gives memory back.
constexpr int kWarmUps = 2;

/// The experiment on images of the benchmark's own, with as many steps as there will be.
Experiment own_experiment(Experiment experiment, int steps) {
  const DataOptions given = experiment.data;
  experiment.data = {};
  experiment.data.standardise = given.standardise;
  experiment.data.augment_flip = given.augment_flip;
  experiment.data.augment_crop = given.augment_crop;
  experiment.data.synthetic_train = experiment.train.batch_size;
  experiment.data.synthetic_test = 0;
  experiment.sweep.every = 1;
  experiment.sweep.first = 0;
  experiment.sweep.last = -1;
  experiment.train.steps = steps;
  experiment.train.epochs = 0;
  return experiment;
}

/// Seconds of every repetition.
struct Samples {
  std::vector<double> forward, forward_backward, probed_step, training_step, probes, storing;
  std::vector<LayerTimes> layers;
};

template <class S>
class BenchJob {
 public:
  BenchJob(const Experiment& experiment, const BenchRequest& request)
      : experiment_(own_experiment(experiment, request.repetitions + kWarmUps)),
        request_(request),
        dataset_(load_dataset(experiment_.data)),
        provenance_(make_provenance(experiment_, dataset_)),
        process_(experiment_.data, experiment_.model, experiment_.train, dataset_),
        survey_(experiment_.sweep, process_, experiment_.train.steps + 1),
        state_(process_.initial_state()) {}

  BenchResult run() {
    BenchResult result;
    if (::getloadavg(&result.load_before, 1) != 1) result.load_before = -1;
    result.cpu = read_cpu_info();
    result.threads = parallel::threads();
    result.peaks = measure_fma_peaks<S>();
    result.parameters = process_.network().parameters().size();
    result.forward_flops = process_.network().flops();

    Samples samples;
    for (int i = 0; i < kWarmUps; ++i) repetition(samples);
    samples = {};
    Progress progress("bench", request_.repetitions);
    for (int done = 0; done < request_.repetitions; ++done) {
      repetition(samples);
      progress.update(done + 1, fmt::format("{:.3f} s per probed step", samples.probed_step.back()));
    }
    fill_rows(samples, result);
    if (request_.layers) fill_layers(samples.layers, result);
    return result;
  }

 private:
  void repetition(Samples& samples) {
    if (interrupted()) throw interruption("", "", "");
    Network<S>& network = process_.network();
    const Batch<S> batch = process_.batches().template batch<S>(state_.step);
    const Pass pass{Mode::train, static_cast<std::uint64_t>(experiment_.train.seed),
                    static_cast<std::uint32_t>(state_.step)};
    LayerTimes times;
    Lap lap;
    network.evaluate(state_.theta, state_.buffers, batch, pass, {.new_buffers = &new_buffers_});
    samples.forward.push_back(lap());
    network.evaluate(state_.theta, state_.buffers, batch, pass,
                     {.grad = &grad_, .new_buffers = &new_buffers_, .times = request_.layers ? &times : nullptr});
    samples.forward_backward.push_back(lap());
    samples.layers.push_back(std::move(times));

    Lap whole;
    double probing = 0;
    double storing = 0;
    process_.advance(state_, [&](const StepView<S>& view) {
      Lap part;
      Table table = survey_.begin();
      survey_.add(view, table);
      probing = part();
      write_table(scratch_.path() + "/shard.h5", provenance_, table);
      storing = part();
    });
    const double all = whole();
    samples.probed_step.push_back(all);
    samples.training_step.push_back(all - probing - storing);
    samples.probes.push_back(probing);
    samples.storing.push_back(storing);
  }

  void fill_rows(const Samples& samples, BenchResult& result) const {
    const double forward = result.forward_flops * static_cast<double>(experiment_.train.batch_size);
    const double both = 3 * forward;
    // Probes in double in a float run take the gradient at theta again, in double.
    const bool again = experiment_.sweep.precision == "double" && experiment_.train.precision != "double";
    const double probes = both * static_cast<double>(experiment_.sweep.points().size() + (again ? 1 : 0));
    result.forward = {"forward", forward, make_timing(samples.forward)};
    result.forward_backward = {"forward + backward", both, make_timing(samples.forward_backward)};
    result.probed_step = {"probed step", both + probes, make_timing(samples.probed_step)};
    result.training_step = {"training step", both, make_timing(samples.training_step)};
    result.probes = {"probes", probes, make_timing(samples.probes)};
    result.storing = {"storing", 0, make_timing(samples.storing)};
  }

  void fill_layers(const std::vector<LayerTimes>& times, BenchResult& result) {
    const auto timing = [&](auto&& seconds) {
      std::vector<double> list;
      for (const LayerTimes& one : times) list.push_back(seconds(one));
      return make_timing(list);
    };
    const auto& layers = process_.network().layers();
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const double flops = layers[i]->flops() * static_cast<double>(experiment_.train.batch_size);
      result.layers.push_back(
          {layers[i]->describe(),
           {"forward", flops, timing([i](const LayerTimes& one) { return one.forward[i]; })},
           {"backward", 2 * flops, timing([i](const LayerTimes& one) { return one.backward[i]; })}});
    }
    // The loss computes its gradient along with its value.
    result.layers.push_back({experiment_.model.loss,
                             {"forward", 0, timing([](const LayerTimes& one) { return one.loss; })},
                             {"backward", 0, {}}});
  }

  Experiment experiment_;
  BenchRequest request_;
  Dataset dataset_;
  Provenance provenance_;
  TrainingProcess<S> process_;
  SweepSurvey<S> survey_;
  TrainingState<S> state_;
  ScratchFolder scratch_;
  Vector<S> grad_;
  Vector<S> new_buffers_;
};

}  // namespace

Timing make_timing(std::vector<double> seconds) {
  check(!seconds.empty(), "there is a repetition");
  std::sort(seconds.begin(), seconds.end());
  const std::size_t middle = seconds.size() / 2;
  const double median = seconds.size() % 2 == 1 ? seconds[middle] : (seconds[middle - 1] + seconds[middle]) / 2;
  return {median, seconds.front(), seconds.back()};
}

BenchResult bench(const Experiment& experiment, const BenchRequest& request) {
  return with_precision(experiment, [&]<class S>() { return BenchJob<S>(experiment, request).run(); });
}

}  // namespace gradscape
