#include "gradscape/study/run_access.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"
#include "gradscape/host/progress.hpp"

namespace gradscape {

Experiment read_stored_experiment(const RunDirectory& directory) {
  return parse_experiment(read_text(directory.config_path(), kLongestConfiguration), directory.config_path());
}

Provenance make_provenance(const Experiment& experiment, const Dataset& dataset) {
  return {"",
          experiment.experiment.name,
          experiment.experiment.variant,
          to_toml(experiment),
          dataset.read.empty() ? dataset.name : fmt::format("{}: {}", dataset.name, dataset.read),
          dataset.train.fingerprint()};
}

Experiment parse_stored_experiment(const std::string& config, const std::string& where) {
  try {
    return parse_experiment(config, where);
  } catch (const UsageError& error) {
    throw Error("", std::string("the configuration stored in it cannot be read: ") + error.what());
  }
}

void require_same_run(const Provenance& found, const Experiment& experiment, const std::string& data_fingerprint,
                      const std::string& where) {
  std::vector<std::string> list = identity_differences(experiment, parse_stored_experiment(found.config, where));
  if (found.data_fingerprint != data_fingerprint)
    list.push_back(
        fmt::format("the training images are {} here and {} there", data_fingerprint, found.data_fingerprint));
  if (!list.empty())
    throw ForeignFile(where, fmt::format("belongs to a different run: {}", fmt::join(list, "; ")),
                      "restore the fields; run and train also take another --out, or --force to replace the run");
}

void require_this_program(const h5::File& file) {
  if (const std::string found = difference(this_program(), program_of(file)); !found.empty())
    throw ForeignFile(file.path(), "was written by another program: " + found);
}

void require_within_run(const SweepOptions& sweep, std::int64_t total) {
  for (const StepRange& range : step_ranges(sweep))
    if (range.first > total || range.last > total)
      throw UsageError("sweep.first, sweep.last (--steps)",
                       fmt::format("steps {} to {} lie outside the run, which has steps 0 to {}", range.first,
                                   range.last < 0 ? total : range.last, total));
}

std::int64_t floor_segment(const RunDirectory& directory) {
  const std::string path = directory.checkpoint_path(directory.checkpoint_steps().front());
  return parse_experiment(read_provenance(open_published(path, "checkpoint")).config, path).train.checkpoint_every;
}

void require_first_checkpoint(const RunDirectory& directory) {
  const auto steps = directory.checkpoint_steps();
  if (!steps.empty() && steps.front() != 0)
    throw Error(directory.checkpoint_path(0),
                fmt::format("is missing: steps 0 to {} cannot be replayed without it", steps.front() - 1),
                "put it back, or train again with --force");
}

CheckpointInfo last_checkpoint(const RunDirectory& directory) {
  const auto steps = directory.checkpoint_steps();
  if (steps.empty()) throw Error(directory.root(), "has no checkpoint", "`gradscape train` makes them");
  return read_checkpoint_info(open_published(directory.checkpoint_path(steps.back()), "checkpoint"));
}

std::shared_ptr<const Dataset> load_data(const DataOptions& options) {
  static std::shared_ptr<const Dataset> dataset;  // runs of a study share it
  static std::string loaded;
  Experiment experiment;
  experiment.data = options;
  std::string key;
  for (const Field& field : fields())
    if (field.section == "data") key += field_text(field, experiment) + "\n";
  if (!dataset || key != loaded) {
    dataset.reset();  // first: it may be most of the memory
    dataset = std::make_shared<const Dataset>(load_dataset(options));
    loaded = key;
    if (!dataset->read.empty()) say(fmt::format("{}: {}", dataset->name, dataset->read));
    for (const std::string& warning : dataset->warnings) say("warning: " + warning);
  }
  return dataset;
}

}  // namespace gradscape
