#pragma once

#include <memory>
#include <vector>

#include "gradscape/landscape/sweep.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {

/// A probe grid: one shard of a sweep, or all of it merged. Both have the same schema (docs/format.md).
struct Grid {
  std::vector<double> multipliers;
  std::string direction;
  std::string precision;
  std::vector<SweepRecord> records;      // ascending steps
  std::vector<std::string> layers = {};  // names, where cells tell of layers (sweep.layers)
};

/// What must be known of a grid before its first record is written.
struct GridShape {
  std::vector<double> multipliers;
  std::string direction;
  std::string precision;
  std::size_t records = 0;
  std::size_t batch = 0;  // samples of the largest batch
  bool augmented = false;
  std::vector<std::int64_t> seeds;  // of a file that unites runs: every variable has a leading dimension seed
  std::vector<std::string> layers = {};
};

/// Writes a grid's records one by one; memory does not depend on their number. With seeds: all records of the first,
/// then of the next; they have the same steps.
class GridWriter {
 public:
  GridWriter(h5::File& file, const GridShape& shape);
  ~GridWriter();
  /// Records come in the order of their steps.
  void add(const SweepRecord& record);
  /// After the last record, and before the file is closed.
  void finish();

 private:
  struct Columns;
  std::unique_ptr<Columns> columns_;
};

void write_grid(const std::string& path, const Provenance& provenance, const Grid& grid);

/// Error where variables are missing or of lengths that do not fit together, as they are where seeds are united, and
/// where bands are not those of the cells. Files of older programs have no noise floor: it is NaN.
Grid read_grid(const std::string& path);

/// Nothing, where two records of a step agree in every bit (NaN equals NaN); else the first variable that differs, with
/// both values: "loss at multiplier 2 is 1.5 here and 1.25 there". `multipliers` are both records'.
std::string record_difference(const SweepRecord& here, const SweepRecord& there,
                              const std::vector<double>& multipliers);

}  // namespace gradscape
