// A run with a surface's centre and directions: makes the rows of its points.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gradscape/landscape/direction.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/store/directions_file.hpp"
#include "gradscape/study/open_run.hpp"
#include "gradscape/train/set_objective.hpp"

namespace gradscape {

template <class S>
class SurfaceRun {
 public:
  /// `experiment`: the run's stored configuration, [surface] as wanted. Makes or reads the surface's directions file
  /// and settles what [surface] leaves open: at, limits, statistics. UsageError where the run has no such checkpoint or
  /// other network, where options do not go together, or batches are too small for batch norm.
  /// Without `may_write`: Error where the directions file would have to be made.
  SurfaceRun(SurveyId id, const Experiment& experiment, const RunDirectory& directory, bool may_write = true);

  OpenRun<S>& run() { return run_; }
  /// The configuration with what was open settled.
  const Experiment& settings() const { return settings_; }

  std::size_t points() const { return points_.size(); }

  /// The surface's table without rows.
  Table begin() const;
  /// Appends the row of point `key`: a function of the run, the settings and the key alone.
  void add(std::int64_t key, Table& table);

 private:
  struct Place {
    Point<S> at;
    Vector<S> buffers;
  };

  void settle_centre();
  void settle_statistics();
  void open_directions();
  void make_directions(const std::string& path);
  void settle_axes();
  void settle_sets();
  const DirectionPair<S>& directions(std::int64_t repeat);
  Pass pass() const;
  Place cell(double a, double b, std::int64_t repeat);
  void measure(const Place& place, double a, double b, double distance, double radius, Table& table);
  PlanePlace project(const Vector<S>& theta, double& distance, double& radius);
  /// The checkpoints of surface.trajectory.
  std::vector<std::int64_t> trajectory() const;

  SurveyId id_;
  bool may_write_;
  OpenRun<S> run_;
  Experiment settings_;
  NetworkWeights<S> centre_;
  std::optional<NetworkWeights<S>> moved_x_, moved_y_;  // of "moved": the targets' statistics, less the centre's
  std::unique_ptr<h5::File> file_;
  DirectionFacts facts_;
  std::vector<double> xs_, ys_;
  std::vector<std::int64_t> checkpoints_;
  std::vector<SurfacePoint> points_;
  std::unique_ptr<SetObjective<S>> train_, test_;
  std::int64_t held_ = -1;  // the repeat whose directions are in memory
  DirectionPair<S> pair_;
  Vector<S> row_;           // theta_c + b·y
  double row_b_ = 0;
};

}  // namespace gradscape
