#include "gradscape/cost/unit_costs.hpp"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/process_usage.hpp"
#include "gradscape/host/scratch_folder.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/checkpoint_spacing.hpp"
#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

/// CPU seconds since the last call, or since construction.
class CpuLap {
 public:
  double operator()() {
    const double now = cpu_seconds();
    return now - std::exchange(last_, now);
  }

 private:
  double last_ = cpu_seconds();
};

constexpr double kEnough = 1.0;  // CPU seconds of one kind of work that say what it costs
constexpr int kFewest = 2;       // repetitions that are counted, however long they take
constexpr int kFloorEvery = 4;   // probed steps from one noise floor to the next
constexpr int kMostFloors = 8;

/// Mean CPU seconds of work(), after one call that is not counted.
template <class Work>
double mean_cost(Work&& work, const std::function<void()>& working) {
  work();
  CpuLap lap;
  double sum = 0;
  int count = 0;
  while (count < kFewest || sum < kEnough) {
    if (interrupted()) throw interruption("", "", "");
    work();
    sum += lap();
    ++count;
    working();
    if (count >= 1000) break;
  }
  return sum / count;
}

/// The line through the costs of `few` and of `many`.
LinearCost line(double few, double cost_of_few, double many, double cost_of_many) {
  const double each = std::max(0.0, (cost_of_many - cost_of_few) / (many - few));
  return {std::max(0.0, cost_of_few - few * each), each};
}

template <class S>
class CostTimer {
 public:
  CostTimer(const Experiment& experiment, const std::function<void()>& working)
      : experiment_(experiment), working_(working), dataset_(timed_load()), process_(make_process()) {}

  UnitCosts run() {
    const std::int64_t loading = peak_memory();
    reset_peak_memory();
    costs_.total_steps = process_.total_steps();
    CpuLap lap;
    TrainingState<S> state = process_.initial_state();
    costs_.init = lap();
    time_training(state);
    time_checkpoint(state);
    costs_.train_memory_bytes = std::max(loading, peak_memory());
    time_traces();
    std::vector<std::string> kinds = surveys_beside(experiment_.sweep);
    kinds.insert(kinds.begin(), "sweep");
    for (const std::string& kind : kinds) {
      reset_peak_memory();
      SurveyCosts survey{.kind = kind};
      const Table rows = time_rows(state, survey);
      survey.memory_bytes = std::max(loading, peak_memory());
      time_shards(rows, survey);
      costs_.surveys.push_back(survey);
    }
    return costs_;
  }

 private:
  std::shared_ptr<const Dataset> timed_load() {
    CpuLap lap;
    auto dataset = load_data(experiment_.data);
    costs_.load = lap();
    return dataset;
  }

  TrainingProcess<S> make_process() {
    CpuLap lap;
    TrainingProcess<S> process(experiment_.data, experiment_.model, experiment_.train, *dataset_);
    experiment_ = with_checkpoint_spacing(experiment_, process);
    costs_.checkpoint_every = experiment_.train.checkpoint_every;
    provenance_ = make_provenance(experiment_, *dataset_);
    costs_.setup = lap();
    return process;
  }

  void time_training(TrainingState<S>& state) {
    costs_.step = mean_cost([&] { process_.advance(state, {}); }, working_);
    const ImageSet& images = dataset_->test;
    if (images.size() == 0) return;
    const Index batch_size = std::min<Index>(experiment_.train.batch_size, images.size());
    const Pass pass{Mode::evaluation, static_cast<std::uint64_t>(experiment_.train.seed), 0};
    const double batch_cost = mean_cost(
        [&] {
          const Batch<S> batch = plain_batch<S>(images, process_.standardisation(), 0, batch_size);
          process_.network().evaluate(state.theta, state.buffers, batch, pass);
        },
        working_);
    costs_.test = batch_cost * static_cast<double>(images.size()) / static_cast<double>(batch_size);
  }

  void time_checkpoint(const TrainingState<S>& state) {
    const std::string path = scratch_.path() + "/checkpoint.h5";
    CpuLap lap;
    write_checkpoint(path, provenance_, state, process_);
    costs_.checkpoint_write = lap();
    costs_.checkpoint_bytes = size_of(path);
    require_same_run(read_provenance(open_published(path, "checkpoint")), experiment_, provenance_.data_fingerprint,
                     path);
    require_same_state(state, read_checkpoint<S>(path, process_), path);
    costs_.checkpoint_read = lap();
  }

  /// Rows without and with a noise floor, in turns: it makes the step's own probes dearer too, as memory is given back
  /// and taken again.
  Table time_rows(TrainingState<S>& state, SurveyCosts& costs) {
    while (state.step % kFloorEvery != 0) process_.advance(state, {});  // where a floor is measured
    SweepOptions options = experiment_.sweep;
    set_step_ranges({{state.step, -1, 1}}, options);
    const auto survey = open_survey<S>(costs.kind, options, {}, process_, kFloorEvery);
    Table rows = survey->begin();
    double first = 0, with_floor = 0, without = 0;
    int floors = 0, plain = 0;
    for (int done = 0; plain < 1 || (with_floor + without < kEnough && floors < kMostFloors); ++done) {
      if (interrupted()) throw interruption("", "", "");
      process_.advance(state, [&](const StepView<S>& view) {
        // Where a floor is measured is where the next step would ask for it.
        const bool measures = survey->needs(view.record.step + 1) == view.record.step;
        CpuLap lap;
        survey->add(view, rows);
        const double cost = lap();
        if (done == 0) {
          first = cost;
          costs.floors = measures;
        } else if (measures) {
          with_floor += cost;
          ++floors;
        } else {
          without += cost;
          ++plain;
        }
      });
      working_();
    }
    costs.row = without / plain;
    if (costs.floors) costs.floor = std::max(0.0, (floors > 0 ? with_floor / floors : first) - costs.row);
    return rows;
  }

  void time_traces() {
    const std::string path = scratch_.path() + "/trace.h5";
    const auto time = [&](std::size_t steps, double& writing, double& reading) {
      Trace trace;
      trace.steps.resize(steps);
      trace.tests.resize(1);
      for (std::size_t i = 0; i < steps; ++i) trace.steps[i].step = static_cast<std::int64_t>(i);
      writing = mean_of_files([&] { write_trace(path, provenance_, trace); });
      reading = mean_of_files([&] { (void)read_trace(path); });
      return static_cast<double>(size_of(path));
    };
    fit(1, 1000, time, costs_.trace_bytes, costs_.trace_write, costs_.trace_read);
  }

  /// Files of a survey with one of its rows, again and again.
  void time_shards(const Table& rows, SurveyCosts& costs) {
    const std::string path = scratch_.path() + "/shard.h5";
    const SurveyKind& kind = survey_kind(costs.kind);
    const auto time = [&](std::size_t size, double& writing, double& reading) {
      Table table = without_rows(rows);
      for (std::size_t i = 0; i < size; ++i) {
        append_row(rows, 0, table);
        table.dimensions.front().values.back() = static_cast<double>(i);
      }
      writing = mean_of_files([&] { write_table(path, provenance_, table); });
      reading = mean_of_files([&] {
        require_same_run(read_provenance(open_published(path, table.kind)), experiment_, provenance_.data_fingerprint,
                         path);
        const Table read = read_table(path, kind.schema());
        if (kind.check != nullptr) kind.check(read, path);
      });
      return static_cast<double>(size_of(path));
    };
    fit(1, 200, time, costs.bytes, costs.write, costs.read);
  }

  template <class Time>
  static void fit(std::size_t few, std::size_t many, Time&& time, LinearCost& bytes, LinearCost& write,
                  LinearCost& read) {
    double write_few = 0, read_few = 0, write_many = 0, read_many = 0;
    const double bytes_few = time(few, write_few, read_few);
    const double bytes_many = time(many, write_many, read_many);
    const auto a = static_cast<double>(few), b = static_cast<double>(many);
    bytes = line(a, bytes_few, b, bytes_many);
    write = line(a, write_few, b, write_many);
    read = line(a, read_few, b, read_many);
  }

  template <class Work>
  double mean_of_files(Work&& work) {
    constexpr int kFiles = 5;
    if (interrupted()) throw interruption("", "", "");
    CpuLap lap;
    for (int i = 0; i < kFiles; ++i) work();
    working_();
    return lap() / kFiles;
  }

  static std::int64_t size_of(const std::string& path) {
    return static_cast<std::int64_t>(std::filesystem::file_size(path));
  }

  Experiment experiment_;
  const std::function<void()>& working_;
  UnitCosts costs_;
  std::shared_ptr<const Dataset> dataset_;
  Provenance provenance_;
  TrainingProcess<S> process_;
  ScratchFolder scratch_;
};

}  // namespace

UnitCosts UnitCosts::with_arithmetic(double factor) const {
  UnitCosts costs = *this;
  for (double* part : {&costs.step, &costs.test}) *part *= factor;
  for (SurveyCosts& survey : costs.surveys) {
    survey.row *= factor;
    survey.floor *= factor;
  }
  return costs;
}

UnitCosts measure_unit_costs(const Experiment& experiment, const std::function<void()>& working) {
  return with_precision(experiment, [&]<class S>() { return CostTimer<S>(experiment, working).run(); });
}

}  // namespace gradscape
