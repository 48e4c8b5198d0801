// What the points of a surface are worked out with: settled once, before the first of them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "gradscape/landscape/surface.hpp"
#include "gradscape/store/directions_file.hpp"
#include "gradscape/study/open_run.hpp"
#include "gradscape/train/set_objective.hpp"

namespace gradscape {

/// The [surface] with which a surface's shards were made; nothing where there is none that can be read.
std::optional<SurfaceOptions> stored_surface(const RunDirectory& directory, const SurveyId& id);

template <class S>
struct SurfaceSetup {
  Experiment settings;                        // with nothing of [surface] left open
  NetworkWeights<S> centre;                   // theta_c and its statistics
  std::optional<Vector<S>> moved_x, moved_y;  // of batch_norm "moved": statistics at the end of to:, less the centre's
  std::unique_ptr<SetObjective<S>> train, test;  // test: null where it is not asked for
  std::unique_ptr<h5::File> directions;
  DirectionFacts facts;
  std::vector<double> xs, ys;             // ys: none of a line
  std::vector<std::int64_t> checkpoints;  // of the trajectory

  /// Batch norm takes each batch's statistics, or those it is given; dropout and noise are off.
  Pass pass() const;
  /// The statistics to evaluate with at theta: those given, or averaged anew over the training images.
  Vector<S> statistics(Network<S>& network, const Point<S>& theta, const Vector<S>& given, const Pass& pass) const;
};

/// Settles what experiment.surface leaves open (at, limits, statistics, trajectory), reads the centre, and makes or
/// reads the surface's directions file. UsageError where the run has no such checkpoint or other network, where options
/// do not go together, where batches are too small for batch norm, or where the surface's shards were made with other
/// settings: nothing is written then. Without `may_write`: Error where the directions file would have to be made.
template <class S>
SurfaceSetup<S> set_up_surface(const SurveyId& id, OpenRun<S>& run, bool may_write);

}  // namespace gradscape
