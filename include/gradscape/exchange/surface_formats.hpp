// Surfaces for other programs: VTK's structured grids, tables of text, arrays of NumPy.
#pragma once

#include <string>

#include "gradscape/core/table.hpp"

namespace gradscape {

/// What the third coordinate of a point is in a .vts.
enum class Height { loss, log_loss, flat };

/// Publishes a repeat as a structured grid (.vts, as ParaView opens it), x fastest, the variables of its cells as data
/// of points under their names. Points without a loss, or at log_loss with one that is not above 0, are at the largest
/// height, and hidden (vtkGhostType); their data are as they are.
void write_vts(const std::string& path, const Table& table, std::size_t repeat, Height height);

/// Publishes all repeats as text: a header, then a line for each cell with the fields repeat, x, y (of a plane), the
/// variables and status in words. Numbers read back to the same bits; a cell not done has empty fields.
void write_surface_csv(const std::string& path, const Table& table);

/// Publishes a repeat as arrays: x, y and the variables [ny, nx]; of a plane through marked points also what
/// plane_plot.py of timgaripov/dnn-mode-connectivity reads: grid [nx, ny, 2], tr_loss and te_err (percent) [nx, ny],
/// bend_coordinates [points, 2], and these again as curve_coordinates.
void write_surface_npz(const std::string& path, const Table& table, std::size_t repeat);

}  // namespace gradscape
