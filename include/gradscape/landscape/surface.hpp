// Surfaces: the loss on a line or a plane through a checkpoint (Li et al. 2018). What is asked for, which points that
// are, and the tables of what is found there.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gradscape/core/table.hpp"
#include "gradscape/landscape/options.hpp"

namespace gradscape {

/// A direction in words: "random"; "gradient", of the loss on the surface's training images at the centre; "update",
/// the step that training took from there; "to:TARGET", to another point; "pca:1", "pca:2", a principal component of
/// the trajectory.
struct SurfaceDirection {
  enum class Kind { random, gradient, update, target, component } kind = Kind::random;
  std::string target;  // of target: "STEP", "last", "RUN@STEP", "mean:first:last:every"
  int component = 0;   // 1 or 2
};

/// How directions are written, for help and messages.
const std::string& surface_direction_forms();

/// UsageError naming `where`.
SurfaceDirection parse_surface_direction(const std::string& text, const std::string& where);

/// An axis of a surface: x_i = (first·(points − 1 − i) + last·i)/(points − 1).
struct SurfaceAxis {
  double first = -1;
  double last = 1;
  std::int64_t points = 21;

  std::vector<double> values() const;
  /// "first:last:points", which reads back to the same bits.
  std::string text() const;
  bool operator==(const SurfaceAxis&) const = default;
};

/// Reads "first:last:points"; UsageError naming `where`.
SurfaceAxis parse_surface_axis(const std::string& text, const std::string& where);

/// UsageError where the options of [surface] do not go together.
void check_surface(const SurfaceOptions& options, const std::string& where);

/// A point at which a network is evaluated.
struct SurfacePoint {
  enum class Kind { centre, cell, checkpoint, projection } kind = Kind::centre;
  std::int64_t repeat = 0;
  std::size_t x = 0;  // place on the axes
  std::size_t y = 0;
  std::size_t checkpoint = 0;  // its place in the trajectory; projection: the point of the plane next to it
};

/// All points of a surface in the order of work: the centre, then the cells of each repeat from coarse to fine, so that
/// any first part is a picture, then the trajectory. The number of a point is the key of its row.
std::vector<SurfacePoint> surface_points(std::size_t xs, std::size_t ys, std::int64_t repeats, std::size_t checkpoints);

/// What is evaluated at each point, beside the loss and accuracy on training images.
struct SurfaceQuantities {
  bool plane = true;
  bool test = false;
  bool grad_norm = false;
};

/// How many points the surface has whose table has these dimensions.
std::size_t surface_size(const Table& table);

/// The table of points as they are worked out, with what is known of the directions: rows are points, in the order of
/// surface_points(); dimensions without coordinates. A reader takes it with all quantities.
Table surface_points_schema(const SurfaceQuantities& quantities = {true, true, true});

/// Error naming `where` where such a table has rows that its dimensions do not allow.
void check_surface_points(const Table& table, const std::string& where);

/// The table of such rows as people read it, over repeat, y and x (a line: without y), of kind "surface": what
/// docs/format.md describes. Points without a row are marked as not done.
Table unfold_surface(const Table& points);

}  // namespace gradscape
