// The one judgement on the shards of a sweep, which `sweep`, `status`, `verify`, `merge` and `run` share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gradscape/core/error.hpp"
#include "gradscape/store/grid_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/sweep_plan.hpp"

namespace gradscape {

/// whole: can be read, is this run's and sweep's, and holds the segment's steps. damaged: cannot be read, holds other
/// steps, or was computed by another program while the sweep's shards are of several: it is to be made again. foreign:
/// of another run, or with other settings: nothing is to be done before the user has decided.
enum class ShardState { absent, whole, damaged, foreign };

struct ShardCheck {
  ShardState state = ShardState::absent;
  std::string problem;               // where and what, of a damaged or foreign one
  std::vector<SweepRecord> records;  // of a whole one
};

class ShardJudge {
 public:
  /// `settings`: the run's configuration with the sweep's [sweep]. Looks at the roots of all shards of sweep `name`.
  ShardJudge(const RunDirectory& directory, std::string name, const Experiment& settings, std::string data_fingerprint);

  /// Error (naming the fields) where a shard is another run's, UsageError where it was made with other settings.
  void require_none_foreign() const;

  /// Reads a segment's shard. Error where it cannot be read now.
  ShardCheck check(const Segment& segment) const;

  /// Reads what a stopped sweep has left of a segment: whole where it holds the segment's first probed steps, as the
  /// recorded training `trace` and this program would have them.
  ShardCheck check_partial(const Segment& segment, const WholeTrace& trace) const;

 private:
  /// Reads one file; `fits` throws an Error where its records are not those that are wanted.
  template <class Fits>
  ShardCheck judge(const std::string& path, Fits&& fits) const;
  void require_own(const h5::File& file) const;

  RunDirectory directory_;
  std::string name_;
  Experiment settings_;
  std::string data_;
  std::optional<Error> foreign_;    // what is wrong with the first such shard
  bool mixed_ = false;              // the shards are of several programs
  mutable std::string own_config_;  // of the last own shard: most have the same, which need not be read again
};

/// The run's configuration with the [sweep] that the shards of sweep `name` were made with, the stored one where there
/// is no shard. `stored` is the run's own.
Experiment experiment_of_sweep(const RunDirectory& directory, const std::string& name, Experiment stored);

}  // namespace gradscape
