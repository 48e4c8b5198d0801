#include "gradscape/store/grid_file.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

template <class Source>
struct Variable {
  const char* name;
  const char* units;
  const char* long_name;
  double Source::*value;
};

/// (step, alpha)
constexpr Variable<Cell> kCells[] = {
    {"loss", "loss", "loss at theta(alpha) on the step's batch", &Cell::loss},
    {"accuracy", "1", "fraction of the batch classified right at theta(alpha)", &Cell::accuracy},
    {"grad_norm", "loss/weight", "L2 norm of the gradient at theta(alpha)", &Cell::grad_norm},
    {"grad_diff", "loss/weight", "L2 norm of gradient at theta(alpha) minus gradient at theta", &Cell::grad_diff},
    {"grad_cos", "1", "cosine between the gradients at theta(alpha) and theta", &Cell::grad_cos},
    {"distance", "weight", "L2 distance of theta(alpha) from theta", &Cell::distance},
    {"beta", "loss/weight^2", "gradient difference divided by distance", &Cell::beta},
};

/// (step)
constexpr Variable<SweepRecord> kRecords[] = {
    {"lr", "1", "learning rate", &SweepRecord::lr},
    {"train_loss", "loss", "loss at theta", &SweepRecord::train_loss},
    {"train_grad_norm", "loss/weight", "L2 norm of the gradient at theta", &SweepRecord::train_grad_norm},
    {"noise_floor", "1", "relative error of the gradient, at the first probed step of the segment",
     &SweepRecord::noise_floor},
};

/// (step), derived
constexpr Variable<Bands> kBands[] = {
    {"loss_min", "loss", "smallest loss over alpha", &Bands::loss_min},
    {"loss_max", "loss", "largest loss over alpha", &Bands::loss_max},
    {"grad_diff_min", "loss/weight", "smallest gradient difference over alpha", &Bands::grad_diff_min},
    {"grad_diff_max", "loss/weight", "largest gradient difference over alpha", &Bands::grad_diff_max},
    {"beta_max", "loss/weight^2", "effective beta-smoothness: largest beta over alpha", &Bands::beta_max},
};

void describe(h5::File& file, const std::string& name, const std::string& units, const std::string& long_name,
              const std::vector<std::string>& scales) {
  file.set_attribute(name, "units", units);
  file.set_attribute(name, "long_name", long_name);
  for (unsigned axis = 0; axis < scales.size(); ++axis) file.attach_scale(name, scales[axis], axis);
}

template <class Value>
void write_scale(h5::File& file, const std::string& name, const std::vector<Value>& values, const std::string& units,
                 const std::string& long_name) {
  file.write("/" + name, values);
  file.make_scale("/" + name, name);
  file.set_attribute("/" + name, "units", units);
  file.set_attribute("/" + name, "long_name", long_name);
}

/// Writes (step, sample) values, `missing` where a batch is short.
template <class Value, class Get>
void write_samples(h5::File& file, const Grid& grid, std::size_t width, const std::string& name, Value missing,
                   const std::string& long_name, Get&& get) {
  std::vector<Value> values;
  for (const auto& record : grid.records)
    for (std::size_t i = 0; i < width; ++i) values.push_back(i < record.batch_index.size() ? get(record, i) : missing);
  file.write("/" + name, values.data(), {grid.records.size(), width});
  describe(file, "/" + name, "1", long_name, {"/step", "/sample"});
}

std::size_t largest_batch(const Grid& grid) {
  std::size_t width = 0;
  for (const auto& record : grid.records) width = std::max(width, record.batch_index.size());
  return width;
}

bool is_augmented(const Grid& grid) {
  for (const auto& record : grid.records)
    for (const auto& a : record.augmentation)
      if (a.dy != 0 || a.dx != 0 || a.flip) return true;
  return false;
}

void write_batches(h5::File& file, const Grid& grid) {
  const std::size_t width = largest_batch(grid);
  std::vector<std::int32_t> numbers(width);
  std::iota(numbers.begin(), numbers.end(), 0);
  write_scale(file, "sample", numbers, "1", "position in the batch");
  write_samples<std::int32_t>(file, grid, width, "batch_index", -1, "position in the training set, -1: none",
                              [](const SweepRecord& r, std::size_t i) { return r.batch_index[i]; });
  if (!is_augmented(grid)) return;
  write_samples<std::int8_t>(file, grid, width, "batch_crop_y", 0, "rows by which augmentation moved the image up",
                             [](const SweepRecord& r, std::size_t i) { return r.augmentation[i].dy; });
  write_samples<std::int8_t>(file, grid, width, "batch_crop_x", 0, "columns by which augmentation moved the image left",
                             [](const SweepRecord& r, std::size_t i) { return r.augmentation[i].dx; });
  write_samples<std::int8_t>(
      file, grid, width, "batch_flip", 0, "1: augmentation mirrored the image",
      [](const SweepRecord& r, std::size_t i) { return static_cast<std::int8_t>(r.augmentation[i].flip); });
}

/// Reads a dataset and checks its extents.
template <class T>
std::vector<T> read_shaped(const h5::File& file, const std::string& name, const h5::Shape& expected) {
  h5::Shape shape;
  auto values = file.read<T>("/" + name, &shape);
  if (shape != expected) throw Error(file.path(), name + " does not have the extents of its dimensions");
  return values;
}

void read_batches(const h5::File& file, Grid& grid) {
  const std::size_t width = file.read<std::int32_t>("/sample").size();
  const h5::Shape shape{grid.records.size(), width};
  const auto index = read_shaped<std::int32_t>(file, "batch_index", shape);
  const bool augmented = file.exists("/batch_flip");
  const auto read_int8 = [&](const char* name) {
    return augmented ? read_shaped<std::int8_t>(file, name, shape) : std::vector<std::int8_t>(index.size());
  };
  const auto dy = read_int8("batch_crop_y");
  const auto dx = read_int8("batch_crop_x");
  const auto flip = read_int8("batch_flip");
  for (std::size_t row = 0; row < grid.records.size(); ++row)
    for (std::size_t i = row * width; i < (row + 1) * width && index[i] >= 0; ++i) {
      grid.records[row].batch_index.push_back(index[i]);
      grid.records[row].augmentation.push_back({dy[i], dx[i], flip[i] != 0});
    }
}

}  // namespace

void write_grid(const std::string& path, const Provenance& provenance, const Grid& grid) {
  for (const auto& record : grid.records)
    check(record.cells.size() == grid.multipliers.size(), "a cell for every multiplier");
  Provenance origin = provenance;
  origin.file_type = "grid";
  publish_h5(path, origin, [&](h5::File& file) {
    file.set_attribute("/", "Conventions", "CF-1.8");
    file.set_attribute("/", "direction", grid.direction);
    file.set_attribute("/", "probe_precision", grid.precision);

    std::vector<std::int64_t> steps;
    for (const auto& record : grid.records) steps.push_back(record.step);
    write_scale(file, "step", steps, "step", "training step: number of updates done");
    write_scale(
        file, "alpha", grid.multipliers, "1",
        grid.direction == "update" ? "multiplier of the optimiser's update" : "multiplier of the learning rate");

    for (const auto& variable : kRecords) {
      std::vector<double> values;
      for (const auto& record : grid.records) values.push_back(record.*variable.value);
      file.write(std::string("/") + variable.name, values);
      describe(file, std::string("/") + variable.name, variable.units, variable.long_name, {"/step"});
    }
    for (const auto& variable : kBands) {
      std::vector<double> values;
      for (const auto& record : grid.records)
        values.push_back(make_bands(record.cells, record.train_grad_norm).*variable.value);
      file.write(std::string("/") + variable.name, values);
      describe(file, std::string("/") + variable.name, variable.units, variable.long_name, {"/step"});
    }
    const h5::Shape shape{grid.records.size(), grid.multipliers.size()};
    for (const auto& variable : kCells) {
      std::vector<double> values;
      for (const auto& record : grid.records)
        for (const auto& cell : record.cells) values.push_back(cell.*variable.value);
      file.write(std::string("/") + variable.name, values.data(), shape);
      describe(file, std::string("/") + variable.name, variable.units, variable.long_name, {"/step", "/alpha"});
    }
    std::vector<std::uint8_t> status;
    for (const auto& record : grid.records)
      for (const auto& cell : record.cells) status.push_back(static_cast<std::uint8_t>(cell.status));
    file.write("/status", status.data(), shape);
    describe(file, "/status", "1", "state of the cell", {"/step", "/alpha"});
    file.set_attribute("/status", "flag_values", std::vector<std::uint8_t>{0, 1, 2, 3});
    file.set_attribute("/status", "flag_meanings", "not_done ok non_finite below_noise");

    write_batches(file, grid);
  });
}

Grid read_grid(const std::string& path) {
  const h5::File file = open_published(path, "grid");
  Grid grid;
  grid.direction = file.text_attribute("/", "direction");
  grid.precision = file.text_attribute("/", "probe_precision");
  grid.multipliers = file.read<double>("/alpha");
  const auto steps = file.read<std::int64_t>("/step");
  const std::size_t columns = grid.multipliers.size();
  grid.records.resize(steps.size());
  for (std::size_t row = 0; row < steps.size(); ++row) {
    grid.records[row].step = steps[row];
    grid.records[row].cells.resize(columns);
  }
  for (const auto& variable : kRecords) {
    if (variable.value == &SweepRecord::noise_floor && !file.exists("/noise_floor")) {  // an older program's file
      for (SweepRecord& record : grid.records) record.noise_floor = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    const auto values = read_shaped<double>(file, variable.name, {steps.size()});
    for (std::size_t row = 0; row < steps.size(); ++row) grid.records[row].*variable.value = values[row];
  }
  const h5::Shape shape{steps.size(), columns};
  for (const auto& variable : kCells) {
    const auto values = read_shaped<double>(file, variable.name, shape);
    for (std::size_t i = 0; i < values.size(); ++i)
      grid.records[i / columns].cells[i % columns].*variable.value = values[i];
  }
  const auto status = read_shaped<std::uint8_t>(file, "status", shape);
  for (std::size_t i = 0; i < status.size(); ++i)
    grid.records[i / columns].cells[i % columns].status = static_cast<CellStatus>(status[i]);
  read_batches(file, grid);
  return grid;
}

}  // namespace gradscape
