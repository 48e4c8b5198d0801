#include "gradscape/exchange/surface_formats.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradscape/exchange/surface_table.hpp"
#include "gradscape/file/npz.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {
namespace {

std::vector<double> copy(std::span<const double> values) {
  return {values.begin(), values.end()};
}

std::vector<std::uint8_t> status_of(const SurfaceView& view) {
  const auto status = view.cells("status");
  return {status.begin(), status.end()};
}

/// Heights of points; NaN of those to be hidden.
std::vector<double> heights_of(const SurfaceView& view, Height height) {
  std::vector<double> heights = copy(view.cells("loss"));
  for (double& value : heights) {
    if (height == Height::log_loss) value = std::log10(value);
    if (!std::isfinite(value)) value = std::nan("");
    if (height == Height::flat && !std::isnan(value)) value = 0;
  }
  return heights;
}

/// The part behind the headers: each array with its size in front.
class AppendedData {
 public:
  /// The element that describes an array.
  template <class T>
  std::string add(const std::string& name, int components, const std::vector<T>& values) {
    static_assert(std::is_same_v<T, double> || std::is_same_v<T, std::uint8_t>);
    std::string tag = fmt::format(
        "<DataArray type=\"{}\" Name=\"{}\" NumberOfComponents=\"{}\" format=\"appended\" offset=\"{}\"/>\n",
        std::is_same_v<T, double> ? "Float64" : "UInt8", name, components, bytes_.size());
    const std::uint64_t size = values.size() * sizeof(T);
    bytes_.append(reinterpret_cast<const char*>(&size), sizeof size);
    bytes_.append(reinterpret_cast<const char*>(values.data()), size);
    return tag;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// Of the points [x, y, height], x fastest.
std::vector<double> points_of(const SurfaceView& view, const std::vector<double>& heights) {
  double top = -std::numeric_limits<double>::infinity();
  for (const double value : heights)
    if (!std::isnan(value)) top = std::max(top, value);
  if (std::isinf(top)) top = 0;
  std::vector<double> points;
  for (std::size_t j = 0; j < view.y().size(); ++j)
    for (std::size_t i = 0; i < view.x().size(); ++i) {
      const double height = heights[j * view.x().size() + i];
      points.insert(points.end(), {view.x()[i], view.y()[j], std::isnan(height) ? top : height});
    }
  return points;
}

/// [ny, nx] → [nx, ny]
std::vector<double> transposed(std::span<const double> values, std::size_t nx) {
  const std::size_t ny = values.size() / nx;
  std::vector<double> result(values.size());
  for (std::size_t j = 0; j < ny; ++j)
    for (std::size_t i = 0; i < nx; ++i) result[i * ny + j] = values[j * nx + i];
  return result;
}

void add_plane_through_points(std::vector<NpyArray>& arrays, const Table& table, const SurfaceView& view) {
  const Variable *x = table.find("point_x"), *y = table.find("point_y");
  if (!view.is_plane() || x == nullptr || y == nullptr) return;
  const std::size_t nx = view.x().size(), ny = view.y().size(), points = x->values.size();
  std::vector<double> grid, bends;
  for (const double a : view.x())
    for (const double b : view.y()) grid.insert(grid.end(), {a, b});
  for (std::size_t i = 0; i < points; ++i) bends.insert(bends.end(), {x->values[i], y->values[i]});
  arrays.push_back({"grid", {nx, ny, 2}, grid});
  arrays.push_back({"tr_loss", {nx, ny}, transposed(view.cells("loss"), nx)});
  if (table.find("test_accuracy") != nullptr) {
    std::vector<double> error = transposed(view.cells("test_accuracy"), nx);
    for (double& value : error) value = 100 * (1 - value);
    arrays.push_back({"te_err", {nx, ny}, std::move(error)});
  }
  arrays.push_back({"bend_coordinates", {points, 2}, bends});
  arrays.push_back({"curve_coordinates", {points, 2}, bends});
}

}  // namespace

void write_vts(const std::string& path, const Table& table, std::size_t repeat, Height height) {
  constexpr std::uint8_t kHidden = 2;  // vtkDataSetAttributes::HIDDENPOINT
  const SurfaceView view(table, repeat);
  const std::vector<double> heights = heights_of(view, height);
  std::vector<std::uint8_t> ghosts;
  for (const double value : heights) ghosts.push_back(std::isnan(value) ? kHidden : 0);
  AppendedData data;
  std::string point_data;
  for (const Variable* variable : view.variables())
    point_data += data.add(variable->name, 1, copy(view.cells(*variable)));
  point_data += data.add("status", 1, status_of(view)) + data.add("vtkGhostType", 1, ghosts);
  const std::string points = data.add("Points", 3, points_of(view, heights));
  const std::string extent = fmt::format("0 {} 0 {} 0 0", view.x().size() - 1, view.y().size() - 1);
  const std::string head = fmt::format(
      "<?xml version=\"1.0\"?>\n<VTKFile type=\"StructuredGrid\" version=\"1.0\" byte_order=\"LittleEndian\" "
      "header_type=\"UInt64\">\n<StructuredGrid WholeExtent=\"{0}\">\n<Piece Extent=\"{0}\">\n"
      "<PointData Scalars=\"loss\">\n{1}</PointData>\n<Points>\n{2}</Points>\n</Piece>\n</StructuredGrid>\n"
      "<AppendedData encoding=\"raw\">\n_",
      extent, point_data, points);
  publish_text(path, head + data.bytes() + "\n</AppendedData>\n</VTKFile>\n");
}

void write_surface_csv(const std::string& path, const Table& table) {
  const auto& words = table.variable("status").flags;
  std::string text;
  for (std::size_t repeat = 0; repeat < table.size(); ++repeat) {
    const SurfaceView view(table, repeat);
    if (repeat == 0) {
      text = view.is_plane() ? "repeat,x,y" : "repeat,x";
      for (const Variable* variable : view.variables()) text += "," + variable->name;
      text += ",status\n";
    }
    for (std::size_t cell = 0; cell < view.x().size() * view.y().size(); ++cell) {
      const std::size_t i = cell % view.x().size(), j = cell / view.x().size();
      text += fmt::format("{},{}", table.rows().values[repeat], view.x()[i]);
      if (view.is_plane()) text += fmt::format(",{}", view.y()[j]);
      const double status = view.cells("status")[cell];
      for (const Variable* variable : view.variables())
        text += status == kCellNotDone ? "," : fmt::format(",{}", view.cells(*variable)[cell]);
      text += "," + words[static_cast<std::size_t>(status)] + "\n";
    }
  }
  publish_text(path, text);
}

void write_surface_npz(const std::string& path, const Table& table, std::size_t repeat) {
  const SurfaceView view(table, repeat);
  std::vector<std::size_t> shape;
  if (view.is_plane()) shape.push_back(view.y().size());
  shape.push_back(view.x().size());
  std::vector<NpyArray> arrays = {{"x", {view.x().size()}, copy(view.x())}};
  if (view.is_plane()) arrays.push_back({"y", {view.y().size()}, copy(view.y())});
  for (const Variable* variable : view.variables())
    arrays.push_back({variable->name, shape, copy(view.cells(*variable))});
  arrays.push_back({"status", shape, status_of(view)});
  for (const char* name : {"trajectory_x", "trajectory_y"})  // in the first repeat's plane
    if (const Variable* variable = repeat == 0 ? table.find(name) : nullptr)
      arrays.push_back({name, {variable->values.size()}, variable->values});
  add_plane_through_points(arrays, table, view);
  publish_file(path, [&](const std::string& temporary) { write_npz(temporary, arrays); });
}

}  // namespace gradscape
