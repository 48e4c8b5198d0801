// Analyses of a trained run's steps by replay: internal covariate shift, distributions, theorem 4.1.
#pragma once

#include <string>
#include <vector>

#include "gradscape/config/experiment.hpp"
#include "gradscape/store/run_directory.hpp"

namespace gradscape {

enum class AnalysisKind { shift, distributions, theorem };

struct AnalysisRequest {
  AnalysisKind kind = AnalysisKind::shift;
  std::vector<std::string> layers;  // names; empty: all
  std::size_t bins = 64;            // of histograms
};

/// Looks at the steps that [sweep] of `experiment` (the run's stored configuration, with steps and data.path as wanted)
/// selects, replaying where no checkpoint lies, and publishes what is found as RUN_DIR/<kind>.h5, whose path is
/// returned. Steps that are in an older file of the same program and layers are taken from it. On a signal, and now and
/// then, what is there is saved beside it; the next call goes on from that, and throws interruption(). Errors as of
/// sweep().
std::string analyse(const AnalysisRequest& request, const Experiment& experiment, const RunDirectory& directory);

}  // namespace gradscape
