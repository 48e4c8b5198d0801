// The rows of a surface's points.
#pragma once

#include <vector>

#include "gradscape/landscape/direction.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/study/surface_setup.hpp"

namespace gradscape {

template <class S>
class SurfaceRun {
 public:
  /// `experiment`: the run's stored configuration, [surface] as wanted; all else as set_up_surface() has it.
  SurfaceRun(const SurveyId& id, const Experiment& experiment, const RunDirectory& directory, bool may_write = true);

  OpenRun<S>& run() { return run_; }
  /// The configuration with what was open settled.
  const Experiment& settings() const { return setup_.settings; }

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

  const DirectionPair<S>& directions(std::int64_t repeat);
  Place cell(double a, double b, std::int64_t repeat);
  void measure(const Place& place, double a, double b, double distance, double radius, Table& table);
  PlanePlace project(const Vector<S>& theta, double& distance, double& radius);

  OpenRun<S> run_;
  SurfaceSetup<S> setup_;
  std::vector<SurfacePoint> points_;
  std::int64_t held_ = -1;  // the repeat whose directions are in memory
  DirectionPair<S> pair_;
  Vector<S> row_;  // theta_c + b·y
  double row_b_ = 0;
};

}  // namespace gradscape
