#include "gradscape/study/verify_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <random>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/replay.hpp"
#include "gradscape/store/digest.hpp"
#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/shard_judge.hpp"
#include "gradscape/study/sweep_state.hpp"
#include "gradscape/train/schedule.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

struct DrawnCell {
  std::string sweep;
  std::string shard;
  std::int64_t step = 0;
  std::size_t cell = 0;
};

Error stopped(const RunDirectory& directory) {
  return interruption(directory.root(), "nothing was changed", "call it again");
}

template <class S>
class Verifier {
 public:
  Verifier(const RunDirectory& directory, const Experiment& experiment)
      : directory_(directory),
        experiment_(experiment),
        dataset_(load_data(experiment.data)),
        data_(dataset_.train.fingerprint()),
        process_(experiment.data, experiment.model, experiment.train, dataset_) {}

  Verification run(std::int64_t cells) {
    check_files();
    attempt([&] { require_first_checkpoint(directory_); });
    for (const std::int64_t step : directory_.checkpoint_steps()) attempt([&] { check_checkpoint(step); });
    attempt([&] { check_trace(); });
    for (const std::string& path : directory_.derived_files()) attempt([&] { require_fresh(path); });
    for (const std::string& sweep : directory_.sweeps()) {
      attempt([&] { check_sweep(sweep); });
      if (fs::exists(directory_.landscape_path(sweep))) attempt([&] { check_merged(sweep); });
    }
    check_cells(cells);
    return found_;
  }

 private:
  /// Runs a check; its Error becomes a problem, once.
  template <class Check>
  void attempt(Check&& check) {
    if (interrupted()) throw stopped(directory_);
    try {
      check();
    } catch (const Error& error) {
      if (error.exit_code() == ExitCode::interrupted || error.exit_code() == ExitCode::preempted) throw;
      const bool told =
          std::find(found_.problems.begin(), found_.problems.end(), error.what()) != found_.problems.end();
      if (!told) found_.problems.emplace_back(error.what());
    }
  }

  /// Reading all of a file compares every hash.
  void check_files() {
    std::vector<std::string> paths;
    for (const auto& entry : fs::recursive_directory_iterator(directory_.root())) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && name.ends_with(".h5") && name.front() != '.')
        paths.push_back(entry.path().string());
    }
    std::sort(paths.begin(), paths.end());
    Progress progress("read files", static_cast<std::int64_t>(paths.size()));
    for (const std::string& path : paths) {
      attempt([&] {
        check_content(path);
        require_same_run(read_provenance(open_published(path, "")), experiment_, data_, path);
      });
      progress.update(static_cast<std::int64_t>(++found_.files), fs::path(path).filename().string());
    }
  }

  void check_checkpoint(std::int64_t step) {
    const std::string path = directory_.checkpoint_path(step);
    const TrainingState<S> state = read_own_checkpoint<S>(directory_, step, experiment_, data_, process_);
    const h5::File file = open_published(path, "checkpoint");
    const CheckpointInfo info = read_checkpoint_info(file);
    if (const std::string here = fingerprint(state.theta); here != info.theta_fingerprint)
      throw Error(path,
                  fmt::format("its parameters have the fingerprint {}, and it says {}", here, info.theta_fingerprint));
    const Standardisation& pixels = process_.standardisation();
    const TrainOptions train = parse_experiment(read_provenance(file).config, path).train;
    const auto per_epoch = static_cast<std::int64_t>(process_.steps_per_epoch());
    const bool fits = info.standardisation.mean == pixels.mean && info.standardisation.deviation == pixels.deviation &&
                      info.steps_per_epoch == per_epoch && info.total_steps == total_steps(train, per_epoch) &&
                      info.parameters == static_cast<std::int64_t>(state.theta.size());
    if (!fits) throw Error(path, "its standardisation or its numbers of steps and parameters are not those of its run");
  }

  /// Every step up to the last checkpoint is recorded; damaged files were told of when all were read.
  void check_trace() {
    for (const TraceHole& hole : find_trace_holes(directory_, directory_.checkpoint_steps()))
      if (hole.damaged.empty())
        found_.problems.push_back(hole.problem + "\n  hint: `gradscape train --resume` makes it again");
  }

  /// Shards of one sweep have one set of settings and hold the steps that their names say.
  void check_sweep(const std::string& sweep) {
    const Experiment settings = experiment_of_sweep(directory_, sweep, experiment_);
    attempt([&] { ShardJudge(directory_, sweep, settings, data_).require_none_foreign(); });
    for (const SegmentFile& shard : directory_.shard_files(sweep))
      attempt([&] {
        const h5::File file = open_published(shard.path, "grid");
        require_grid(shard.path, settings);
        for (const std::int64_t step : file.read<std::int64_t>("/step"))
          if (step < shard.first || step >= shard.last)
            throw Error(shard.path, fmt::format("holds step {}: it was renamed", step));
      });
  }

  /// Error where what a grid file says twice differs: its bands from its cells, its multipliers from its settings.
  static Grid require_grid(const std::string& path, const Experiment& settings) {
    Grid grid = read_grid(path);
    if (grid.multipliers != settings.sweep.multipliers)
      throw Error(path, fmt::format("has the multipliers [{}], those of its sweep are [{}]",
                                    fmt::join(grid.multipliers, ", "), fmt::join(settings.sweep.multipliers, ", ")));
    return grid;
  }

  /// A merged file holds what the shards hold. Steps without a shard are the business of `status`.
  void check_merged(const std::string& sweep) {
    const std::string path = directory_.landscape_path(sweep);
    const Grid merged = require_grid(path, experiment_of_sweep(directory_, sweep, experiment_));
    for (const SegmentFile& shard : directory_.shard_files(sweep))
      attempt([&] {
        for (const SweepRecord& record : read_grid(shard.path).records) {
          const auto there = std::lower_bound(merged.records.begin(), merged.records.end(), record.step,
                                              [](const SweepRecord& r, std::int64_t step) { return r.step < step; });
          if (there == merged.records.end() || there->step != record.step || is_hole(*there)) continue;
          if (const auto difference = record_difference(*there, record, merged.multipliers); !difference.empty())
            throw Error(path, fmt::format("at step {}, {} in {}", record.step, difference, shard.path),
                        "`gradscape merge` makes it again");
        }
      });
  }

  static bool is_hole(const SweepRecord& record) {
    return std::all_of(record.cells.begin(), record.cells.end(),
                       [](const Cell& cell) { return cell.status == CellStatus::not_done; });
  }

  void check_cells(std::int64_t count) {
    std::vector<DrawnCell> all, drawn;
    for (const std::string& sweep : directory_.sweeps())
      for (const SegmentFile& shard : directory_.shard_files(sweep)) try {
          const h5::File file = open_published(shard.path, "grid");
          const std::size_t columns = file.read<double>("/alpha").size();
          for (const std::int64_t step : file.read<std::int64_t>("/step"))
            for (std::size_t cell = 0; cell < columns; ++cell) all.push_back({sweep, shard.path, step, cell});
        } catch (const Error&) {  // told of above
        }
    found_.stored_cells = all.size();
    std::mt19937_64 chance{std::random_device{}()};
    std::sample(all.begin(), all.end(), std::back_inserter(drawn), count, chance);
    Progress progress("recompute cells", static_cast<std::int64_t>(drawn.size()));
    std::unique_ptr<StepProber<S>> prober;
    std::string prepared;
    for (const DrawnCell& cell : drawn) {
      attempt([&] {
        if (!prober || prepared != cell.sweep) {
          const Experiment settings = experiment_of_sweep(directory_, cell.sweep, experiment_);
          prober = std::make_unique<StepProber<S>>(settings.sweep, process_, floor_segment(directory_));
          prepared = cell.sweep;
        }
        check_cell(cell, *prober);
      });
      progress.update(static_cast<std::int64_t>(++found_.cells), fmt::format("step {}", cell.step));
    }
  }

  void check_cell(const DrawnCell& cell, StepProber<S>& prober) {
    const Grid grid = read_grid(cell.shard);
    const auto stored = std::find_if(grid.records.begin(), grid.records.end(),
                                     [&](const SweepRecord& record) { return record.step == cell.step; });
    check(stored != grid.records.end(), "the shard held the step a moment ago");
    const SweepRecord made = recompute(cell.step, prober);
    if (const auto difference = record_difference(made, *stored, grid.multipliers); !difference.empty())
      throw Error(cell.shard, fmt::format("at step {}, {}", cell.step, difference),
                  "here: recomputed, there: stored. It was made by another program, or changed; without it `gradscape "
                  "sweep` computes it again");
  }

  SweepRecord recompute(std::int64_t step, StepProber<S>& prober) {
    provide_floor(prober, step, directory_, experiment_, data_, process_);
    const auto checkpoints = directory_.checkpoint_steps();
    const auto after = std::upper_bound(checkpoints.begin(), checkpoints.end(), step);
    if (after == checkpoints.begin())
      throw Error(directory_.root(), fmt::format("has no checkpoint at or before step {}", step));
    TrainingState<S> state = read_own_checkpoint<S>(directory_, *(after - 1), experiment_, data_, process_);
    SweepRecord made;
    const auto observe = [&](const StepView<S>& view) {
      if (view.record.step == step) made = prober.probe_step(view);
    };
    if (step == process_.total_steps()) {
      process_.preview(state, observe);
      return made;
    }
    const WholeTrace trace = read_whole_trace(directory_, state.step, step + 1);
    if (!replay<S>(process_, state, step + 1, trace.steps, observe, [] { return !interrupted(); }))
      throw stopped(directory_);
    return made;
  }

  const RunDirectory& directory_;
  const Experiment& experiment_;
  const Dataset& dataset_;
  std::string data_;
  TrainingProcess<S> process_;
  Verification found_;
};

}  // namespace

Verification verify_run(const RunDirectory& directory, const std::string& data_path, std::int64_t cells) {
  Experiment experiment = read_stored_experiment(directory);
  if (!data_path.empty()) experiment.data.path = data_path;
  return with_precision(experiment, [&]<class S>() { return Verifier<S>(directory, experiment).run(cells); });
}

}  // namespace gradscape
