#include "gradscape/landscape/series.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

template <class List>
auto& find_named(List& list, const std::string& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& item) { return item.name == name; });
  check(found != list.end(), "a series has what is asked of it");
  return *found;
}

}  // namespace

const SeriesDimension& Series::dimension(const std::string& name) const {
  return find_named(dimensions, name);
}
SeriesDimension& Series::dimension(const std::string& name) {
  return find_named(dimensions, name);
}
const SeriesVariable& Series::variable(const std::string& name) const {
  return find_named(variables, name);
}
SeriesVariable& Series::variable(const std::string& name) {
  return find_named(variables, name);
}

std::size_t Series::row_size(const SeriesVariable& variable) const {
  std::size_t size = 1;
  for (std::size_t i = 1; i < variable.dimensions.size(); ++i) size *= dimension(variable.dimensions[i]).size();
  return size;
}

SeriesDimension step_dimension() {
  return {"step", "step", "training step: number of updates done", {}, {}, true};
}

SeriesDimension layer_dimension(const std::vector<LayerBlock>& blocks, const std::vector<std::size_t>& chosen) {
  SeriesDimension layer{"layer", "1", "number of a convolution or dense layer, with the norm behind it", {}, {}, true};
  for (const std::size_t i : chosen) {
    layer.values.push_back(static_cast<double>(i + 1));
    layer.labels.push_back(blocks[i].name);
  }
  return layer;
}

std::vector<std::size_t> choose_blocks(const std::vector<LayerBlock>& blocks, const std::vector<std::string>& names,
                                       const std::string& where) {
  std::vector<std::string> known;
  for (const LayerBlock& block : blocks) known.push_back(block.name);
  const auto means = [&](const std::string& name, std::size_t i) {
    return name == known[i] || name == std::to_string(i + 1);
  };
  std::vector<std::size_t> all(known.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  for (const std::string& name : names)
    if (std::none_of(all.begin(), all.end(), [&](std::size_t i) { return means(name, i); }))
      throw UsageError(where, fmt::format("there is no layer \"{}\"", abridge(name)),
                       fmt::format("the run has, numbered from 1 on: {}", fmt::join(known, ", ")));
  if (names.empty()) return all;
  std::erase_if(all, [&](std::size_t i) {
    return std::none_of(names.begin(), names.end(), [&](const std::string& name) { return means(name, i); });
  });
  return all;
}

}  // namespace gradscape
