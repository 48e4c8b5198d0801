#include "gradscape/store/grid_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "gradscape/core/error.hpp"
#include "gradscape/file/dimensions.hpp"

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

/// (step, alpha, layer), where there are layers
struct LayerVariable {
  const char* name;
  const char* units;
  const char* long_name;
  std::vector<double> Cell::*values;
};
constexpr LayerVariable kLayers[] = {
    {"layer_grad_diff", "loss/weight", "L2 norm of the layer's part of the gradient difference",
     &Cell::layer_grad_diff},
    {"layer_beta", "loss/weight^2", "that, divided by the L2 norm of the layer's part of the distance",
     &Cell::layer_beta},
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

bool same(double a, double b) {
  return (a == b && std::signbit(a) == std::signbit(b)) || (std::isnan(a) && std::isnan(b));
}

bool is_augmented(const SweepRecord& record) {
  return std::any_of(record.augmentation.begin(), record.augmentation.end(),
                     [](const Augmentation& a) { return a.dy != 0 || a.dx != 0 || a.flip; });
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
  const auto positions = file.read<std::int32_t>("/sample");
  const std::size_t width = positions.size();
  for (std::size_t i = 0; i < width; ++i)
    if (positions[i] != static_cast<std::int32_t>(i)) throw Error(file.path(), "/sample does not count from 0 on");
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

/// The bands are those of the cells, bit for bit (NaN equals NaN).
void require_bands(const h5::File& file, const Grid& grid) {
  for (const auto& variable : kBands) {
    const auto values = read_shaped<double>(file, variable.name, {grid.records.size()});
    for (std::size_t row = 0; row < values.size(); ++row) {
      const SweepRecord& record = grid.records[row];
      const double expected = make_bands(record.cells, record.train_grad_norm).*variable.value;
      if (!same(values[row], expected))
        throw Error(
            file.path(),
            fmt::format("at step {}, {} is {} and its cells give {}", record.step, variable.name, values[row],
                        expected),
            "it is damaged or was changed; `gradscape sweep` makes a shard again, `gradscape merge` a landscape");
    }
  }
}

void read_layers(const h5::File& file, Grid& grid) {
  if (!file.exists("/layer")) return;
  grid.layers = read_labels(file, "layer");
  const std::size_t columns = grid.multipliers.size(), depth = grid.layers.size();
  for (const auto& variable : kLayers) {
    const auto values = read_shaped<double>(file, variable.name, {grid.records.size(), columns, depth});
    for (std::size_t i = 0; i < values.size(); ++i)
      (grid.records[i / depth / columns].cells[i / depth % columns].*variable.values).push_back(values[i]);
  }
}

}  // namespace

struct GridWriter::Columns {
  h5::File& file;
  GridShape shape;
  std::size_t added = 0;  // records
  std::vector<h5::RowWriter<std::int64_t>> step;
  std::vector<h5::RowWriter<double>> records;
  std::vector<h5::RowWriter<double>> bands;
  std::vector<h5::RowWriter<double>> cells;
  std::vector<h5::RowWriter<double>> layers;
  std::vector<h5::RowWriter<std::uint8_t>> status;
  std::vector<h5::RowWriter<std::int32_t>> index;
  std::vector<h5::RowWriter<std::int8_t>> moves;  // crop_y, crop_x, flip; none without augmentation

  template <class T>
  void add(std::vector<h5::RowWriter<T>>& list, const std::string& name, const h5::Shape& extents,
           const std::string& units, const std::string& long_name, const std::vector<std::string>& scales) {
    h5::Shape shape_of_all = extents;
    std::vector<std::string> scales_of_all = scales;
    if (!shape.seeds.empty()) {
      shape_of_all.insert(shape_of_all.begin(), shape.seeds.size());
      scales_of_all.insert(scales_of_all.begin(), "/seed");
    }
    list.emplace_back(file, "/" + name, shape_of_all, shape.seeds.empty() ? 0 : 1);
    describe(file, "/" + name, units, long_name, scales_of_all);
  }

  void create();
  void create_layers();
  void create_batches();
};

void GridWriter::Columns::create() {
  file.set_attribute("/", "Conventions", "CF-1.8");
  file.set_attribute("/", "direction", shape.direction);
  file.set_attribute("/", "probe_precision", shape.precision);
  if (!shape.seeds.empty()) {
    file.write("/seed", shape.seeds);
    make_scale(file, "seed", "1", "train.seed of the run");
  }
  const h5::Shape row{shape.records}, cell{shape.records, shape.multipliers.size()};
  step.emplace_back(file, "/step", row);
  make_scale(file, "step", "step", "training step: number of updates done");
  file.write("/alpha", shape.multipliers);
  make_scale(file, "alpha", "1",
             shape.direction == "update" ? "multiplier of the optimiser's update" : "multiplier of the learning rate");
  for (const auto& v : kRecords) add(records, v.name, row, v.units, v.long_name, {"/step"});
  for (const auto& v : kBands) add(bands, v.name, row, v.units, v.long_name, {"/step"});
  for (const auto& v : kCells) add(cells, v.name, cell, v.units, v.long_name, {"/step", "/alpha"});
  add(status, "status", cell, "1", "state of the cell", {"/step", "/alpha"});
  file.set_attribute("/status", "flag_values", std::vector<std::uint8_t>{0, 1, 2, 3});
  file.set_attribute("/status", "flag_meanings", "not_done ok non_finite below_noise");
  create_layers();
  create_batches();
}

void GridWriter::Columns::create_layers() {
  if (shape.layers.empty()) return;
  std::vector<std::int32_t> numbers(shape.layers.size());
  std::iota(numbers.begin(), numbers.end(), 1);
  write_labels(file, "layer", "number of a convolution or dense layer, with the norm behind it", numbers, shape.layers);
  const h5::Shape extents{shape.records, shape.multipliers.size(), shape.layers.size()};
  for (const auto& v : kLayers) add(layers, v.name, extents, v.units, v.long_name, {"/step", "/alpha", "/layer"});
}

void GridWriter::Columns::create_batches() {
  std::vector<std::int32_t> numbers(shape.batch);
  std::iota(numbers.begin(), numbers.end(), 0);
  file.write("/sample", numbers);
  make_scale(file, "sample", "1", "position in the batch");
  const h5::Shape sample{shape.records, shape.batch};
  const std::vector<std::string> scales = {"/step", "/sample"};
  add(index, "batch_index", sample, "1", "position in the training set, -1: none", scales);
  if (!shape.augmented) return;
  add(moves, "batch_crop_y", sample, "1", "rows by which augmentation moved the image up", scales);
  add(moves, "batch_crop_x", sample, "1", "columns by which augmentation moved the image left", scales);
  add(moves, "batch_flip", sample, "1", "1: augmentation mirrored the image", scales);
}

GridWriter::GridWriter(h5::File& file, const GridShape& shape)
    : columns_(new Columns{file, shape, 0, {}, {}, {}, {}, {}, {}, {}, {}}) {
  columns_->create();
}

GridWriter::~GridWriter() = default;

void GridWriter::add(const SweepRecord& record) {
  Columns& to = *columns_;
  check(record.cells.size() == to.shape.multipliers.size(), "a cell for every multiplier");
  check(record.batch_index.size() <= to.shape.batch, "the batch fits");
  if (to.added++ < to.shape.records) to.step[0].push(record.step);  // once, whatever the number of seeds
  for (std::size_t i = 0; i < std::size(kRecords); ++i) to.records[i].push(record.*kRecords[i].value);
  const Bands bands = make_bands(record.cells, record.train_grad_norm);
  for (std::size_t i = 0; i < std::size(kBands); ++i) to.bands[i].push(bands.*kBands[i].value);
  for (const Cell& cell : record.cells) {
    for (std::size_t i = 0; i < std::size(kCells); ++i) to.cells[i].push(cell.*kCells[i].value);
    to.status[0].push(static_cast<std::uint8_t>(cell.status));
    for (std::size_t i = 0; i < to.layers.size(); ++i) {
      const std::vector<double>& values = cell.*kLayers[i].values;
      // A hole has none.
      for (std::size_t layer = 0; layer < to.shape.layers.size(); ++layer)
        to.layers[i].push(layer < values.size() ? values[layer] : std::numeric_limits<double>::quiet_NaN());
    }
  }
  for (std::size_t i = 0; i < to.shape.batch; ++i) {
    const bool there = i < record.batch_index.size();
    to.index[0].push(there ? record.batch_index[i] : -1);
    if (!to.shape.augmented) continue;
    const Augmentation move = there ? record.augmentation[i] : Augmentation{};
    to.moves[0].push(move.dy);
    to.moves[1].push(move.dx);
    to.moves[2].push(static_cast<std::int8_t>(move.flip));
  }
}

void GridWriter::finish() {
  const auto finish_all = [](auto& list) {
    for (auto& column : list) column.finish();
  };
  Columns& all = *columns_;
  finish_all(all.step);
  finish_all(all.records);
  finish_all(all.bands);
  finish_all(all.cells);
  finish_all(all.layers);
  finish_all(all.status);
  finish_all(all.index);
  finish_all(all.moves);
}

void write_grid(const std::string& path, const Provenance& provenance, const Grid& grid) {
  GridShape shape{grid.multipliers, grid.direction, grid.precision, grid.records.size(), 0, false, {}, grid.layers};
  for (const auto& record : grid.records) {
    check(record.cells.size() == grid.multipliers.size(), "a cell for every multiplier");
    shape.batch = std::max(shape.batch, record.batch_index.size());
    shape.augmented = shape.augmented || is_augmented(record);
  }
  Provenance origin = provenance;
  origin.file_type = "grid";
  publish_h5(path, origin, [&](h5::File& file) {
    GridWriter writer(file, shape);
    for (const auto& record : grid.records) writer.add(record);
    writer.finish();
  });
}

Grid read_grid(const std::string& path) {
  const h5::File file = open_published(path, "grid");
  if (file.exists("/seed")) throw Error(path, "unites several seeds", "each seed's own grid lies in its run directory");
  Grid grid;
  grid.direction = file.text_attribute("/", "direction");
  grid.precision = file.text_attribute("/", "probe_precision");
  grid.multipliers = file.read<double>("/alpha");
  const auto steps = file.read<std::int64_t>("/step");
  const std::size_t columns = grid.multipliers.size();
  grid.records.resize(steps.size());
  for (std::size_t row = 0; row < steps.size(); ++row) {
    if (row > 0 && steps[row] <= steps[row - 1]) throw Error(path, "its steps do not ascend");
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
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i] > static_cast<std::uint8_t>(CellStatus::below_noise))
      throw Error(path, fmt::format("holds a cell of status {}, which does not exist", status[i]));
    grid.records[i / columns].cells[i % columns].status = static_cast<CellStatus>(status[i]);
  }
  require_bands(file, grid);
  read_layers(file, grid);
  read_batches(file, grid);
  return grid;
}

std::string record_difference(const SweepRecord& here, const SweepRecord& there,
                              const std::vector<double>& multipliers) {
  if (here.step != there.step) return fmt::format("step is {} here and {} there", here.step, there.step);
  for (const auto& variable : kRecords)
    if (!same(here.*variable.value, there.*variable.value))
      return fmt::format("{} is {} here and {} there", variable.name, here.*variable.value, there.*variable.value);
  if (here.cells.size() != multipliers.size() || there.cells.size() != multipliers.size())
    return fmt::format("there are {} and {} cells", here.cells.size(), there.cells.size());
  for (std::size_t i = 0; i < multipliers.size(); ++i) {
    const Cell &a = here.cells[i], &b = there.cells[i];
    for (const auto& variable : kCells)
      if (!same(a.*variable.value, b.*variable.value))
        return fmt::format("{} at multiplier {} is {} here and {} there", variable.name, multipliers[i],
                           a.*variable.value, b.*variable.value);
    for (const auto& variable : kLayers)
      if (!std::equal((a.*variable.values).begin(), (a.*variable.values).end(), (b.*variable.values).begin(),
                      (b.*variable.values).end(), same))
        return fmt::format("{} at multiplier {} differs", variable.name, multipliers[i]);
    if (a.status != b.status) return fmt::format("the status at multiplier {} differs", multipliers[i]);
  }
  if (here.batch_index != there.batch_index) return "the batch differs";
  const auto same_move = [](const Augmentation& a, const Augmentation& b) {
    return a.dy == b.dy && a.dx == b.dx && a.flip == b.flip;
  };
  if (!std::equal(here.augmentation.begin(), here.augmentation.end(), there.augmentation.begin(),
                  there.augmentation.end(), same_move))
    return "the augmentation differs";
  return "";
}

}  // namespace gradscape
