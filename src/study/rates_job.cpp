#include "gradscape/study/rates_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/core/extremes.hpp"
#include "gradscape/landscape/step_survey.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

struct RateRun {
  RunDirectory directory;
  Experiment experiment;
  Provenance provenance;
  WholeTrace trace;
};

RateRun read_run(const RunDirectory& directory) {
  const Experiment experiment = read_stored_experiment(directory);
  const std::int64_t total = total_steps(experiment.train, last_checkpoint(directory).steps_per_epoch);
  const auto checkpoints = directory.checkpoint_steps();
  if (checkpoints.back() < total)
    throw Error(directory.root(), fmt::format("is trained to step {} of {}", checkpoints.back(), total),
                "finish it with --resume");
  const Provenance provenance = read_provenance(open_published(directory.checkpoint_path(total), "checkpoint"));
  return {directory, experiment, provenance, read_whole_trace(directory, 0, total + 1)};
}

/// Error unless the two differ in train.lr alone.
void require_same_but_rate(const RateRun& a, const RateRun& b) {
  Experiment other = b.experiment;
  other.train.lr = a.experiment.train.lr;
  std::vector<std::string> list = identity_differences(a.experiment, other);
  if (a.experiment.experiment.variant != other.experiment.variant) list.emplace_back("the variant differs");
  if (a.provenance.data_fingerprint != b.provenance.data_fingerprint) list.emplace_back("the training images differ");
  if (!list.empty())
    throw Error(
        b.directory.root(),
        fmt::format("differs from {} in more than its learning rate: {}", a.directory.root(), fmt::join(list, "; ")),
        "move one of them elsewhere");
}

/// The steps of a trace's records; Error where a run has others than the first.
template <class Records>
std::vector<double> common_steps(const std::vector<RateRun>& runs, Records WholeTrace::*records, const char* what) {
  const auto steps_of = [&](const RateRun& run) {
    std::vector<double> steps;
    for (const auto& [step, record] : run.trace.*records) steps.push_back(static_cast<double>(step));
    return steps;
  };
  const std::vector<double> steps = steps_of(runs.front());
  for (const RateRun& run : runs)
    if (steps_of(run) != steps)
      throw Error(run.directory.root(), fmt::format("has not the {} of {}", what, runs.front().directory.root()),
                  "train all rates with the same train.steps and train.test_every");
  return steps;
}

template <class Records, class Value>
std::vector<double> collect(const std::vector<RateRun>& runs, Records WholeTrace::*records, Value&& value) {
  std::vector<double> values;
  for (const RateRun& run : runs)
    for (const auto& [step, record] : run.trace.*records) values.push_back(value(record));
  return values;
}

}  // namespace

std::string unite_rates(const std::string& folder, const std::vector<RunDirectory>& directories) {
  std::vector<RateRun> runs;
  for (const RunDirectory& directory : directories) {
    runs.push_back(read_run(directory));
    require_same_but_rate(runs.front(), runs.back());
  }
  std::sort(runs.begin(), runs.end(),
            [](const RateRun& a, const RateRun& b) { return a.experiment.train.lr < b.experiment.train.lr; });
  Dimension rate{"lr", "1", "train.lr of the run", {}};
  for (const RateRun& run : runs) rate.values.push_back(run.experiment.train.lr);
  Dimension step = step_dimension();
  step.values = common_steps(runs, &WholeTrace::steps, "training steps");
  Dimension test_step{"test_step", "step", "number of updates before a test", {}, {}, Element::int64};
  test_step.values = common_steps(runs, &WholeTrace::tests, "tests");
  const auto loss = collect(runs, &WholeTrace::steps, [](const TraceRecord& record) { return record.loss; });
  const auto accuracy = collect(runs, &WholeTrace::steps, [](const TraceRecord& record) { return record.accuracy; });
  const auto test_loss = collect(runs, &WholeTrace::tests, [](const TestRecord& record) { return record.loss; });
  const auto test_accuracy =
      collect(runs, &WholeTrace::tests, [](const TestRecord& record) { return record.accuracy; });
  std::vector<double> least, largest;  // over the runs, at each step
  for (std::size_t i = 0; i < step.size(); ++i) {
    Extremes extremes;
    for (std::size_t k = i; k < loss.size(); k += step.size()) extremes.add(loss[k]);
    least.push_back(extremes.min);
    largest.push_back(extremes.max);
  }
  const Table table{
      "runs",
      {},
      {rate, step, test_step},
      {{"loss", "loss", "training loss of the step's batch", {"lr", "step"}, loss},
       {"accuracy", "1", "fraction of the step's batch classified right", {"lr", "step"}, accuracy},
       {"loss_min", "loss", "smallest training loss over the runs", {"step"}, least},
       {"loss_max", "loss", "largest training loss over the runs", {"step"}, largest},
       {"test_loss", "loss", "loss on the test images", {"lr", "test_step"}, test_loss},
       {"test_accuracy", "1", "fraction of the test images classified right", {"lr", "test_step"}, test_accuracy}}};
  const std::string path = folder + "/runs.h5";
  const Sources sources = Sources::of(folder, {"lr-*/trace/segment-*.h5"});
  write_table(path, runs.front().provenance, table, &sources);
  return path;
}

}  // namespace gradscape
