#include "gradscape/exchange/goldstein.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <optional>

#include "gradscape/core/error.hpp"
#include "gradscape/exchange/surface_table.hpp"
#include "gradscape/landscape/direction.hpp"
#include "gradscape/landscape/surface_lines.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {
namespace {

constexpr double kUndone = -1;
constexpr double kPercent = 100;
constexpr const char* kMultiples = "_proj_lstsq.h5";  // by its name a path's coordinates are multiples of directions
constexpr const char* kWhat = "a surface of tomgoldstein/loss-landscape holds xcoordinates, ycoordinates, train_loss";

/// Its name for one of our variables of cells, and what its values are multiplied with.
struct Naming {
  const char* here;
  const char* there;
  double factor;
};
constexpr Naming kNames[] = {{"loss", "train_loss", 1},     {"accuracy", "train_acc", kPercent},
                             {"test_loss", "test_loss", 1}, {"test_accuracy", "test_acc", kPercent},
                             {"max_eig", "max_eig", 1},     {"min_eig", "min_eig", 1}};

const Naming* naming_of(const std::string& name) {
  const auto found =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const Naming& n) { return n.here == name; });
  return found == std::end(kNames) ? nullptr : found;
}

std::vector<double> read_coordinates(const h5::File& file, const std::string& name) {
  if (!file.exists(name)) throw Error(file.path(), "has no dataset " + name.substr(1), kWhat);
  h5::Shape shape;
  std::vector<double> values = file.read<double>(name, &shape);
  const bool finite = std::all_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
  if (shape.size() != 1 || values.size() < 2 || !finite ||
      std::adjacent_find(values.begin(), values.end(), std::greater_equal<>()) != values.end())
    throw Error(file.path(), name.substr(1) + " are no ascending numbers, two or more");
  return values;
}

/// Values in the order in which that program computes them: x fastest.
std::vector<double> read_cells(const h5::File& file, const std::string& name, std::size_t nx, std::size_t ny) {
  h5::Shape shape;
  std::vector<double> values = file.read<double>(name, &shape);
  const h5::Shape line = {nx}, plane = {ny, nx}, mistaken = {nx, ny};
  if (ny == 0 ? shape != line : shape != plane && shape != mistaken)
    throw Error(file.path(),
                fmt::format("{} is [{}], and the coordinates are {}", name.substr(1), fmt::join(shape, ", "),
                            ny == 0 ? fmt::format("{}", nx) : fmt::format("{} and {}", nx, ny)));
  return values;
}

void add_variable(Table& table, const Table& schema, const std::string& name, std::vector<double> values) {
  table.variables.push_back(schema.variable(name));
  table.variables.back().values = std::move(values);
}

/// A cell is not done where loss and accuracy say so: a loss alone may be -1.
void add_status(Table& table, const Table& schema) {
  const Variable* accuracy = table.find("accuracy");
  const std::vector<double>& loss = table.variable("loss").values;
  std::vector<double> status(loss.size(), kCellOk);
  for (std::size_t i = 0; i < loss.size(); ++i)
    if (loss[i] == kUndone && (accuracy == nullptr || accuracy->values[i] == kUndone / kPercent))
      status[i] = kCellNotDone;
  for (Variable& variable : table.variables) {
    if (variable.name == "max_eig" || variable.name == "min_eig") continue;
    for (std::size_t i = 0; i < status.size(); ++i) {
      if (status[i] == kCellNotDone)
        variable.values[i] = std::nan("");
      else if (!std::isfinite(variable.values[i]))
        status[i] = kCellNonFinite;
    }
  }
  add_variable(table, schema, "status", std::move(status));
}

/// The centre is a cell of most grids, and no other dataset there.
void add_centre(Table& table, const Table& schema, const std::vector<double>& x, const std::vector<double>& y) {
  const auto column = std::find(x.begin(), x.end(), 0.0);
  const auto row = std::find(y.begin(), y.end(), 0.0);
  if (column == x.end() || (!y.empty() && row == y.end())) return;
  const auto at = static_cast<std::size_t>((y.empty() ? 0 : row - y.begin()) * static_cast<std::ptrdiff_t>(x.size()) +
                                           (column - x.begin()));
  for (const char* name : {"loss", "accuracy", "test_loss", "test_accuracy"})
    if (const Variable* variable = table.find(name))
      add_variable(table, schema, fmt::format("centre_{}", name), {variable->values[at]});
}

/// A direction, its tensors one behind the other.
std::vector<double> read_direction(const h5::File& file, const std::string& group) {
  std::vector<double> values;
  std::size_t count = 0;
  for (; file.exists(fmt::format("{}/{}", group, count)); ++count) {
    const auto tensor = file.read<double>(fmt::format("{}/{}", group, count));
    values.insert(values.end(), tensor.begin(), tensor.end());
  }
  if (count == 0)
    throw Error(file.path(), "has no direction " + group.substr(1),
                "a direction file of tomgoldstein/loss-landscape holds xdirection/0, xdirection/1, …");
  return values;
}

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

std::vector<double> read_projection(const h5::File& file, const std::string& name) {
  h5::Shape shape;
  std::vector<double> values = file.read<double>(name, &shape);
  if (shape.size() != 1 && !(shape.size() == 2 && shape[1] == 1))
    throw Error(file.path(), name.substr(1) + " is no list of numbers");
  return values;
}

/// `axes` may be none where coordinates are multiples already.
void add_checkpoints(Table& table, const Table& schema, const GoldsteinFiles& files,
                     const std::optional<AxisProducts>& axes) {
  const h5::File file = h5::File::open(files.projection, h5::Origin::anyone);
  std::vector<double> x = read_projection(file, "/proj_xcoord"), y = read_projection(file, "/proj_ycoord");
  if (x.size() != y.size() || x.empty()) throw Error(file.path(), "proj_xcoord and proj_ycoord do not belong together");
  if (!has_multiples(files.projection)) {
    if (!axes)
      throw Error(files.directions.empty() ? files.projection : files.directions,
                  "holds no directions, and the path's coordinates are lengths along them",
                  "a direction file of tomgoldstein/loss-landscape holds xdirection/0, xdirection/1, …");
    constexpr double kParallel = 1e-12;  // 1 - cosine^2 of directions that rounding alone tells apart
    if (!(axes->xx * axes->yy - axes->xy * axes->xy > kParallel * axes->xx * axes->yy))
      throw Error(files.directions, "its directions are parallel or 0: they give no coordinates");
    for (std::size_t i = 0; i < x.size(); ++i) {  // lengths along the directions
      const PlanePlace place = place_on_plane(*axes, x[i] * std::sqrt(axes->xx), y[i] * std::sqrt(axes->yy));
      x[i] = place.a;
      y[i] = place.b;
    }
  }
  table.dimensions.push_back(schema.dimension("checkpoint"));
  for (std::size_t i = 0; i < x.size(); ++i) table.dimensions.back().values.push_back(static_cast<double>(i));
  table.dimensions.back().long_name = "position on the path";
  add_variable(table, schema, "trajectory_x", std::move(x));
  add_variable(table, schema, "trajectory_y", std::move(y));
}

/// Norms and cosine; none of a file that holds the variances alone, as write_goldstein() makes it.
std::optional<AxisProducts> add_axes(Table& table, const Table& schema, const h5::File& file, bool plane) {
  if (!file.exists("/xdirection") && file.exists("/explained_variance_ratio_")) return std::nullopt;
  const std::vector<double> x = read_direction(file, "/xdirection");
  AxisProducts axes{dot(x, x), 0, 0};
  add_variable(table, schema, "x_norm", {std::sqrt(axes.xx)});
  if (plane) {
    const std::vector<double> y = read_direction(file, "/ydirection");
    if (x.size() != y.size()) throw Error(file.path(), "xdirection and ydirection are of different lengths");
    axes.xy = dot(x, y);
    axes.yy = dot(y, y);
    add_variable(table, schema, "y_norm", {std::sqrt(axes.yy)});
    add_variable(table, schema, "cosine", {axes.xy / std::sqrt(axes.xx * axes.yy)});
  }
  return axes;
}

std::optional<AxisProducts> add_directions(Table& table, const Table& schema, const std::string& path, bool plane) {
  const h5::File file = h5::File::open(path, h5::Origin::anyone);
  const std::optional<AxisProducts> axes = add_axes(table, schema, file, plane);
  if (file.exists("/explained_variance_ratio_")) {
    std::vector<double> ratio = file.read<double>("/explained_variance_ratio_");
    table.dimensions.push_back(schema.dimension("component"));
    for (std::size_t i = 0; i < ratio.size(); ++i) table.dimensions.back().values.push_back(static_cast<double>(i + 1));
    add_variable(table, schema, "explained_variance_ratio", std::move(ratio));
    table.attributes["x_direction"] = "pca:1";
    if (plane) table.attributes["y_direction"] = "pca:2";
  }
  return axes;
}

void publish_plain(const std::string& path, const std::function<void(h5::File&)>& fill) {
  publish_file(path, [&](const std::string& temporary) {
    h5::File file = h5::File::create(temporary);
    fill(file);
    file.flush();
    file.close();
  });
}

}  // namespace

bool has_multiples(const std::string& projection) {
  return projection.ends_with(kMultiples);
}

Table read_goldstein(const GoldsteinFiles& files) {
  const h5::File file = h5::File::open(files.surface, h5::Origin::anyone);
  const std::vector<double> x = read_coordinates(file, "/xcoordinates");
  const bool plane = file.exists("/ycoordinates");
  const std::vector<double> y = plane ? read_coordinates(file, "/ycoordinates") : std::vector<double>{};
  if (!plane && !files.projection.empty())
    throw Error(files.surface, "is a line, and a path is drawn on planes only", "leave --projection out");
  const Table schema = surface_schema(plane);
  // Its networks are in evaluation mode.
  Table table{schema.kind, {{"batch_norm", "running"}}, {schema.dimension("repeat")}, {}};
  table.dimensions.front().values = {0};
  for (const char* name : {"y", "x"})
    if (plane || *name == 'x') {
      table.dimensions.push_back(schema.dimension(name));
      table.dimensions.back().values = *name == 'x' ? x : y;
    }
  for (const Naming& naming : kNames) {
    const std::string there = std::string("/") + naming.there;
    std::vector<double> values;
    if (file.exists(there)) {
      values = read_cells(file, there, x.size(), y.size());
      if (naming.factor != 1)
        for (double& value : values) value /= naming.factor;
    } else if (schema.variable(naming.here).absent == Absent::refused) {
      throw Error(file.path(), fmt::format("has no dataset {}", naming.there), kWhat);
    } else {
      continue;
    }
    add_variable(table, schema, naming.here, std::move(values));
  }
  add_status(table, schema);
  add_centre(table, schema, x, y);
  if (!plane) summarise_lines(table);
  std::optional<AxisProducts> axes;
  if (!files.directions.empty()) axes = add_directions(table, schema, files.directions, plane);
  if (!files.projection.empty()) add_checkpoints(table, schema, files, axes);
  return table;
}

std::vector<std::string> write_goldstein(const std::string& path, const Table& table, std::size_t repeat) {
  const SurfaceView view(table, repeat);
  const auto status = view.cells("status");
  const h5::Shape shape = view.is_plane() ? h5::Shape{view.y().size(), view.x().size()} : h5::Shape{view.x().size()};
  // The path is that in the first repeat's plane.
  const bool path_there = view.is_plane() && repeat == 0 && table.find("trajectory_x") && table.find("trajectory_y");
  const std::filesystem::path stem = std::filesystem::path(path).replace_extension();
  const std::string directions = stem.string() + "_dir.h5", projection = directions + kMultiples;
  publish_plain(path, [&](h5::File& file) {
    file.write_text("/dir_file", std::filesystem::path(directions).filename().string());
    file.write("/xcoordinates", view.x().data(), {view.x().size()});
    if (view.is_plane()) file.write("/ycoordinates", view.y().data(), {view.y().size()});
    for (const Variable* variable : view.variables()) {
      const Naming* naming = naming_of(variable->name);
      if (naming == nullptr) continue;
      const auto from = view.cells(*variable);
      std::vector<double> values(from.begin(), from.end());
      const bool smallest = variable->name == "min_eig";
      for (std::size_t i = 0; i < values.size(); ++i)
        if (status[i] == kCellNotDone)
          values[i] = smallest ? -kUndone : kUndone;
        else if (naming->factor != 1)
          values[i] *= naming->factor;
      file.write(std::string("/") + naming->there, values.data(), shape);
    }
  });
  if (!path_there) return {path};
  publish_plain(directions, [&](h5::File& file) {
    if (const Variable* ratio = table.find("explained_variance_ratio"))
      file.write("/explained_variance_ratio_", ratio->values.data(), {std::min<std::size_t>(ratio->values.size(), 2)});
    else  // its scripts want two numbers
      file.write("/explained_variance_ratio_", std::vector<double>(2, std::nan("")));
  });
  publish_plain(projection, [&](h5::File& file) {
    for (const auto& [here, there] : {std::pair("trajectory_x", "/proj_xcoord"), {"trajectory_y", "/proj_ycoord"}}) {
      const auto& values = table.variable(here).values;
      file.write(there, values.data(), {values.size(), 1});  // of one dimension its scripts read nothing
    }
  });
  return {path, directions, projection};
}

}  // namespace gradscape
