// Opening runs: their stored configuration and provenance, and whether a file belongs to the run that is meant.
#pragma once

#include <memory>
#include <string>

#include "gradscape/config/study.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/store/checkpoint_file.hpp"
#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// The configuration stored in a run directory.
Experiment read_stored_experiment(const RunDirectory& directory);

/// Provenance of the files that a run writes.
Provenance make_provenance(const Experiment& experiment, const Dataset& dataset);

/// Error (naming the fields) unless a file with this provenance belongs to the run: same identity, same training
/// images.
void require_same_run(const Provenance& found, const Experiment& experiment, const std::string& data_fingerprint,
                      const std::string& where);

/// A configuration that a file holds; Error, not UsageError, where it cannot be read: the file is damaged.
Experiment parse_stored_experiment(const std::string& config, const std::string& where);

/// Error (naming the field) where a file was written by another program than this: its program attributes must hold for
/// all its records.
void require_this_program(const h5::File& file);

/// UsageError where [sweep] selects steps that a run of `total` steps does not have.
void require_within_run(const SweepOptions& sweep, std::int64_t total);

/// The steps for which a noise floor holds in this run: the train.checkpoint_every that it began with, which its first
/// checkpoint knows. Later changes of the interval do not change what is found at a step.
std::int64_t floor_segment(const RunDirectory& directory);

/// Error where the run's first checkpoint, of step 0, is gone: the steps after it could not be replayed, and nothing
/// else would notice.
void require_first_checkpoint(const RunDirectory& directory);

/// What the last checkpoint says about the run. Error where there is none.
CheckpointInfo last_checkpoint(const RunDirectory& directory);

/// Loads the data set and reports it on standard error. Where the last call's options were the same, its data set is
/// returned again.
std::shared_ptr<const Dataset> load_data(const DataOptions& options);

/// Runs job.template operator()<S>() for the scalar type of the experiment's precision.
template <class Job>
auto with_precision(const Experiment& experiment, Job&& job) {
  if (experiment.train.precision == "double") return job.template operator()<double>();
  return job.template operator()<float>();
}

}  // namespace gradscape
