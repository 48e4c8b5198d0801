#include "gradscape/study/surface_run.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradscape/core/vector_math.hpp"
#include "gradscape/landscape/direction.hpp"
#include "gradscape/landscape/probe.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Dimension numbered(const std::string& name, const Table& schema, std::size_t size, double first = 0) {
  Dimension dimension = schema.dimension(name);
  for (std::size_t i = 0; i < size; ++i) dimension.values.push_back(first + static_cast<double>(i));
  return dimension;
}

}  // namespace

template <class S>
SurfaceRun<S>::SurfaceRun(const SurveyId& id, const Experiment& experiment, const RunDirectory& directory,
                          bool may_write)
    : run_(experiment, directory),
      setup_(set_up_surface(id, run_, may_write)),
      points_(surface_points(setup_.xs.size(), std::max<std::size_t>(1, setup_.ys.size()), setup_.facts.repeats,
                             setup_.checkpoints.size())) {}

template <class S>
Table SurfaceRun<S>::begin() const {
  const SurfaceOptions& options = setup_.settings.surface;
  const Table all = surface_points_schema();
  Table table = surface_points_schema({setup_.facts.plane, setup_.test != nullptr, options.grad_norm});
  table.attributes = {
      {"step", options.at},
      {"x_direction", setup_.facts.attributes.at("x_direction")},
      {"y_direction", setup_.facts.attributes.at("y_direction")},
      {"theta_fingerprint", setup_.facts.attributes.at("theta_fingerprint")},
      {"direction_fingerprint", setup_.facts.attributes.at("direction_fingerprint")},
      {"subset_fingerprint", setup_.train->fingerprint() + (setup_.test ? "," + setup_.test->fingerprint() : "")},
      {"batch_norm", options.batch_norm},
      {"normalise", options.normalise},
      {"ignore", options.ignore},
      {"random_seed", std::to_string(options.random_seed)},
      {"images", std::to_string(setup_.train->size())},
      {"test_images", std::to_string(setup_.test ? setup_.test->size() : 0)},
      {"batch_size", std::to_string(options.images_at_once)}};
  std::vector<Dimension> dimensions = {table.rows(),
                                       numbered("repeat", all, static_cast<std::size_t>(setup_.facts.repeats))};
  const auto with_values = [&](const char* name, const std::vector<double>& values) {
    Dimension dimension = all.dimension(name);
    dimension.values = values;
    dimensions.push_back(dimension);
  };
  if (setup_.facts.plane) with_values("y", setup_.ys);
  with_values("x", setup_.xs);
  if (!setup_.checkpoints.empty()) with_values("checkpoint", {setup_.checkpoints.begin(), setup_.checkpoints.end()});
  if (const auto found = setup_.facts.numbers.find("explained_variance_ratio"); found != setup_.facts.numbers.end())
    dimensions.push_back(numbered("component", all, found->second.size(), 1));
  if (!setup_.facts.points.empty()) {
    dimensions.push_back(numbered("point", all, setup_.facts.points.size()));
    dimensions.back().labels = setup_.facts.points;
  }
  table.dimensions = dimensions;
  std::erase_if(table.variables, [&](const Variable& variable) {
    return !table.by_row(variable) && !setup_.facts.numbers.contains(variable.name);
  });
  for (Variable& variable : table.variables)
    if (!table.by_row(variable)) variable.values = setup_.facts.numbers.at(variable.name);
  return table;
}

template <class S>
const DirectionPair<S>& SurfaceRun<S>::directions(std::int64_t repeat) {
  if (held_ == repeat) return pair_;
  held_ = -1;
  pair_ = {};
  pair_ = read_directions<S>(*setup_.directions, setup_.facts, run_.process().network().parameters(), repeat);
  held_ = repeat;
  row_.resize(0);
  return pair_;
}

/// theta(a, b) = (theta_c + b·y) + a·x, with the statistics that belong there; repeat −1: the centre.
template <class S>
typename SurfaceRun<S>::Place SurfaceRun<S>::cell(double a, double b, std::int64_t repeat) {
  Vector<S> buffers = setup_.centre.buffers;
  if (repeat < 0) return {setup_.centre.theta, buffers};
  const DirectionPair<S>& pair = directions(repeat);
  if (pair.y.size() > 0 && (row_.size() == 0 || row_b_ != b)) {
    add_scaled(setup_.centre.theta, b, pair.y, row_);
    row_b_ = b;
  }
  if (setup_.moved_x) add_scaled(buffers, a, *setup_.moved_x, buffers);
  if (setup_.moved_y) add_scaled(buffers, b, *setup_.moved_y, buffers);
  return {{pair.y.size() > 0 ? row_ : setup_.centre.theta, a, pair.x}, buffers};
}

template <class S>
void SurfaceRun<S>::measure(const Place& place, double a, double b, double distance, double radius, Table& table) {
  Network<S>& network = run_.process().network();
  Pass pass = setup_.pass();
  pass.theta_id = new_theta_id();
  const Vector<S> buffers = setup_.statistics(network, place.at, place.buffers, pass);
  Vector<S> grad;
  const bool wants_grad = setup_.settings.surface.grad_norm;
  const Evaluation train = setup_.train->evaluate(network, place.at, buffers, pass, wants_grad ? &grad : nullptr);
  bool finite = std::isfinite(train.loss);
  const auto put = [&](const char* name, double value) { table.variable(name).values.push_back(value); };
  put("a", a);
  put("b", b);
  put("loss", train.loss);
  put("accuracy", train.accuracy);
  if (setup_.test) {
    const Evaluation test = setup_.test->evaluate(network, place.at, buffers, pass);
    finite = finite && std::isfinite(test.loss);
    put("test_loss", test.loss);
    put("test_accuracy", test.accuracy);
  }
  if (wants_grad) {
    const double size = norm(grad);
    finite = finite && std::isfinite(size);
    put("grad_norm", size);
  }
  put("distance", distance);
  put("radius", radius);
  put("status", static_cast<double>(finite ? CellStatus::ok : CellStatus::non_finite));
}

template <class S>
PlanePlace SurfaceRun<S>::project(const Vector<S>& theta, double& distance, double& radius) {
  const DirectionPair<S>& pair = directions(0);
  Vector<S> d;
  add_scaled(theta, -1.0, setup_.centre.theta, d);
  const bool plane = pair.y.size() > 0;
  const AxisProducts axes{dot(pair.x, pair.x), plane ? dot(pair.x, pair.y) : 0, plane ? dot(pair.y, pair.y) : 0};
  const PlanePlace place = place_on_plane(axes, dot(d, pair.x), plane ? dot(d, pair.y) : 0);
  radius = norm(d);
  add_scaled(d, -place.a, pair.x, d);
  if (plane) add_scaled(d, -place.b, pair.y, d);
  distance = norm(d);
  return place;
}

template <class S>
void SurfaceRun<S>::add(std::int64_t key, Table& table) {
  const SurfacePoint& point = points_.at(static_cast<std::size_t>(key));
  if (point.kind == SurfacePoint::Kind::centre) {
    measure(cell(0, 0, -1), 0, 0, 0, 0, table);
  } else if (point.kind == SurfacePoint::Kind::cell) {
    const double a = setup_.xs[point.x], b = setup_.ys.empty() ? 0 : setup_.ys[point.y];
    measure(cell(a, b, point.repeat), a, b, kNan, kNan, table);
  } else {
    const std::int64_t step = setup_.checkpoints[point.checkpoint];
    run_.require_own_checkpoint(step);
    const auto weights = read_weights<S>(run_.directory().checkpoint_path(step), run_.process().network());
    double distance = 0, radius = 0;
    const PlanePlace place = project(weights.theta, distance, radius);
    if (point.kind == SurfacePoint::Kind::checkpoint)
      measure({weights.theta, weights.buffers}, place.a, place.b, distance, radius, table);
    else
      measure(cell(place.a, place.b, 0), place.a, place.b, distance, radius, table);
  }
  table.dimensions.front().values.push_back(static_cast<double>(key));
}

template class SurfaceRun<float>;
template class SurfaceRun<double>;

}  // namespace gradscape
