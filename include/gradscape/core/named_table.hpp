// What the words of a configuration stand for.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace gradscape {

/// Names and what each stands for, in the order to show them.
template <class Value>
class NamedTable {
 public:
  /// `kind`: of what these are names, for messages: "optimiser".
  NamedTable(std::string kind, std::vector<std::pair<std::string, Value>> rows)
      : kind_(std::move(kind)), rows_(std::move(rows)) {
    for (const auto& row : rows_) names_.push_back(row.first);
  }

  const std::vector<std::string>& names() const { return names_; }

  /// std::logic_error where there is none: a configuration admits only names of the table.
  const Value& find(const std::string& name) const {
    for (const auto& [key, value] : rows_)
      if (key == name) return value;
    throw std::logic_error("no " + kind_ + " named " + name);
  }

  /// The first name that stands for `value`; std::logic_error where none does.
  const std::string& name(const Value& value) const {
    for (const auto& [key, found] : rows_)
      if (found == value) return key;
    throw std::logic_error("no name of this " + kind_);
  }

 private:
  std::string kind_;
  std::vector<std::pair<std::string, Value>> rows_;
  std::vector<std::string> names_;
};

}  // namespace gradscape
