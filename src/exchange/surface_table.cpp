#include "gradscape/exchange/surface_table.hpp"

#include "gradscape/store/table_file.hpp"

namespace gradscape {
namespace {

struct Words {
  const char* name;
  const char* units;
  const char* long_name;
};

constexpr Words kCells[] = {
    {"test_loss", "loss", "loss of the test images"},
    {"test_accuracy", "1", "fraction of the test images classified right"},
    {"grad_norm", "loss/weight", "L2 norm of the gradient"},
    {"max_eig", "loss/weight^2", "largest eigenvalue of the Hessian, summed over mini-batches"},
    {"min_eig", "loss/weight^2", "smallest eigenvalue of the Hessian, summed over mini-batches"},
};

constexpr Words kRepeats[] = {
    {"centre_loss", "loss", "loss at the centre"},
    {"centre_accuracy", "1", "accuracy at the centre"},
    {"centre_test_loss", "loss", "test loss at the centre"},
    {"centre_test_accuracy", "1", "test accuracy at the centre"},
    {"x_norm", "weight", "L2 norm of the first direction"},
    {"y_norm", "weight", "L2 norm of the second direction"},
    {"cosine", "1", "cosine of both directions"},
};

constexpr Words kCheckpoints[] = {
    {"trajectory_x", "1", "multiple of the first direction nearest to the checkpoint"},
    {"trajectory_y", "1", "multiple of the second direction nearest to the checkpoint"},
};

}  // namespace

Table surface_schema(bool plane) {
  Table table{"surface", {}, {}, {}};
  table.dimensions.push_back({"repeat", "1", "number of the draw of the directions", {}, {}, Element::int64});
  if (plane) table.dimensions.push_back({"y", "1", "multiple of the second direction", {}});
  table.dimensions.push_back({"x", "1", "multiple of the first direction", {}});
  table.dimensions.push_back({"checkpoint", "1", "training steps before the checkpoint", {}, {}, Element::int64});
  table.dimensions.push_back({"component", "1", "number of the principal component", {}, {}, Element::int64});
  table.dimensions.push_back({"point", "1", "weights that the plane goes through", {}, {}, Element::int32});
  const std::vector<std::string> cells =
      plane ? std::vector<std::string>{"repeat", "y", "x"} : std::vector<std::string>{"repeat", "x"};
  const auto add = [&](const Words& words, const std::vector<std::string>& dimensions, Absent absent) {
    table.variables.push_back({.name = words.name,
                               .units = words.units,
                               .long_name = words.long_name,
                               .dimensions = dimensions,
                               .absent = absent});
  };
  add({"loss", "loss", "mean loss of the images"}, cells, Absent::refused);
  add({"accuracy", "1", "fraction of the images classified right"}, cells, Absent::dropped);
  for (const Words& words : kCells) add(words, cells, Absent::dropped);
  table.variables.push_back({.name = "status",
                             .units = "1",
                             .long_name = "state of the cell",
                             .dimensions = cells,
                             .type = Element::uint8,
                             .hole = kCellNotDone,
                             .flags = {"not_done", "ok", "non_finite"}});
  for (const Words& words : kRepeats) add(words, {"repeat"}, Absent::dropped);
  for (const Words& words : kCheckpoints) add(words, {"checkpoint"}, Absent::dropped);
  add({"explained_variance_ratio", "1", "share of the variance of the path"}, {"component"}, Absent::dropped);
  add({"point_x", "1", "first coordinate of the point"}, {"point"}, Absent::dropped);
  add({"point_y", "1", "second coordinate of the point"}, {"point"}, Absent::dropped);
  return table;
}

Table read_surface(const std::string& path) {
  const bool plane = peek_published(path, "surface").exists("/y");
  return read_table(path, surface_schema(plane));
}

SurfaceView::SurfaceView(const Table& table, std::size_t repeat)
    : table_(&table),
      repeat_(repeat),
      plane_(table.variable("loss").dimensions.size() == 3),
      x_(table.dimension("x").values),
      y_(plane_ ? table.dimension("y").values : std::vector<double>{0}) {
  const auto& cells = table.variable("loss").dimensions;
  for (const Variable& variable : table.variables)
    if (variable.dimensions == cells && variable.flags.empty()) variables_.push_back(&variable);
}

std::span<const double> SurfaceView::cells(const Variable& variable) const {
  const std::size_t count = x_.size() * y_.size();
  return std::span(variable.values).subspan(repeat_ * count, count);
}

}  // namespace gradscape
