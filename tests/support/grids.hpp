// Probe grids made up for tests of files.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "gradscape/landscape/sweep_survey.hpp"
#include "gradscape/store/table_file.hpp"
#include "support/bits.hpp"

namespace gradscape::testing {

/// A sweep's table as records.
struct Grid {
  std::vector<double> multipliers;
  std::string direction;
  std::string precision;
  std::vector<SweepRecord> records;
  std::vector<std::string> layers = {};
};

inline Table to_table(const Grid& grid) {
  SweepOptions options;
  options.multipliers = grid.multipliers;
  options.direction = grid.direction;
  options.precision = grid.precision;
  SweepShape shape{options, grid.layers, 0, false};
  for (const SweepRecord& record : grid.records) {
    shape.batch = std::max(shape.batch, record.batch_index.size());
    for (const Augmentation& move : record.augmentation)
      shape.augmented = shape.augmented || move.dy != 0 || move.dx != 0 || move.flip;
  }
  Table table = sweep_schema(shape);
  for (const SweepRecord& record : grid.records) append_record(record, table);
  return table;
}

inline void write_grid(const std::string& path, const Provenance& provenance, const Grid& grid) {
  write_table(path, provenance, to_table(grid));
}

inline Grid read_grid(const std::string& path) {
  const Table table = read_table(path, sweep_schema());
  check_sweep(table, path);
  Grid grid{
      table.dimension("alpha").values, table.attributes.at("direction"), table.attributes.at("probe_precision"), {}};
  if (table.find("layer_beta") != nullptr) grid.layers = table.dimension("layer").labels;
  for (std::size_t row = 0; row < table.size(); ++row) grid.records.push_back(record_at(table, row));
  return grid;
}

/// Two multipliers and batches of three; every value tells its step, its column and its variable.
inline Grid make_grid(const std::vector<std::int64_t>& steps) {
  Grid grid{{0.5, 2.0}, "gradient", "native", {}};
  for (const std::int64_t step : steps) {
    const auto x = static_cast<double>(step);
    SweepRecord record{step, x + 0.01, x + 0.02, x + 0.03, x + 0.04, {}, {}, {}, {}};
    for (const double multiplier : grid.multipliers) {
      const double y = 10 * x + multiplier;
      record.cells.push_back({y + 0.1, y + 0.2, y + 0.3, y + 0.4, y + 0.5, y + 0.6, y + 0.7, CellStatus::ok});
    }
    for (std::int32_t i = 0; i < 3; ++i)
      record.batch_index.push_back(static_cast<std::int32_t>(10 * step % 1'000'000) + i);
    record.augmentation.resize(3);
    grid.records.push_back(record);
  }
  return grid;
}

inline void expect_same_grid(const Grid& a, const Grid& b) {
  EXPECT_EQ(a.multipliers, b.multipliers);
  EXPECT_EQ(a.direction, b.direction);
  EXPECT_EQ(a.precision, b.precision);
  ASSERT_EQ(a.records.size(), b.records.size());
  for (std::size_t i = 0; i < a.records.size(); ++i) {
    const SweepRecord& x = a.records[i];
    const SweepRecord& y = b.records[i];
    SCOPED_TRACE(y.step);
    EXPECT_EQ(x.step, y.step);
    for (const auto value :
         {&SweepRecord::lr, &SweepRecord::train_loss, &SweepRecord::train_grad_norm, &SweepRecord::noise_floor})
      EXPECT_TRUE(same_bits(x.*value, y.*value));
    EXPECT_EQ(x.batch_index, y.batch_index);
    ASSERT_EQ(x.augmentation.size(), y.augmentation.size());
    for (std::size_t n = 0; n < x.augmentation.size(); ++n) {
      EXPECT_EQ(x.augmentation[n].dy, y.augmentation[n].dy);
      EXPECT_EQ(x.augmentation[n].dx, y.augmentation[n].dx);
      EXPECT_EQ(x.augmentation[n].flip, y.augmentation[n].flip);
    }
    ASSERT_EQ(x.cells.size(), y.cells.size());
    for (std::size_t k = 0; k < x.cells.size(); ++k) {
      for (const auto value : {&Cell::loss, &Cell::accuracy, &Cell::grad_norm, &Cell::grad_diff, &Cell::grad_cos,
                               &Cell::distance, &Cell::beta})
        EXPECT_TRUE(same_bits(x.cells[k].*value, y.cells[k].*value)) << "cell " << k;
      EXPECT_EQ(x.cells[k].status, y.cells[k].status);
    }
  }
}

}  // namespace gradscape::testing
