#include "gradscape/core/table.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/same_value.hpp"

namespace gradscape {
namespace {

template <class List>
auto find_named(List& list, const std::string& name) {
  return std::find_if(list.begin(), list.end(), [&](const auto& item) { return item.name == name; });
}

template <class List>
auto& get_named(List& list, const std::string& name) {
  const auto found = find_named(list, name);
  check(found != list.end(), "a table has what is asked of it");
  return *found;
}

/// " at alpha 2, layer features.0": the place of element `index` of a row.
std::string place_in_row(const Table& table, const Variable& variable, std::size_t index) {
  std::vector<std::string> parts;
  for (std::size_t i = variable.dimensions.size(); i-- > 1;) {
    const Dimension& dimension = table.dimension(variable.dimensions[i]);
    const std::size_t place = index % dimension.size();
    index /= dimension.size();
    parts.insert(parts.begin(), fmt::format("{} {}", dimension.name,
                                            dimension.labels.empty() ? fmt::format("{}", dimension.values[place])
                                                                     : dimension.labels[place]));
  }
  return parts.empty() ? "" : fmt::format(" at {}", fmt::join(parts, ", "));
}

std::string describe_places(const Dimension& dimension) {
  return dimension.labels.empty() ? fmt::format("[{}]", fmt::join(dimension.values, ", "))
                                  : fmt::format("[{}]", fmt::join(dimension.labels, ", "));
}

}  // namespace

const Dimension& Table::dimension(const std::string& name) const {
  return get_named(dimensions, name);
}
Dimension& Table::dimension(const std::string& name) {
  return get_named(dimensions, name);
}
const Variable* Table::find(const std::string& name) const {
  const auto found = find_named(variables, name);
  return found == variables.end() ? nullptr : &*found;
}
const Variable& Table::variable(const std::string& name) const {
  return get_named(variables, name);
}
Variable& Table::variable(const std::string& name) {
  return get_named(variables, name);
}

std::size_t Table::row_size(const Variable& variable) const {
  std::size_t size = 1;
  for (std::size_t i = 1; i < variable.dimensions.size(); ++i) size *= dimension(variable.dimensions[i]).size();
  return size;
}

std::size_t Table::find_row(double key) const {
  const auto& keys = rows().values;
  const auto found = std::lower_bound(keys.begin(), keys.end(), key);
  return found != keys.end() && *found == key ? static_cast<std::size_t>(found - keys.begin()) : keys.size();
}

Table without_rows(const Table& table) {
  Table empty{table.kind, table.attributes, table.dimensions, {}};
  empty.dimensions.front().values.clear();
  for (const Variable& variable : table.variables) {
    empty.variables.push_back({variable.name, variable.units, variable.long_name, variable.dimensions,
                               table.by_row(variable) ? std::vector<double>{} : variable.values, variable.type,
                               variable.hole, variable.flags, variable.absent});
  }
  return empty;
}

void append_row(const Table& from, std::size_t at, Table& to) {
  for (Variable& variable : to.variables)
    if (to.by_row(variable))
      visit_rows(from, at, at + 1, to, variable, [&](double value) { variable.values.push_back(value); });
  to.dimensions.front().values.push_back(from.rows().values[at]);
}

void append_hole(double key, Table& to) {
  for (Variable& variable : to.variables)
    if (to.by_row(variable)) variable.values.insert(variable.values.end(), to.row_size(variable), variable.hole);
  to.dimensions.front().values.push_back(key);
}

Table unite_rows(const Table& a, const Table& b) {
  Table all = without_rows(a);
  std::size_t i = 0, k = 0;
  while (i < a.size() || k < b.size()) {
    const bool first = k == b.size() || (i < a.size() && a.rows().values[i] <= b.rows().values[k]);
    if (first && k < b.size() && a.rows().values[i] == b.rows().values[k]) ++k;
    if (first)
      append_row(a, i++, all);
    else
      append_row(b, k++, all);
  }
  return all;
}

std::string row_difference(const Table& here, std::size_t at, const Table& there, std::size_t other) {
  if (const double a = here.rows().values[at], b = there.rows().values[other]; a != b)
    return fmt::format("{} is {} here and {} there", here.rows().name, a, b);
  for (const Variable& mine : here.variables) {
    if (!here.by_row(mine)) continue;
    const Variable* theirs = there.find(mine.name);
    if (theirs == nullptr && mine.absent != Absent::refused) continue;
    // The one with more places in a ragged dimension says what the other's filled up ones are.
    const bool wider = theirs != nullptr && there.row_size(*theirs) > here.row_size(mine);
    std::vector<double> a, b;
    const Table& shape = wider ? there : here;
    const Variable& variable = wider ? *theirs : mine;
    visit_rows(here, at, at + 1, shape, variable, [&](double value) { a.push_back(value); });
    visit_rows(there, other, other + 1, shape, variable, [&](double value) { b.push_back(value); });
    for (std::size_t i = 0; i < a.size(); ++i)
      if (!same_value(a[i], b[i]))
        return fmt::format("{}{} is {} here and {} there", mine.name, place_in_row(shape, variable, i), a[i], b[i]);
  }
  return "";
}

std::string dimension_difference(const Table& here, const Table& there) {
  for (std::size_t i = 1; i < here.dimensions.size(); ++i) {
    const Dimension& mine = here.dimensions[i];
    const auto found = find_named(there.dimensions, mine.name);
    if (found == there.dimensions.end()) return fmt::format("{} is missing there", mine.name);
    if (mine.ragged) continue;
    if (mine.values != found->values || mine.labels != found->labels)
      return fmt::format("{} is {} here and {} there", mine.name, abridge(describe_places(mine)),
                         abridge(describe_places(*found)));
  }
  if (here.dimensions.size() != there.dimensions.size()) return "there are other dimensions there";
  return "";
}

}  // namespace gradscape
