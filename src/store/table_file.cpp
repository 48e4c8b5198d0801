#include "gradscape/store/table_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "gradscape/core/error.hpp"
#include "gradscape/file/dimensions.hpp"

namespace gradscape {
namespace {

constexpr const char* kSeed = "seed";

/// A variable over rows, being written.
struct Column {
  virtual ~Column() = default;
  virtual void add(const Table& from, std::size_t first, std::size_t last, const Table& schema,
                   const Variable& variable) = 0;
  virtual void repeat(double value, std::size_t count) = 0;
  virtual void finish() = 0;
};

template <class T>
struct TypedColumn final : Column {
  h5::RowWriter<T> writer;

  TypedColumn(h5::File& file, const std::string& name, const h5::Shape& shape, std::size_t axis)
      : writer(file, "/" + name, shape, axis) {}
  void add(const Table& from, std::size_t first, std::size_t last, const Table& schema,
           const Variable& variable) override {
    visit_rows(from, first, last, schema, variable, [&](double value) { writer.push(static_cast<T>(value)); });
  }
  void repeat(double value, std::size_t count) override {
    for (std::size_t i = 0; i < count; ++i) writer.push(static_cast<T>(value));
  }
  void finish() override { writer.finish(); }
};

void write_values(h5::File& file, const std::string& name, Element type, const std::vector<double>& values,
                  const h5::Shape& shape) {
  h5::with_element(type, [&]<class T>() {
    const std::vector<T> typed(values.begin(), values.end());
    file.write("/" + name, typed.data(), shape);
  });
}

void write_dimension(h5::File& file, const Dimension& dimension) {
  if (!dimension.labels.empty()) {
    write_labels(file, dimension.name, dimension.long_name, {dimension.values.begin(), dimension.values.end()},
                 dimension.labels);
    return;
  }
  write_values(file, dimension.name, dimension.type, dimension.values, {dimension.size()});
  make_scale(file, dimension.name, dimension.units, dimension.long_name);
}

void describe_variable(h5::File& file, const Variable& variable, const std::vector<std::string>& scales) {
  describe(file, "/" + variable.name, variable.units, variable.long_name, scales);
  if (variable.flags.empty()) return;
  std::vector<std::uint8_t> numbers(variable.flags.size());
  std::iota(numbers.begin(), numbers.end(), std::uint8_t{0});
  file.set_attribute("/" + variable.name, "flag_values", numbers);
  file.set_attribute("/" + variable.name, "flag_meanings", fmt::format("{}", fmt::join(variable.flags, " ")));
}

std::vector<std::string> scales_of(const Variable& variable) {
  std::vector<std::string> scales;
  for (const std::string& name : variable.dimensions) scales.push_back("/" + name);
  return scales;
}

}  // namespace

struct TableWriter::Columns {
  h5::File& file;
  Table schema;
  std::size_t rows;
  std::vector<std::int64_t> seeds;
  std::size_t added = 0;
  std::unique_ptr<Column> keys = nullptr;
  std::vector<std::pair<const Variable*, std::unique_ptr<Column>>> columns = {};  // of variables over rows

  std::unique_ptr<Column> make_column(Element type, const std::string& name, const h5::Shape& shape, std::size_t axis) {
    std::unique_ptr<Column> column;
    h5::with_element(type, [&]<class T>() { column = std::make_unique<TypedColumn<T>>(file, name, shape, axis); });
    return column;
  }

  void create() {
    file.set_attribute("/", "Conventions", "CF-1.8");
    for (const auto& [name, value] : schema.attributes) file.set_attribute("/", name, value);
    if (!seeds.empty()) {
      file.write("/seed", seeds);
      make_scale(file, kSeed, "1", "train.seed of the run");
    }
    const Dimension& key = schema.rows();
    keys = make_column(key.type, key.name, {rows}, 0);
    make_scale(file, key.name, key.units, key.long_name);
    for (std::size_t i = 1; i < schema.dimensions.size(); ++i) write_dimension(file, schema.dimensions[i]);
    for (const Variable& variable : schema.variables) create_variable(variable);
  }

  void create_variable(const Variable& variable) {
    const bool by_row = schema.by_row(variable);
    h5::Shape shape;
    for (const std::string& name : variable.dimensions)
      shape.push_back(by_row && shape.empty() ? rows : schema.dimension(name).size());
    std::vector<std::string> scales = scales_of(variable);
    if (!by_row) {
      write_values(file, variable.name, variable.type, variable.values, shape);
    } else {
      if (!seeds.empty()) {
        shape.insert(shape.begin(), seeds.size());
        scales.insert(scales.begin(), "/seed");
      }
      columns.emplace_back(&variable, make_column(variable.type, variable.name, shape, seeds.empty() ? 0 : 1));
    }
    describe_variable(file, variable, scales);
  }
};

TableWriter::TableWriter(h5::File& file, const Table& schema, std::size_t rows, const std::vector<std::int64_t>& seeds)
    : columns_(new Columns{file, without_rows(schema), rows, seeds}) {
  columns_->create();
}

TableWriter::~TableWriter() = default;

void TableWriter::add(const Table& from, std::size_t first, std::size_t last) {
  Columns& to = *columns_;
  for (auto& [variable, column] : to.columns) column->add(from, first, last, to.schema, *variable);
  for (std::size_t row = first; row < last; ++row)  // keys are written once, whatever the number of seeds
    if (to.added++ < to.rows) to.keys->repeat(from.rows().values[row], 1);
}

void TableWriter::add_hole(double key) {
  Columns& to = *columns_;
  for (auto& [variable, column] : to.columns) column->repeat(variable->hole, to.schema.row_size(*variable));
  if (to.added++ < to.rows) to.keys->repeat(key, 1);
}

void TableWriter::finish() {
  for (auto& [variable, column] : columns_->columns) column->finish();
  columns_->keys->finish();
}

void write_table(const std::string& path, const Provenance& provenance, const Table& table, const Sources* sources) {
  for (const Variable& variable : table.variables) {
    std::size_t size = 1;
    for (const std::string& name : variable.dimensions) size *= table.dimension(name).size();
    check(variable.values.size() == size, "a value for every place of a variable's dimensions");
  }
  Provenance origin = provenance;
  origin.file_type = table.kind;
  publish_h5(path, origin, [&](h5::File& file) {
    if (sources != nullptr) sources->write(file);
    TableWriter writer(file, table, table.size());
    writer.add(table, 0, table.size());
    writer.finish();
  });
}

namespace {

std::vector<double> read_values(const h5::File& file, const Variable& variable, const h5::Shape& expected) {
  const std::string name = "/" + variable.name;
  if (const char* type = h5::element_name(variable.type); file.type_name(name) != type)
    throw Error(file.path(), fmt::format("{} is of type {}, and should be {}", name, file.type_name(name), type));
  h5::Shape shape;
  std::vector<double> values = file.read<double>(name, &shape);
  if (shape != expected) throw Error(file.path(), variable.name + " does not have the extents of its dimensions");
  if (!variable.flags.empty())
    for (const double value : values)
      if (!(value >= 0 && value < static_cast<double>(variable.flags.size())))
        throw Error(file.path(), fmt::format("{} holds the value {}, which does not exist", variable.name, value));
  return values;
}

Dimension read_dimension(const h5::File& file, const Dimension& known) {
  Dimension dimension = known;
  const std::string name = "/" + known.name;
  dimension.values = file.read<double>(name);
  if (file.has_attribute(name, "labels")) dimension.labels = read_labels(file, known.name);
  if (file.has_attribute(name, "long_name")) dimension.long_name = file.text_attribute(name, "long_name");
  if (known.ragged)
    for (std::size_t i = 0; i < dimension.size(); ++i)
      if (dimension.values[i] != static_cast<double>(i)) throw Error(file.path(), name + " does not count from 0 on");
  return dimension;
}

h5::Shape shape_of(const Table& table, const Variable& variable) {
  h5::Shape shape;
  for (const std::string& name : variable.dimensions) shape.push_back(table.dimension(name).size());
  return shape;
}

}  // namespace

Table read_shape(const h5::File& file, const Table& schema) {
  if (file.exists("/seed"))
    throw Error(file.path(), "unites several seeds", "each seed's own grid lies in its run directory");
  Table table{schema.kind, schema.attributes, {}, {}};
  for (auto& [name, value] : table.attributes) value = file.text_attribute("/", name);
  // A dimension that only dropped variables have is not there either.
  const auto is_there = [&](const Dimension& dimension) {
    return file.exists("/" + dimension.name) ||
           std::any_of(schema.variables.begin(), schema.variables.end(), [&](const Variable& variable) {
             return variable.absent != Absent::dropped &&
                    std::count(variable.dimensions.begin(), variable.dimensions.end(), dimension.name) > 0;
           });
  };
  for (const Dimension& dimension : schema.dimensions)
    if (is_there(dimension)) table.dimensions.push_back(read_dimension(file, dimension));
  const auto& keys = table.rows().values;
  if (std::adjacent_find(keys.begin(), keys.end(), std::greater_equal<>()) != keys.end())
    throw Error(file.path(), "its " + table.rows().name + "s do not ascend");
  for (const Variable& known : schema.variables) {
    if (known.absent == Absent::dropped && !file.exists("/" + known.name)) continue;
    Variable variable = known;
    variable.values.clear();
    table.variables.push_back(std::move(variable));
    if (!table.by_row(known)) table.variables.back().values = read_values(file, known, shape_of(table, known));
  }
  return table;
}

Table read_table(const std::string& path, const Table& schema) {
  const h5::File file = open_published(path, schema.kind);
  Table table = read_shape(file, schema);
  for (Variable& variable : table.variables) {
    if (!table.by_row(variable)) continue;
    if (variable.absent == Absent::filled && !file.exists("/" + variable.name))
      variable.values.assign(table.size() * table.row_size(variable), variable.hole);
    else
      variable.values = read_values(file, variable, shape_of(table, variable));
  }
  return table;
}

}  // namespace gradscape
