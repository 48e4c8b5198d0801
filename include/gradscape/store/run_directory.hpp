#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gradscape {

/// A file of a run that covers training steps [first, last).
struct SegmentFile {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::string path;
};

/// A survey of a run's steps: its kind (landscape/survey_kinds.hpp), and a name that tells it from others of the kind.
struct SurveyId {
  std::string kind = "sweep";
  std::string name = "main";
  bool operator==(const SurveyId&) const = default;
};

/// "sweep \"main\"": for messages.
std::string describe(const SurveyId& survey);

/// Names of the files of one run (docs/format.md), and which of them are there.
class RunDirectory {
 public:
  explicit RunDirectory(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string config_path() const { return root_ + "/config.toml"; }
  /// The file that marks a run: config.toml alone may belong to another program.
  std::string marker_path() const { return root_ + "/gradscape-run"; }
  std::string lock_path() const { return root_ + "/.lock"; }
  std::string checkpoint_path(std::int64_t step) const;
  std::string trace_path(std::int64_t first, std::int64_t last) const;
  std::string shard_path(const SurveyId& survey, std::int64_t first, std::int64_t last) const;
  /// The finished part of a shard that a survey was stopped in.
  std::string partial_path(const SurveyId& survey, std::int64_t first, std::int64_t last) const;
  /// The merged file: landscape.h5 for the sweep "main", landscape-NAME.h5 for another; shift.h5, shift-NAME.h5 ….
  std::string merged_path(const SurveyId& survey) const;

  /// The directions of a surface: directions-NAME.h5.
  std::string directions_path(const SurveyId& survey) const { return root_ + "/directions-" + survey.name + ".h5"; }

  /// True where a run lies: a configuration, and with it the marker or, made by a program before markers, a checkpoint,
  /// trace or shard that says it is gradscape's.
  bool holds_run() const;
  /// Steps that have a checkpoint, ascending.
  std::vector<std::int64_t> checkpoint_steps() const;
  /// Trace segments, the shards of a survey and its partial ones, by first step.
  std::vector<SegmentFile> trace_files() const;
  std::vector<SegmentFile> shard_files(const SurveyId& survey) const;
  std::vector<SegmentFile> partial_files(const SurveyId& survey) const;
  /// The surveys that have a folder, sweeps first.
  std::vector<SurveyId> surveys() const;

  /// The files there that have names of a run's data, whoever made them: checkpoints, traces, shards, and what is
  /// derived of them. Links are not followed.
  std::vector<std::string> data_files() const;
  /// The first part of these: landscapes, analyses.
  std::vector<std::string> derived_files() const;

  /// Writes the marker, unless it is there.
  void mark() const;
  /// Deletes the files that a run consists of, and nothing else; nothing at all where there is no run. Error, with
  /// nothing deleted, where another program's file has one of their names; Error where deleting fails.
  void remove_run() const;
  /// Deletes trace segments and shards (partial ones too) of every survey that reach beyond `step`: remains of a killed
  /// training, which its last checkpoint does not vouch for. The shard of the single step `step` itself stays. Error
  /// where that fails. For the process that holds the directory.
  void remove_beyond(std::int64_t step) const;
  /// Deletes temporary files of processes that ended before they published them. Those of running sweeps stay.
  void remove_remains() const;

 private:
  std::string survey_folder(const SurveyId& survey) const { return root_ + "/" + survey.kind + "/" + survey.name; }

  std::string root_;
};

/// Files in `folder` that unite the runs below it: landscapes above seeds, runs.h5 above learning rates. They say that
/// they are gradscape's.
std::vector<std::string> united_files(const std::string& folder);

/// "seed-7": the folder of one seed's run.
std::string seed_folder(std::int64_t seed);

/// The seed of a path's last folder; nothing where that is no seed's.
std::optional<std::int64_t> seed_of_folder(const std::string& path);

/// The runs at `path`: the directory itself, or those among its subdirectories (the variants of a study, or its seeds)
/// and, where these are no runs, among theirs (the seeds of each variant). In the order of their names. Error where
/// there is none.
std::vector<RunDirectory> find_runs(const std::string& path);

}  // namespace gradscape
