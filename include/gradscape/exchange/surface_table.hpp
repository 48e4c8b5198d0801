// Surfaces, lines and planes through weights, as tables: what files of other programs are made of, and made into.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gradscape/core/table.hpp"

namespace gradscape {

/// State of a cell: the values of `status`.
inline constexpr double kCellNotDone = 0, kCellOk = 1, kCellNonFinite = 2;

/// The table of a file of type "surface" (docs/format.md) without values; all but loss and status may miss.
Table surface_schema(bool plane);

/// Reads a merged surface. Error where it is none, or damaged.
Table read_surface(const std::string& path);

/// One repeat of a surface, seen as a grid; of a line ny is 1 and y 0.
class SurfaceView {
 public:
  /// `table` must outlive this; `repeat` is a place, not a number.
  SurfaceView(const Table& table, std::size_t repeat);

  bool is_plane() const { return plane_; }
  std::span<const double> x() const { return x_; }
  std::span<const double> y() const { return y_; }
  /// The variables of cells, in order of the file, status left out.
  const std::vector<const Variable*>& variables() const { return variables_; }
  /// Row-major [y, x].
  std::span<const double> cells(const Variable& variable) const;
  std::span<const double> cells(const std::string& name) const { return cells(table_->variable(name)); }

 private:
  const Table* table_;
  std::size_t repeat_;
  bool plane_;
  std::vector<double> x_, y_;
  std::vector<const Variable*> variables_;
};

}  // namespace gradscape
