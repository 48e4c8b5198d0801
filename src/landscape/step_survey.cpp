#include "gradscape/landscape/step_survey.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "gradscape/core/error.hpp"

namespace gradscape {

Dimension step_dimension() {
  return {"step", "step", "training step: number of updates done", {}, {}, Element::int64};
}

Dimension counted_dimension(const std::string& name, const std::string& long_name, std::size_t size) {
  Dimension dimension{name, "1", long_name, std::vector<double>(size), {}, Element::int64};
  std::iota(dimension.values.begin(), dimension.values.end(), 0.0);
  return dimension;
}

Dimension layer_dimension(const std::vector<LayerBlock>& blocks, const std::vector<std::size_t>& chosen) {
  Dimension layer{"layer", "1", "number of a convolution or dense layer, with the norm behind it",
                  {},      {},  Element::int32};
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
