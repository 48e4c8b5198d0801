#include "gradscape/landscape/sweep_survey.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/same_value.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

template <class Source>
struct Value {
  const char* name;
  const char* units;
  const char* long_name;
  double Source::*value;
};

/// (step, alpha)
constexpr Value<Cell> kCells[] = {
    {"loss", "loss", "loss at theta(alpha) on the step's batch", &Cell::loss},
    {"accuracy", "1", "fraction of the batch classified right at theta(alpha)", &Cell::accuracy},
    {"grad_norm", "loss/weight", "L2 norm of the gradient at theta(alpha)", &Cell::grad_norm},
    {"grad_diff", "loss/weight", "L2 norm of gradient at theta(alpha) minus gradient at theta", &Cell::grad_diff},
    {"grad_cos", "1", "cosine between the gradients at theta(alpha) and theta", &Cell::grad_cos},
    {"distance", "weight", "L2 distance of theta(alpha) from theta", &Cell::distance},
    {"beta", "loss/weight^2", "gradient difference divided by distance", &Cell::beta},
};

/// (step, alpha, layer), where there are layers
struct LayerValue {
  const char* name;
  const char* units;
  const char* long_name;
  std::vector<double> Cell::*values;
};
constexpr LayerValue kLayers[] = {
    {"layer_grad_diff", "loss/weight", "L2 norm of the layer's part of the gradient difference",
     &Cell::layer_grad_diff},
    {"layer_beta", "loss/weight^2", "that, divided by the L2 norm of the layer's part of the distance",
     &Cell::layer_beta},
};

/// (step)
constexpr Value<SweepRecord> kRecords[] = {
    {"lr", "1", "learning rate", &SweepRecord::lr},
    {"train_loss", "loss", "loss at theta", &SweepRecord::train_loss},
    {"train_grad_norm", "loss/weight", "L2 norm of the gradient at theta", &SweepRecord::train_grad_norm},
    {"noise_floor", "1", "relative error of the gradient, at the first step of the segment", &SweepRecord::noise_floor},
};

/// (step), derived
constexpr Value<Bands> kBands[] = {
    {"loss_min", "loss", "smallest loss over alpha", &Bands::loss_min},
    {"loss_max", "loss", "largest loss over alpha", &Bands::loss_max},
    {"grad_diff_min", "loss/weight", "smallest gradient difference over alpha", &Bands::grad_diff_min},
    {"grad_diff_max", "loss/weight", "largest gradient difference over alpha", &Bands::grad_diff_max},
    {"beta_max", "loss/weight^2", "effective beta-smoothness: largest beta over alpha", &Bands::beta_max},
};

/// (step, sample), where images are moved
struct MoveValue {
  const char* name;
  const char* long_name;
  double (*value)(const Augmentation&);
};
constexpr MoveValue kMoves[] = {
    {"batch_crop_y", "rows by which augmentation moved the image up",
     [](const Augmentation& move) { return static_cast<double>(move.dy); }},
    {"batch_crop_x", "columns by which augmentation moved the image left",
     [](const Augmentation& move) { return static_cast<double>(move.dx); }},
    {"batch_flip", "1: augmentation mirrored the image",
     [](const Augmentation& move) { return move.flip ? 1.0 : 0.0; }},
};

}  // namespace

Table sweep_schema(const SweepShape& shape) {
  Dimension alpha{"alpha", "1", "multiplier of the learning rate", shape.multipliers};
  if (shape.direction == "update") alpha.long_name = "multiplier of the optimiser's update";
  Dimension layer = layer_dimension();
  for (const std::string& name : shape.layers) {
    layer.values.push_back(static_cast<double>(layer.size() + 1));
    layer.labels.push_back(name);
  }
  Dimension sample = counted_dimension("sample", "position in the batch", shape.batch);
  sample.type = Element::int32;
  sample.ragged = true;
  Table table{"grid",
              {{"direction", shape.direction}, {"probe_precision", shape.precision}},
              {step_dimension(), alpha, sample},
              {}};
  const auto add = [&](Variable variable) { table.variables.push_back(std::move(variable)); };
  for (const auto& v : kRecords) add({v.name, v.units, v.long_name, {"step"}});
  table.variable("noise_floor").absent = Absent::filled;
  for (const auto& v : kBands) add({v.name, v.units, v.long_name, {"step"}});
  for (const auto& v : kCells) add({v.name, v.units, v.long_name, {"step", "alpha"}});
  add({.name = "status",
       .units = "1",
       .long_name = "state of the cell",
       .dimensions = {"step", "alpha"},
       .type = Element::uint8,
       .hole = static_cast<double>(CellStatus::not_done),
       .flags = {"not_done", "ok", "non_finite", "below_noise"}});
  if (!shape.layers.empty() || shape.multipliers.empty()) {  // a reader's schema has all that there may be
    table.dimensions.push_back(layer);
    for (const auto& v : kLayers)
      add({.name = v.name,
           .units = v.units,
           .long_name = v.long_name,
           .dimensions = {"step", "alpha", "layer"},
           .absent = Absent::dropped});
  }
  add({.name = "batch_index",
       .units = "1",
       .long_name = "position in the training set, -1: none",
       .dimensions = {"step", "sample"},
       .type = Element::int32,
       .hole = -1});
  if (shape.augmented)
    for (const auto& v : kMoves)
      add({.name = v.name,
           .units = "1",
           .long_name = v.long_name,
           .dimensions = {"step", "sample"},
           .type = Element::int8,
           .hole = 0,
           .absent = Absent::dropped});
  return table;
}

void append_record(const SweepRecord& record, Table& table) {
  const std::size_t columns = table.dimension("alpha").size(), batch = table.dimension("sample").size();
  check(record.cells.size() == columns, "a cell for every multiplier");
  check(record.batch_index.size() <= batch, "the batch fits");
  const auto push = [&](const char* name, double value) { table.variable(name).values.push_back(value); };
  for (const auto& v : kRecords) push(v.name, record.*v.value);
  const Bands bands = make_bands(record.cells, record.train_grad_norm);
  for (const auto& v : kBands) push(v.name, bands.*v.value);
  for (const auto& v : kCells) {
    auto& values = table.variable(v.name).values;
    for (const Cell& cell : record.cells) values.push_back(cell.*v.value);
  }
  for (const Cell& cell : record.cells) push("status", static_cast<double>(cell.status));
  for (const auto& v : kLayers) {
    if (table.find(v.name) == nullptr) continue;
    const std::size_t depth = table.dimension("layer").size();
    auto& values = table.variable(v.name).values;
    for (const Cell& cell : record.cells) {
      check((cell.*v.values).size() == depth, "a value for every layer");
      values.insert(values.end(), (cell.*v.values).begin(), (cell.*v.values).end());
    }
  }
  auto& index = table.variable("batch_index").values;
  index.insert(index.end(), record.batch_index.begin(), record.batch_index.end());
  index.insert(index.end(), batch - record.batch_index.size(), -1);
  for (const auto& v : kMoves) {
    if (table.find(v.name) == nullptr) continue;
    auto& values = table.variable(v.name).values;
    for (const Augmentation& move : record.augmentation) values.push_back(v.value(move));
    values.insert(values.end(), batch - record.augmentation.size(), 0);
  }
  table.dimensions.front().values.push_back(static_cast<double>(record.step));
}

SweepRecord record_at(const Table& table, std::size_t row) {
  SweepRecord record;
  record.step = static_cast<std::int64_t>(table.rows().values[row]);
  for (const auto& v : kRecords) record.*v.value = table.variable(v.name).values[row];
  const std::size_t columns = table.dimension("alpha").size();
  record.cells.resize(columns);
  for (const auto& v : kCells)
    for (std::size_t i = 0; i < columns; ++i)
      record.cells[i].*v.value = table.variable(v.name).values[row * columns + i];
  for (std::size_t i = 0; i < columns; ++i)
    record.cells[i].status = static_cast<CellStatus>(table.variable("status").values[row * columns + i]);
  for (const auto& v : kLayers) {
    if (table.find(v.name) == nullptr) continue;
    const std::size_t depth = table.dimension("layer").size();
    for (std::size_t i = 0; i < columns; ++i) {
      const auto first =
          table.variable(v.name).values.begin() + static_cast<std::ptrdiff_t>((row * columns + i) * depth);
      (record.cells[i].*v.values).assign(first, first + static_cast<std::ptrdiff_t>(depth));
    }
  }
  const std::size_t batch = table.dimension("sample").size();
  const auto move_at = [&](const MoveValue& v, std::size_t i) {
    const Variable* variable = table.find(v.name);
    return variable == nullptr ? 0.0 : variable->values[i];
  };
  const auto& index = table.variable("batch_index").values;
  for (std::size_t i = row * batch; i < (row + 1) * batch && index[i] >= 0; ++i) {
    record.batch_index.push_back(static_cast<std::int32_t>(index[i]));
    record.augmentation.push_back({static_cast<std::int8_t>(move_at(kMoves[0], i)),
                                   static_cast<std::int8_t>(move_at(kMoves[1], i)), move_at(kMoves[2], i) != 0});
  }
  return record;
}

void check_sweep(const Table& table, const std::string& where) {
  const std::size_t columns = table.dimension("alpha").size();
  const auto& status = table.variable("status").values;
  std::vector<std::pair<const std::vector<double>*, double Cell::*>> cell_values;
  for (const auto& v : kCells) cell_values.emplace_back(&table.variable(v.name).values, v.value);
  std::vector<const std::vector<double>*> bands;
  for (const auto& v : kBands) bands.push_back(&table.variable(v.name).values);
  const auto& grad_norm = table.variable("train_grad_norm").values;
  std::vector<Cell> cells(columns);
  for (std::size_t row = 0; row < table.size(); ++row) {
    for (std::size_t i = 0; i < columns; ++i) {
      for (const auto& [values, value] : cell_values) cells[i].*value = (*values)[row * columns + i];
      cells[i].status = static_cast<CellStatus>(status[row * columns + i]);
    }
    const Bands expected = make_bands(cells, grad_norm[row]);
    for (std::size_t b = 0; b < bands.size(); ++b)
      if (const double found = (*bands[b])[row]; !same_value(found, expected.*kBands[b].value))
        throw Error(
            where,
            fmt::format("at step {}, {} is {} and its cells give {}", table.rows().values[row], kBands[b].name, found,
                        expected.*kBands[b].value),
            "it is damaged or was changed; `gradscape sweep` makes a shard again, `gradscape merge` a landscape");
  }
}

template <class S>
SweepSurvey<S>::SweepSurvey(const SweepOptions& options, TrainingProcess<S>& process, std::int64_t segment)
    : options_(options), process_(process), prober_(options, process, segment) {}

template <class S>
Table SweepSurvey<S>::begin() const {
  return sweep_schema({options_.multipliers, options_.direction, options_.precision, prober_.layers(),
                       static_cast<std::size_t>(process_.batches().largest()), process_.batches().augmented()});
}

template <class S>
void SweepSurvey<S>::add(const StepView<S>& step, Table& table) {
  append_record(prober_.probe_step(step), table);
}

template <class S>
void SweepSurvey<S>::adopt(const Table& table, std::size_t row) {
  prober_.adopt_floor(static_cast<std::int64_t>(table.rows().values[row]), table.variable("noise_floor").values[row]);
}

template class SweepSurvey<float>;
template class SweepSurvey<double>;

}  // namespace gradscape
