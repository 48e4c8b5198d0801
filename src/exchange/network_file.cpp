#include "gradscape/exchange/network_file.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kLongest = 16 << 20;

[[noreturn]] void refuse(const std::string& path, const toml::node* node, const std::string& what) {
  const std::string where = node == nullptr ? path : fmt::format("{}:{}", path, node->source().begin.line);
  throw UsageError(where, what, "tools/from_pytorch.py and tools/from_onnx.py write such files");
}

template <class T>
T value_of(const std::string& path, const toml::table& model, const char* key, std::optional<T> otherwise) {
  const toml::node* node = model.get(key);
  if (node == nullptr) {
    if (otherwise) return *otherwise;
    refuse(path, nullptr, fmt::format("has no model.{}", key));
  }
  const std::optional<T> value = node->value<T>();
  if (!value) refuse(path, node, fmt::format("model.{} is of another type than it should be", key));
  return *value;
}

}  // namespace

NetworkFile read_network_file(const std::string& path) {
  toml::table file;
  try {
    file = toml::parse(read_text(path, kLongest), path);
  } catch (const toml::parse_error& error) {
    throw UsageError(fmt::format("{}:{}", path, error.source().begin.line), std::string(error.description()));
  }
  const toml::table* model = file["model"].as_table();
  if (model == nullptr) refuse(path, nullptr, "has no [model]");
  for (const auto& [key, node] : file)
    if (key.str() != "model") refuse(path, &node, fmt::format("does not take [{}]", key.str()));
  for (const auto& [key, node] : *model) {
    const std::string name(key.str());
    if (name != "input" && name != "classes" && name != "layers" && name != "loss" && name != "label_smoothing")
      refuse(path, &node, fmt::format("does not take model.{}", name));
  }
  NetworkFile network;
  const toml::array* input = (*model)["input"].as_array();
  if (input == nullptr || input->size() != 3)
    refuse(path, model->get("input"), "model.input is no list of channels, height and width");
  Index* const sizes[] = {&network.input.channels, &network.input.height, &network.input.width};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::optional<std::int64_t> size = (*input)[i].value<std::int64_t>();
    if (!size || *size < 1) refuse(path, input, "model.input holds what is no number of 1 or more");
    *sizes[i] = *size;
  }
  network.classes = value_of<std::int64_t>(path, *model, "classes", {});
  network.layers = value_of<std::string>(path, *model, "layers", {});
  network.loss = value_of<std::string>(path, *model, "loss", network.loss);
  network.label_smoothing = value_of<double>(path, *model, "label_smoothing", network.label_smoothing);
  return network;
}

}  // namespace gradscape
