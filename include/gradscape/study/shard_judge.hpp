// The one judgement on the shards of a survey, which `sweep`, `status`, `verify`, `merge` and `run` share.
#pragma once

#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "gradscape/core/error.hpp"
#include "gradscape/core/table.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/survey_plan.hpp"

namespace gradscape {

/// whole: can be read, is this run's and survey's, and holds the segment's steps. incomplete: the same, without some of
/// the steps, as when fewer were wanted. damaged: cannot be read, holds steps of other segments, or was computed by
/// another program while the survey's shards are of several: it will be computed again. foreign: of another run, or
/// with other settings: it is left alone until the user has decided.
enum class ShardState { absent, whole, incomplete, damaged, foreign };

struct ShardCheck {
  ShardState state = ShardState::absent;
  std::string problem;  // where and what, of a damaged or foreign one
  Table rows;           // of a whole or incomplete one
};

/// Whose [sweep] counts: the one that is asked for, or the one that the shards were made with.
enum class Settings { asked, of_shards };

class ShardJudge {
 public:
  /// `settings`: the run's configuration with the [sweep] that is meant, or its stored one. Looks at the roots of all
  /// the survey's shards.
  ShardJudge(const RunDirectory& directory, SurveyId survey, const Experiment& settings, std::string data_fingerprint,
             Settings whose = Settings::asked);

  /// The settings; their steps are those asked for and all that the shards were made for.
  const Experiment& settings() const { return settings_; }

  /// Sets the dimensions that tables of the survey must have: others are foreign. Without this call the first whole
  /// shard sets them.
  void expect(const Table& shape) { shape_ = without_rows(shape); }

  /// Error (naming the fields) where a shard is another run's, UsageError where it was made with other settings.
  void require_none_foreign() const;

  /// Reads a segment's shard. Error where it cannot be read now.
  ShardCheck check(const Segment& segment) const;

  /// The rows that need not be made again of a segment that is not whole: those of the shard and of what a stopped
  /// survey has left, if this program made them and they are as the recorded training `trace` would have them.
  /// `problem` says what is wrong with the rest.
  ShardCheck begun(const Segment& segment, const WholeTrace& trace) const;

 private:
  ShardCheck judge(const std::string& path, const Segment& segment, const WholeTrace* trace) const;
  void adopt_settings();
  void require_own(const h5::File& file) const;
  void require_shape(const Table& table, const std::string& path) const;

  RunDirectory directory_;
  SurveyId survey_;
  Experiment settings_;
  std::string data_;
  mutable std::optional<Table> shape_;
  std::exception_ptr foreign_;      // what is wrong with the first such shard
  bool mixed_ = false;              // the shards are of several programs
  mutable std::string own_config_;  // of the last own shard: most have the same, which need not be read again
};

}  // namespace gradscape
