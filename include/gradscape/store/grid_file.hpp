#pragma once

#include <vector>

#include "gradscape/landscape/sweep.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {

/// A probe grid: one shard of a sweep, or all of it merged. Both have the same schema (docs/format.md).
struct Grid {
  std::vector<double> multipliers;
  std::string direction;
  std::string precision;
  std::vector<SweepRecord> records;  // ascending steps
};

void write_grid(const std::string& path, const Provenance& provenance, const Grid& grid);

/// Error where variables are missing or of lengths that do not fit together. Files of older programs have no noise
/// floor: it is NaN.
Grid read_grid(const std::string& path);

}  // namespace gradscape
