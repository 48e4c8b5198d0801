#include "gradscape/cli/network_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/nn/fusing.hpp"
#include "gradscape/nn/layer_text.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kWidth = 100;  // of a line

/// A layer, as both table and JSON tell it.
struct LayerRow {
  std::string name, kind, output;
  Index parameters = 0, products = 0;  // multiply-adds per image
  std::string fused_into = {};
};

/// Elements of theta that belong to a node.
Index parameters_of(const Node& node, const Layout& parameters) {
  Index sum = 0;
  for (const Part& part : parameters.parts())
    if (part.layer == node.name) sum += part.size;
  return sum;
}

std::vector<LayerRow> layer_rows(const ModelGraph& graph) {
  const std::vector<FeatureShape> shapes = output_shapes(graph);
  const std::vector<Index> products = multiply_adds(graph);
  const Layout parameters = layouts(graph).parameters;
  std::vector<LayerRow> rows;
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    rows.push_back({node.name, describe(node.op), describe(shapes[i]), parameters_of(node, parameters), products[i]});
  }
  for (const std::vector<int>& group : fuse(graph, Fusion::on))
    for (std::size_t i = 1; i < group.size(); ++i)
      rows[static_cast<std::size_t>(group[i])].fused_into = label(graph.nodes[static_cast<std::size_t>(group.front())]);
  return rows;
}

/// Of all layers.
LayerRow total_of(const std::vector<LayerRow>& rows) {
  LayerRow total{"total", "", ""};
  for (const LayerRow& row : rows) {
    total.parameters += row.parameters;
    total.products += row.products;
  }
  return total;
}

void print_graph(const ModelGraph& graph) {
  std::vector<LayerRow> rows = layer_rows(graph);
  rows.push_back(total_of(rows));
  std::vector<std::array<std::string, 6>> lines = {
      {"layer", "kind", "output", "parameters", "multiply-adds", "fused into"}};
  const auto number = [](Index value) { return value == 0 ? "" : std::to_string(value); };
  for (const LayerRow& row : rows)
    lines.push_back({row.name, row.kind, row.output, number(row.parameters), number(row.products), row.fused_into});
  std::array<int, 6> widths = {};
  for (const auto& line : lines)
    for (std::size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], static_cast<int>(fmt::formatted_size("{}", line[i])));
  for (const auto& line : lines) {
    std::string text = fmt::format("  {:{}}  {:{}}  {:>{}}  {:>{}}  {:>{}}  {}", line[0], widths[0], line[1], widths[1],
                                   line[2], widths[2], line[3], widths[3], line[4], widths[4], line[5]);
    text.erase(text.find_last_not_of(' ') + 1);
    print_out("{}\n", text);
  }
}

/// " of variants "none", "bn" ", as many as a line holds; nothing of an experiment without variants.
std::string describe_variants(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string more = fmt::format("{}\"{}\"", i == 0 ? "" : ", ", names[i]);
    if (text.size() + more.size() > kWidth / 2 && i > 0)
      return fmt::format(" of variants {} and {} more", text, names.size() - i);
    text += more;
  }
  return text.empty() ? "" : fmt::format(" of variant{} {}", names.size() > 1 ? "s" : "", text);
}

/// A network and the variants that have it.
struct Shown {
  ModelGraph graph;
  std::vector<std::string> variants;
};

/// The different networks of the experiments.
std::vector<Shown> different_networks(const std::vector<Experiment>& experiments) {
  std::vector<Shown> networks;
  for (const Experiment& experiment : experiments) {
    const SampleShape images = sample_shape(experiment.data);
    const ModelGraph graph = zoo_graph(experiment.model, images.shape, images.classes);
    auto found = std::find_if(networks.begin(), networks.end(), [&](const Shown& one) { return one.graph == graph; });
    if (found == networks.end()) found = networks.insert(found, {graph, {}});
    auto& variants = found->variants;
    const std::string& name = experiment.experiment.variant;
    if (!name.empty() && std::find(variants.begin(), variants.end(), name) == variants.end()) variants.push_back(name);
  }
  return networks;
}

/// "network of variant "bn": images of 32×32×3, 10 outputs"
std::string headline(const Shown& network) {
  return fmt::format("network{}: images of {}, {} outputs", describe_variants(network.variants),
                     describe(network.graph.input), output_shapes(network.graph).back().channels);
}

/// Why the images' shape is not known, without which there is no network; nothing where it is.
std::optional<std::string> unknown_images(const std::vector<Experiment>& experiments) {
  try {
    for (const Experiment& experiment : experiments) (void)sample_shape(experiment.data);
  } catch (const Error& error) {
    return error.what();
  }
  return std::nullopt;
}

}  // namespace

void print_networks(const std::vector<Experiment>& experiments) {
  if (const auto why = unknown_images(experiments)) {
    print_out("network: not known without the images: {}\n", *why);
    return;
  }
  for (const Shown& network : different_networks(experiments)) {
    print_out("{}\n", headline(network));
    print_graph(network.graph);
  }
}

nlohmann::ordered_json network_members(const std::vector<Experiment>& experiments) {
  using Json = nlohmann::ordered_json;
  if (unknown_images(experiments)) return nullptr;
  Json networks = Json::array();
  for (const Shown& network : different_networks(experiments)) {
    const std::vector<LayerRow> rows = layer_rows(network.graph);
    Json layers = Json::array();
    for (const LayerRow& row : rows)
      layers.push_back({{"name", row.name},
                        {"kind", row.kind},
                        {"output", row.output},
                        {"parameters", row.parameters},
                        {"multiply_adds", row.products},
                        {"fused_into", row.fused_into.empty() ? Json() : Json(row.fused_into)}});
    const LayerRow total = total_of(rows);
    networks.push_back({{"variants", network.variants},
                        {"input", describe(network.graph.input)},
                        {"outputs", output_shapes(network.graph).back().channels},
                        {"parameters", total.parameters},
                        {"multiply_adds", total.products},
                        {"layers", layers},
                        {"text", graph_text(network.graph)}});
  }
  return networks;
}

void print_network_texts(const std::vector<Experiment>& experiments) {
  const std::vector<Shown> networks = different_networks(experiments);
  for (const Shown& network : networks)
    print_out("{}{}", networks.size() > 1 ? fmt::format("# {}\n", headline(network)) : "", graph_text(network.graph));
}

}  // namespace gradscape
