// Files of tables: a dimension scale for each dimension, a dataset for each variable (docs/format.md).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gradscape/core/table.hpp"
#include "gradscape/store/publish.hpp"
#include "gradscape/store/sources.hpp"

namespace gradscape {

/// Fills a file with a table, rows in order; memory does not depend on their number.
class TableWriter {
 public:
  /// `schema`: the table without rows, of which there will be `rows`. With seeds, every variable over rows has a
  /// leading dimension seed: all rows of the first come first, then those of the next; they have the same keys.
  TableWriter(h5::File& file, const Table& schema, std::size_t rows, const std::vector<std::int64_t>& seeds = {});
  ~TableWriter();

  /// Adds rows [first, last) of a table of this schema.
  void add(const Table& from, std::size_t first, std::size_t last);
  /// Adds a row of missing values.
  void add_hole(double key);
  /// After the last row, and before the file is closed.
  void finish();

 private:
  struct Columns;
  std::unique_ptr<Columns> columns_;
};

/// Publishes a table as a file of type table.kind. `sources` (may be null): what it was made of.
void write_table(const std::string& path, const Provenance& provenance, const Table& table,
                 const Sources* sources = nullptr);

/// Reads the table of `schema`'s kind: its variables over dimensions as the file has them. Error where the file lacks a
/// variable that must be there, where extents or types do not fit, where rows do not ascend or flags have no meaning,
/// and in files that unite several seeds. The schema's attributes are read too; the descriptions of its dimensions are
/// the file's.
Table read_table(const std::string& path, const Table& schema);

/// The same of all but the variables over rows: what a file is about.
Table read_shape(const h5::File& file, const Table& schema);

}  // namespace gradscape
