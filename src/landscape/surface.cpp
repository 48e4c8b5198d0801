#include "gradscape/landscape/surface.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/landscape/probe.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/landscape/surface_lines.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::int64_t kMostPoints = 10000;

const std::vector<std::string> kStatusFlags = {"not_done", "ok", "non_finite"};

struct PointVariable {
  const char* name;  // of a cell; the trajectory's has the prefix "trajectory_"
  const char* long_name;
  const char* units;
  bool test;
};
constexpr PointVariable kMeasured[] = {
    {"loss", "mean loss of the training images", "loss", false},
    {"accuracy", "fraction of the training images that is classified right", "1", false},
    {"test_loss", "mean loss of the test images", "loss", true},
    {"test_accuracy", "fraction of the test images that is classified right", "1", true},
};

/// The places 0, …, size − 1 of an axis by the stride at which coarse to fine comes to them: the coarsest stride first.
std::size_t stride_of(std::size_t place, std::size_t coarsest) {
  std::size_t stride = coarsest;
  while (place % stride != 0) stride /= 2;
  return stride;
}

Variable variable_of(const std::string& name, const std::string& long_name, const std::string& units,
                     const std::vector<std::string>& dimensions, Absent absent = Absent::refused) {
  return {name, units, long_name, dimensions, {}, Element::float64, kNan, {}, absent};
}

Variable status_variable(const std::vector<std::string>& dimensions) {
  Variable status = variable_of("status", "state of a point", "1", dimensions);
  status.type = Element::uint8;
  status.hole = 0;
  status.flags = kStatusFlags;
  return status;
}

Dimension axis_dimension(const std::string& name) {
  return {name, "1", "multiples of the direction " + name, {}};
}

void copy_if_there(const Table& from, const std::string& name, Table& to) {
  if (const Variable* variable = from.find(name)) to.variables.push_back(*variable);
}

}  // namespace

const std::string& surface_direction_forms() {
  static const std::string forms =
      "random, gradient, update, to:STEP, to:RUN@STEP, to:mean:first:last:every, pca:1, pca:2";
  return forms;
}

SurfaceDirection parse_surface_direction(const std::string& text, const std::string& where) {
  using Kind = SurfaceDirection::Kind;
  if (text == "random") return {Kind::random, "", 0};
  if (text == "gradient") return {Kind::gradient, "", 0};
  if (text == "update") return {Kind::update, "", 0};
  if (text == "pca:1" || text == "pca:2") return {Kind::component, "", text.back() - '0'};
  if (text.starts_with("to:") && text.size() > 3) return {Kind::target, text.substr(3), 0};
  const std::string near = nearest(text, {"random", "gradient", "update", "pca:1", "pca:2", "to:last"});
  throw UsageError(where, fmt::format("\"{}\" is no direction", abridge(text)),
                   fmt::format("one of {}{}", surface_direction_forms(),
                               near.empty() ? "" : fmt::format("; did you mean {}?", near)));
}

std::vector<double> SurfaceAxis::values() const {
  std::vector<double> list;
  const auto steps = static_cast<double>(points - 1);
  for (std::int64_t i = 0; i < points; ++i) {
    const auto place = static_cast<double>(i);
    double x = (first * (steps - place) + last * place) / steps;
    // Decimal limits are rounded, and so is the formula: the ends, and where weights lie, are meant as they were said.
    for (const double whole : {0.0, 1.0})
      if (std::abs(x - whole) < 1e-9 * (last - first) / steps) x = whole;
    list.push_back(x);
  }
  list.front() = first;
  list.back() = last;
  return list;
}

std::string SurfaceAxis::text() const {
  return fmt::format("{}:{}:{}", first, last, points);
}

SurfaceAxis parse_surface_axis(const std::string& text, const std::string& where) {
  constexpr const char* kForm = "first:last:points, as in -1:1:51";
  const auto parts = split(text, ':');
  SurfaceAxis axis;
  if (parts.size() != 3 || !parse_number(parts[0], axis.first) || !parse_number(parts[1], axis.last) ||
      !parse_number(parts[2], axis.points) || !std::isfinite(axis.first) || !std::isfinite(axis.last))
    throw UsageError(where, fmt::format("\"{}\" is no axis", abridge(text)), kForm);
  if (axis.points < 2)
    throw UsageError(where, fmt::format("{} points are no axis", axis.points),
                     "two or more; the centre is always evaluated, whether it is one of them or not");
  if (axis.points > kMostPoints)
    throw UsageError(where, fmt::format("{} points are too many", axis.points), fmt::format("at most {}", kMostPoints));
  const bool countable = std::isfinite(axis.last * static_cast<double>(axis.points)) &&
                         std::isfinite(axis.first * static_cast<double>(axis.points));
  if (!(axis.first < axis.last) || !countable)
    throw UsageError(where, fmt::format("{} to {} is no interval", axis.first, axis.last), kForm);
  return axis;
}

void check_surface(const SurfaceOptions& options, const std::string& where) {
  using Kind = SurfaceDirection::Kind;
  const SurfaceDirection x = parse_surface_direction(options.x, where + ": surface.x");
  std::optional<SurfaceDirection> y;
  if (!options.y.empty()) y = parse_surface_direction(options.y, where + ": surface.y");
  if (!options.xlim.empty()) (void)parse_surface_axis(options.xlim, where + ": surface.xlim");
  if (!options.ylim.empty()) (void)parse_surface_axis(options.ylim, where + ": surface.ylim");
  const bool through = !options.through.empty(), given = !options.directions.empty();
  const SurfaceOptions defaults;
  if (through && (given || options.y != defaults.y || options.x != defaults.x))
    throw UsageError(where, "surface.through sets both axes", "leave surface.x, y and directions out");
  if (given && !through && (options.y != defaults.y || options.x != defaults.x))
    throw UsageError(where, "surface.directions sets both axes", "leave surface.x and y out");
  if (through && split_list(options.through).size() != 3)
    throw UsageError(where, fmt::format("surface.through = \"{}\" are not three networks", abridge(options.through)),
                     "RUN@STEP,RUN@STEP,RUN@STEP");
  if (!options.ylim.empty() && !y && !through && !given)
    throw UsageError(where, "surface.ylim is given without surface.y", "a line has one axis: --y adds another");
  const bool draws = !through && !given && (x.kind == Kind::random || (y && y->kind == Kind::random));
  if (options.repeats > 1 && !draws && !given)
    throw UsageError(where, "surface.repeats repeats random directions, and there is none", "leave it out");
  if (y && x.kind == Kind::component && y->kind == Kind::component && x.component == y->component)
    throw UsageError(where, "surface.x and surface.y are the same component", "pca:1 and pca:2");
  if (options.batch_norm == "moved" && (through || (x.kind != Kind::target && !(y && y->kind == Kind::target))))
    throw UsageError(where, "surface.batch_norm = \"moved\" moves statistics with the weights along a direction to:",
                     through ? "reestimate suits surface.through" : "it needs one");
  if (!options.trajectory.empty() && options.trajectory != "all" && options.trajectory != "none")
    (void)parse_step_ranges(options.trajectory, where + ": surface.trajectory");
}

std::vector<SurfacePoint> surface_points(std::size_t xs, std::size_t ys, std::int64_t repeats,
                                         std::size_t checkpoints) {
  using Kind = SurfacePoint::Kind;
  std::size_t coarsest = 1;
  while (2 * coarsest < std::max(xs, ys)) coarsest *= 2;
  std::vector<SurfacePoint> cells;
  for (std::size_t y = 0; y < ys; ++y)
    for (std::size_t x = 0; x < xs; ++x) cells.push_back({Kind::cell, 0, x, y, 0});
  const auto stride = [&](const SurfacePoint& cell) {
    return std::min(stride_of(cell.x, coarsest), stride_of(cell.y, coarsest));
  };
  std::stable_sort(cells.begin(), cells.end(),
                   [&](const SurfacePoint& a, const SurfacePoint& b) { return stride(a) > stride(b); });
  std::vector<SurfacePoint> points = {{Kind::centre, 0, 0, 0, 0}};
  for (std::int64_t repeat = 0; repeat < repeats; ++repeat)
    for (SurfacePoint cell : cells) {
      cell.repeat = repeat;
      points.push_back(cell);
    }
  for (std::size_t i = 0; i < checkpoints; ++i) {
    points.push_back({Kind::checkpoint, 0, 0, 0, i});
    points.push_back({Kind::projection, 0, 0, 0, i});
  }
  return points;
}

Table surface_points_schema(const SurfaceQuantities& quantities) {
  Dimension point{"evaluation", "1", "a point, in the order of work", {}};
  point.type = Element::int64;
  Dimension repeat{"repeat", "1", "which draw of random directions", {}};
  repeat.type = Element::int64;
  Dimension checkpoint{"checkpoint", "1", "step of a checkpoint", {}};
  checkpoint.type = Element::int64;
  Dimension component{"component", "1", "principal component of the trajectory, from 1 on", {}};
  component.type = Element::int64;
  const Dimension mark{"point", "1", "a network that the plane goes through", {}};
  Table table{"surface-points",
              {{"step", ""},
               {"x_direction", ""},
               {"y_direction", ""},
               {"theta_fingerprint", ""},
               {"direction_fingerprint", ""},
               {"subset_fingerprint", ""},
               {"batch_norm", ""},
               {"normalise", ""},
               {"ignore", ""},
               {"random_seed", ""},
               {"images", ""},
               {"test_images", ""},
               {"batch_size", ""}},
              {point, repeat, axis_dimension("y"), axis_dimension("x"), checkpoint, component, mark},
              {}};
  if (!quantities.plane) std::erase_if(table.dimensions, [](const Dimension& d) { return d.name == "y"; });
  const std::vector<std::string> row = {point.name};
  auto& list = table.variables;
  list.push_back(variable_of("a", "place along x", "1", row));
  list.push_back(variable_of("b", "place along y", "1", row));
  for (const PointVariable& measured : kMeasured)
    if (!measured.test || quantities.test)
      list.push_back(variable_of(measured.name, measured.long_name, measured.units, row,
                                 measured.test ? Absent::dropped : Absent::refused));
  if (quantities.grad_norm)
    list.push_back(
        variable_of("grad_norm", "norm of the gradient on the training images", "loss/weight", row, Absent::dropped));
  list.push_back(variable_of("distance", "of a checkpoint from the plane", "weight", row));
  list.push_back(variable_of("radius", "of a checkpoint from the centre", "weight", row));
  list.push_back(status_variable(row));
  list.push_back(variable_of("x_norm", "length of the direction x", "weight", {"repeat"}));
  list.push_back(variable_of("y_norm", "length of the direction y", "weight", {"repeat"}, Absent::dropped));
  list.push_back(variable_of("cosine", "of the angle between the directions", "1", {"repeat"}, Absent::dropped));
  list.push_back(variable_of("explained_variance_ratio", "share of the trajectory's variance", "1", {"component"},
                             Absent::dropped));
  list.push_back(variable_of("point_x", "place of the network along x", "1", {"point"}, Absent::dropped));
  list.push_back(variable_of("point_y", "place of the network along y", "1", {"point"}, Absent::dropped));
  return table;
}

namespace {

/// How long a dimension is; 0 where there is none of the name.
std::size_t size_of(const Table& table, const std::string& name) {
  for (const Dimension& dimension : table.dimensions)
    if (dimension.name == name) return dimension.size();
  return 0;
}

/// Fills a surface's variables from the rows of its points.
class Unfolding {
 public:
  explicit Unfolding(const Table& points) : from_(points) {
    xs_ = size_of(from_, "x");
    ys_ = std::max<std::size_t>(1, size_of(from_, "y"));
    repeats_ = size_of(from_, "repeat");
    checkpoints_ = size_of(from_, "checkpoint");
    plane_ = size_of(from_, "y") > 0;
    points_ = surface_points(xs_, ys_, static_cast<std::int64_t>(repeats_), checkpoints_);
  }

  Table unfold() {
    to_ = {"surface", from_.attributes, {}, {}};
    for (const char* name : {"repeat", "y", "x", "checkpoint", "component", "point"})
      if (size_of(from_, name) > 0) to_.dimensions.push_back(from_.dimension(name));
    std::vector<std::string> cell = {"repeat", "x"}, centre = {"repeat"}, path = {"checkpoint"};
    if (plane_) cell.insert(cell.begin() + 1, "y");
    for (const Variable& variable : from_.variables) {
      if (!from_.by_row(variable)) continue;
      if (is_place(variable.name)) continue;
      add(variable, variable.name, cell, SurfacePoint::Kind::cell);
      if (variable.name == "status" || variable.name == "grad_norm") continue;
      add(variable, "centre_" + variable.name, {}, SurfacePoint::Kind::centre);
      if (checkpoints_ == 0) continue;
      add(variable, "trajectory_" + variable.name, path, SurfacePoint::Kind::checkpoint);
      add(variable, "trajectory_plane_" + variable.name, path, SurfacePoint::Kind::projection);
    }
    if (checkpoints_ > 0) {
      add(from_.variable("a"), "trajectory_x", path, SurfacePoint::Kind::projection);
      if (plane_) add(from_.variable("b"), "trajectory_y", path, SurfacePoint::Kind::projection);
      add(from_.variable("distance"), "trajectory_distance", path, SurfacePoint::Kind::projection);
      add(from_.variable("radius"), "trajectory_radius", path, SurfacePoint::Kind::projection);
    }
    for (const char* name : {"x_norm", "y_norm", "cosine", "explained_variance_ratio", "point_x", "point_y"})
      copy_if_there(from_, name, to_);
    if (!plane_) summarise_lines(to_);
    return to_;
  }

 private:
  static bool is_place(const std::string& name) {
    return name == "a" || name == "b" || name == "distance" || name == "radius";
  }

  /// The values of a variable at the points of a kind, in the order of `dimensions`.
  void add(const Variable& variable, const std::string& name, std::vector<std::string> dimensions,
           SurfacePoint::Kind kind) {
    Variable unfolded = variable;
    unfolded.name = name;
    unfolded.absent = Absent::refused;
    const bool centre = kind == SurfacePoint::Kind::centre;
    const std::size_t size = centre ? 1 : kind == SurfacePoint::Kind::cell ? repeats_ * ys_ * xs_ : checkpoints_;
    unfolded.values.assign(size, variable.hole);
    for (std::size_t row = 0; row < from_.size(); ++row) {
      const SurfacePoint& point = points_.at(static_cast<std::size_t>(from_.rows().values[row]));
      if (point.kind != kind) continue;
      const std::size_t place = centre ? 0
                                : kind == SurfacePoint::Kind::cell
                                    ? (static_cast<std::size_t>(point.repeat) * ys_ + point.y) * xs_ + point.x
                                    : point.checkpoint;
      unfolded.values[place] = variable.values[row];
    }
    if (centre) {  // the same for all repeats
      unfolded.values.assign(repeats_, unfolded.values.front());
      dimensions = {"repeat"};
    }
    unfolded.dimensions = std::move(dimensions);
    to_.variables.push_back(std::move(unfolded));
  }

  const Table& from_;
  Table to_;
  std::size_t xs_ = 0, ys_ = 0, repeats_ = 0, checkpoints_ = 0;
  bool plane_ = false;
  std::vector<SurfacePoint> points_;
};

}  // namespace

std::size_t surface_size(const Table& table) {
  const std::size_t ys = std::max<std::size_t>(1, size_of(table, "y"));
  return 1 + size_of(table, "repeat") * ys * size_of(table, "x") + 2 * size_of(table, "checkpoint");
}

void check_surface_points(const Table& table, const std::string& where) {
  if (size_of(table, "x") < 2 || size_of(table, "repeat") < 1) throw Error(where, "has no axis x, or no repeat");
  const std::size_t points = surface_size(table);
  if (table.size() > 0 &&
      !(table.rows().values.front() >= 0 && table.rows().values.back() < static_cast<double>(points)))
    throw Error(where, fmt::format("holds points that a surface of {} has not", points));
}

Table unfold_surface(const Table& points) {
  return Unfolding(points).unfold();
}

}  // namespace gradscape
