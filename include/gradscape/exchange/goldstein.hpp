// Surfaces from and to tomgoldstein/loss-landscape (Li et al. 2018): the HDF5 files of its plot scripts.
#pragma once

#include <string>
#include <vector>

#include "gradscape/core/table.hpp"

namespace gradscape {

/// What that program left of a surface. The last two may be empty; a projection needs the directions, unless
/// has_multiples().
struct GoldsteinFiles {
  std::string surface;
  std::string directions;
  std::string projection;
};

/// By a projection's name: *_proj_lstsq.h5 holds multiples of the directions, any other lengths along them.
bool has_multiples(const std::string& projection);

/// A surface of it as a table with one repeat. Its accuracies are percent; -1 in loss and accuracy means a cell not
/// done. Cells of shape [nx, ny] where the two differ lie as if it were [ny, nx]. A path whose coordinates are lengths
/// along the directions becomes the nearest multiples of them. Error where a dataset misses, has another extent or, as
/// coordinates, does not ascend.
Table read_goldstein(const GoldsteinFiles& files);

/// Publishes a repeat so that its plot scripts read it, [ny, nx], and returns the paths: `path`, and of a surface with
/// a path *_dir.h5 (variances alone) and *_dir.h5_proj_lstsq.h5 beside it, in which coordinates are those of the
/// surface.
std::vector<std::string> write_goldstein(const std::string& path, const Table& table, std::size_t repeat);

}  // namespace gradscape
