#include "gradscape/landscape/sweep_survey.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/same_value.hpp"

namespace gradscape {
namespace {

/// What the dimension alpha is where it does not multiply: the figures go by it.
constexpr const char* kStepSizes = "step size along the direction";

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

/// Of the set of images (sweep.on), where there is one. (step, alpha)
constexpr Value<SetValue> kSetCells[] = {
    {"set_loss", "loss", "loss at theta(alpha) over the images of sweep.on", &SetValue::loss},
    {"set_accuracy", "1", "fraction of these images classified right at theta(alpha)", &SetValue::accuracy},
    {"set_grad_norm", "loss/weight", "L2 norm of the gradient of their loss at theta(alpha)", &SetValue::grad_norm},
    {"set_grad_diff", "loss/weight", "L2 norm of that gradient minus theirs at theta", &SetValue::grad_diff},
};

/// (step)
constexpr Value<SetValue> kSetAtTheta[] = {
    {"set_loss_at_theta", "loss", "loss at theta over the images of sweep.on", &SetValue::loss},
    {"set_accuracy_at_theta", "1", "fraction of these images classified right at theta", &SetValue::accuracy},
    {"set_grad_norm_at_theta", "loss/weight", "L2 norm of the gradient of their loss at theta", &SetValue::grad_norm},
};
constexpr Value<SetRecord> kSetRecord[] = {
    {"set_grad_cos", "1", "cosine between the gradients of these images and of the batch at theta",
     &SetRecord::grad_cos},
};

/// (step), derived
constexpr Value<SetBands> kSetBands[] = {
    {"set_loss_min", "loss", "smallest loss of these images over alpha", &SetBands::loss_min},
    {"set_loss_max", "loss", "largest loss of these images over alpha", &SetBands::loss_max},
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
    {"grad_norm_min", "loss/weight", "smallest norm of the gradient over alpha", &Bands::grad_norm_min},
    {"grad_norm_max", "loss/weight", "largest norm of the gradient over alpha", &Bands::grad_norm_max},
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
  const bool reader = !shape.options;
  const SweepOptions options = shape.options.value_or(SweepOptions{});
  Dimension alpha{"alpha", "1", "multiplier of the learning rate", reader ? std::vector<double>{} : options.points()};
  if (options.direction == "update") alpha.long_name = "multiplier of the optimiser's update";
  if (!options.step_sizes.empty()) alpha.long_name = kStepSizes;
  Dimension layer = layer_dimension();
  for (const std::string& name : shape.layers) {
    layer.values.push_back(static_cast<double>(layer.size() + 1));
    layer.labels.push_back(name);
  }
  Dimension sample = counted_dimension("sample", "position in the batch", shape.batch);
  sample.type = Element::int32;
  sample.ragged = true;
  Table table{"grid",
              {{"direction", options.direction}, {"probe_precision", options.precision}},
              {step_dimension(), alpha, sample},
              {}};
  const auto add = [&](Variable variable) { table.variables.push_back(std::move(variable)); };
  for (const auto& v : kRecords) add({v.name, v.units, v.long_name, {"step"}});
  table.variable("noise_floor").absent = Absent::filled;
  for (const auto& v : kBands) add({v.name, v.units, v.long_name, {"step"}});
  for (const char* name : {"grad_norm_min", "grad_norm_max"}) table.variable(name).absent = Absent::dropped;
  for (const auto& v : kCells) add({v.name, v.units, v.long_name, {"step", "alpha"}});
  add({.name = "status",
       .units = "1",
       .long_name = "state of the cell",
       .dimensions = {"step", "alpha"},
       .type = Element::uint8,
       .hole = static_cast<double>(CellStatus::not_done),
       .flags = {"not_done", "ok", "non_finite", "below_noise"}});
  const auto add_set = [&](const auto& values, const std::vector<std::string>& dimensions) {
    for (const auto& v : values)
      if (reader || options.on_gradients || std::string(v.name).find("grad") == std::string::npos)
        add({.name = v.name,
             .units = v.units,
             .long_name = v.long_name,
             .dimensions = dimensions,
             .absent = Absent::dropped});
  };
  if (reader || options.on != "batch") {
    add_set(kSetAtTheta, {"step"});
    add_set(kSetRecord, {"step"});
    add_set(kSetBands, {"step"});
    add_set(kSetCells, {"step", "alpha"});
  }
  if (reader || !shape.layers.empty()) {
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
  const auto& multipliers = table.dimension("alpha").values;
  const Bands bands = make_bands(record.cells, multipliers, record.train_grad_norm);
  for (const auto& v : kBands) push(v.name, bands.*v.value);
  if (table.find("set_loss") != nullptr) {
    const auto push_set = [&](const auto& values, const auto& from) {
      for (const auto& v : values)
        if (table.find(v.name) != nullptr) push(v.name, from.*v.value);
    };
    push_set(kSetAtTheta, record.set.at_theta);
    push_set(kSetRecord, record.set);
    push_set(kSetBands, make_bands(record.set.cells, multipliers));
    check(record.set.cells.size() == columns, "a value of the set for every multiplier");
    for (const SetValue& value : record.set.cells) push_set(kSetCells, value);
  }
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
  const auto& grad_norm = table.variable("train_grad_norm").values;
  const auto& multipliers = table.dimension("alpha").values;
  const auto refuse = [&](std::size_t row, const char* name, double found, double expected) {
    throw Error(
        where,
        fmt::format("at step {}, {} is {} and its cells give {}", table.rows().values[row], name, found, expected),
        "it is damaged or was changed; `gradscape sweep` makes a shard again, `gradscape merge` a landscape");
  };
  std::vector<Cell> cells(columns);
  for (std::size_t row = 0; row < table.size(); ++row) {
    for (std::size_t i = 0; i < columns; ++i) {
      for (const auto& [values, value] : cell_values) cells[i].*value = (*values)[row * columns + i];
      cells[i].status = static_cast<CellStatus>(status[row * columns + i]);
    }
    const Bands expected = make_bands(cells, multipliers, grad_norm[row]);
    for (const auto& v : kBands)
      if (const Variable* band = table.find(v.name);
          band != nullptr && !same_value(band->values[row], expected.*v.value))
        refuse(row, v.name, band->values[row], expected.*v.value);
  }
  const Variable* set_loss = table.find("set_loss");
  if (set_loss == nullptr) return;
  std::vector<SetValue> values(columns);
  for (std::size_t row = 0; row < table.size(); ++row) {
    for (std::size_t i = 0; i < columns; ++i) values[i].loss = set_loss->values[row * columns + i];
    const SetBands expected = make_bands(values, multipliers);
    for (const auto& v : kSetBands)
      if (const double found = table.variable(v.name).values[row]; !same_value(found, expected.*v.value))
        refuse(row, v.name, found, expected.*v.value);
  }
}

template <class S>
SweepSurvey<S>::SweepSurvey(const SweepOptions& options, TrainingProcess<S>& process, std::int64_t segment)
    : options_(options), process_(process), prober_(options, process, segment) {}

template <class S>
Table SweepSurvey<S>::begin() const {
  return sweep_schema({options_, prober_.layers(), static_cast<std::size_t>(process_.batches().largest()),
                       process_.batches().augmented()});
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
