// The runs that a configuration asks for, and where they lie.
#pragma once

#include <string>
#include <vector>

#include "gradscape/config/study.hpp"
#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// What `run` and `train` take: the configuration, a flag for every field, and where to put the runs.
struct StudyOptions {
  std::string config;
  std::string variant;
  std::string out;
  std::string scale;
  std::string from;  // RUN@STEP whose weights training begins with; empty: initial ones
  bool resume = false;
  bool force = false;
  Overrides overrides;
};

/// The runs of a study with this variant name, all of them if it is empty. UsageError where there is none; `config`
/// names the file.
std::vector<Experiment> choose_variants(const Study& study, const std::string& config, const std::string& variant);

/// One run of a study and its place.
struct PlacedRun {
  Experiment experiment;
  RunDirectory directory;
  std::string united;  // the folder whose file unites it with the variant's other seeds or rates; empty without them
};

/// The runs that the options ask for: OUT/VARIANT for a file with variants, else OUT; below that seed-S where there are
/// experiment.seeds, lr-X where there are experiment.learning_rates. OUT is runs/NAME by default, runs/NAME-SCALE with
/// --scale.
std::vector<PlacedRun> place_runs(const StudyOptions& options);

}  // namespace gradscape
