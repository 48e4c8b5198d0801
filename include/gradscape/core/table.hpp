// One schema for every measurement: named variables over named dimensions, rows that can be computed independently.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "gradscape/core/element.hpp"

namespace gradscape {

/// A dimension with a coordinate for each position: a number, or a number and a name.
struct Dimension {
  std::string name;
  std::string units;
  std::string long_name;
  std::vector<double> values;            // the coordinates; of named ones their numbers
  std::vector<std::string> labels = {};  // their names
  Element type = Element::float64;       // in files; in memory all are double, which holds integers below 2^53
  bool ragged = false;                   // shorter rows are padded with Variable::hole

  std::size_t size() const { return values.size(); }
};

/// What a reader does where a file lacks a variable, as files of older programs may, and files without a use for it.
enum class Absent { refused, dropped, filled };

/// Values over some of the dimensions, row-major.
struct Variable {
  std::string name;
  std::string units;
  std::string long_name;
  std::vector<std::string> dimensions;
  std::vector<double> values = {};
  Element type = Element::float64;
  double hole = std::numeric_limits<double>::quiet_NaN();  // stands for a missing value
  std::vector<std::string> flags = {};                     // names of the values 0, 1, …; none: values are quantities
  Absent absent = Absent::refused;
};

/// The first dimension is that of the rows: training steps, runs. A variable over it has it first.
struct Table {
  std::string kind;  // "grid", "shift", "distributions", "theorem", "runs": its file's type
  std::map<std::string, std::string> attributes;  // of the whole
  std::vector<Dimension> dimensions;
  std::vector<Variable> variables;

  const Dimension& rows() const { return dimensions.front(); }
  std::size_t size() const { return dimensions.empty() ? 0 : rows().size(); }

  const Dimension& dimension(const std::string& name) const;
  Dimension& dimension(const std::string& name);
  const Variable* find(const std::string& name) const;
  const Variable& variable(const std::string& name) const;
  Variable& variable(const std::string& name);

  /// Whether a variable has a value, or several, for each row.
  bool by_row(const Variable& variable) const { return variable.dimensions.front() == rows().name; }
  /// How many values a row has.
  std::size_t row_size(const Variable& variable) const;
  /// The index of the row with this key; size() where there is none.
  std::size_t find_row(double key) const;
};

/// The table without its rows.
Table without_rows(const Table& table);

/// Calls put(value) for each value of `variable` of `to` at rows [first, last) of `from`, in order: where `from` lacks
/// the variable or is shorter in a ragged last dimension, the variable's hole.
template <class Put>
void visit_rows(const Table& from, std::size_t first, std::size_t last, const Table& to, const Variable& variable,
                const Put& put) {
  const std::size_t size = to.row_size(variable);
  const Variable* source = from.find(variable.name);
  const std::size_t there = source == nullptr ? 0 : from.row_size(*source);
  for (std::size_t row = first; row < last; ++row)
    for (std::size_t i = 0; i < size; ++i) put(i < there ? source->values[row * there + i] : variable.hole);
}

/// Appends a row of another table of the same schema, or a row of missing values.
void append_row(const Table& from, std::size_t at, Table& to);
void append_hole(double key, Table& to);

/// The rows of both, in order of their keys; of a key that both have, the first's.
Table unite_rows(const Table& a, const Table& b);

/// Empty where two rows of tables of one schema agree in every bit (NaN equals NaN); else names the first variable that
/// differs, with both values: "loss at alpha 2 is 1.5 here and 1.25 there".
std::string row_difference(const Table& here, std::size_t at, const Table& there, std::size_t other);

/// Empty where two tables have the same dimensions, rows and ragged ones aside; else says what differs.
std::string dimension_difference(const Table& here, const Table& there);

}  // namespace gradscape
