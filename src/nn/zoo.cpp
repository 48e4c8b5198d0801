#include "gradscape/nn/zoo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/nn/layer_text.hpp"
#include "gradscape/nn/zoo_builder.hpp"

namespace gradscape {
namespace {

const NamedTable<Init>& inits() {
  static const NamedTable<Init> table("initialisation", {{"xavier-normal", Init::xavier_normal},
                                                         {"xavier-uniform", Init::xavier_uniform},
                                                         {"he-normal", Init::he_normal},
                                                         {"he-uniform", Init::he_uniform},
                                                         {"pytorch", Init::pytorch}});
  return table;
}

const NamedTable<Loss>& losses() {
  static const NamedTable<Loss> table(
      "loss", {{"cross-entropy", Loss::cross_entropy}, {"mse", Loss::mean_squared}, {"sse", Loss::summed_squared}});
  return table;
}

const NamedTable<Engine>& engines() {
  static const NamedTable<Engine> table("engine", {{"direct", Engine::direct}, {"winograd", Engine::winograd}});
  return table;
}

/// The convolutions of a VGG: so many in each of five stages, a pooling behind each stage.
void add_features(GraphBuilder& net, const std::array<int, 5>& convolutions) {
  net.section("features");
  for (std::size_t stage = 0; stage < 5; ++stage) {
    const Index channels = net.scaled(std::min(512.0, 64.0 * std::exp2(stage)));
    for (int i = 0; i < convolutions[stage]; ++i) {
      net.add(ConvOp{.channels = channels, .padding = 1, .bias = net.options().bias}, kNumbered);
      net.norm(kNumbered);
      net.noise();
      net.activation(kNumbered);
    }
    net.pool(kNumbered);
  }
  net.flatten();
  net.section("classifier");
}

/// A dense layer, with norm and noise if `normed`, activation and dropout.
void add_hidden(GraphBuilder& net, Index units, bool normed) {
  net.dense(kNumbered, units);
  if (normed) {
    net.norm(kNumbered);
    net.noise();
  }
  net.activation(kNumbered);
  net.dropout(kNumbered);
}

template <int... Convolutions>
void add_vgg(GraphBuilder& net, Index classes) {
  add_features(net, {Convolutions...});
  net.dense(kNumbered, classes);
}

void add_vgg_a(GraphBuilder& net, Index classes) {
  add_features(net, {1, 1, 2, 2, 2});
  for (int hidden = 0; hidden < 2; ++hidden) add_hidden(net, net.scaled(512), net.options().norm_dense);
  net.dense(kNumbered, classes);
}

void add_mlp(GraphBuilder& net, Index classes) {
  net.flatten();
  net.section("layers");
  for (const auto units : net.options().hidden) add_hidden(net, units, true);
  net.dense(kNumbered, classes);
}

void add_deep_linear(GraphBuilder& net, Index classes) {
  net.flatten();
  net.section("layers");
  for (std::int64_t layer = 1; layer < net.options().depth; ++layer) {
    net.add(DenseOp{net.input().size(), false}, kNumbered);
    net.norm(kNumbered);
    net.noise();
  }
  net.add(DenseOp{classes, false}, kNumbered);
}

void add_lenet(GraphBuilder& net, Index classes) {
  int number = 0;
  const auto norm = [&] {
    net.norm(fmt::format("bn{}", ++number));
    net.noise();
  };
  for (const int channels : {6, 16}) {
    net.add(ConvOp{net.scaled(channels), 5, 5, 1, 0, net.options().bias}, channels == 6 ? "conv1" : "conv2");
    norm();
    net.activation();
    net.pool("");
  }
  net.flatten();
  for (const int units : {120, 84}) {
    net.dense(units == 120 ? "fc1" : "fc2", net.scaled(units));
    if (net.options().norm_dense) norm();
    net.activation();
    net.dropout();
  }
  net.dense("fc3", classes);
}

constexpr const char* kLayersKey = "model.layers";  // in messages

/// UsageError unless the text's network has an output for each class.
void add_layers(GraphBuilder& net, Index classes) {
  ModelGraph graph = parse_graph(net.options().layers, net.input(), kLayersKey);
  if (const Index outputs = output_shapes(graph).back().channels; outputs != classes)
    throw UsageError(fmt::format("model.layers, line {}, {}", graph.lines.back(), label(graph.nodes.back())),
                     fmt::format("the network has {} outputs, and the data have {} classes", outputs, classes),
                     "a network ends with one number for each class");
  net.take(std::move(graph));
}

const NamedTable<AddArchitecture>& architectures() {
  static const NamedTable<AddArchitecture> table = [] {
    std::vector<std::pair<std::string, AddArchitecture>> rows = {{"vgg-a", add_vgg_a},
                                                                 {"vgg-11", add_vgg<1, 1, 2, 2, 2>},
                                                                 {"vgg-13", add_vgg<2, 2, 2, 2, 2>},
                                                                 {"vgg-16", add_vgg<2, 2, 3, 3, 3>},
                                                                 {"vgg-19", add_vgg<2, 2, 4, 4, 4>},
                                                                 {"lenet", add_lenet}};
    const auto& branching = branching_architectures();
    rows.insert(rows.end(), branching.begin(), branching.end());
    rows.insert(rows.end(), {{"mlp", add_mlp}, {"deep-linear", add_deep_linear}, {kLayersArch, add_layers}});
    return NamedTable<AddArchitecture>("network", std::move(rows));
  }();
  return table;
}

}  // namespace

const std::vector<std::string>& arch_names() {
  return architectures().names();
}

const std::vector<std::string>& norm_names() {
  static const std::vector<std::string> list = [] {
    std::vector<std::string> names = norm_kinds().names();
    names.insert(names.begin(), kNoNorm);
    return names;
  }();
  return list;
}

const std::vector<std::string>& init_names() {
  return inits().names();
}

const std::vector<std::string>& loss_names() {
  return losses().names();
}

Init init_from_name(const std::string& name) {
  return inits().find(name);
}

const std::vector<std::string>& engine_names() {
  return engines().names();
}

Engine engine_from_name(const std::string& name) {
  return engines().find(name);
}

ModelGraph zoo_graph(const ModelOptions& options, FeatureShape input, Index classes) {
  GraphBuilder builder(options, input);
  architectures().find(options.arch)(builder, classes);
  ModelGraph graph = std::move(builder).graph();
  name_branches(graph);
  graph.loss = losses().find(options.loss);
  graph.label_smoothing = options.label_smoothing;
  graph.loss_decay = options.loss_decay;
  return graph;
}

bool has_batch_norm(const ModelOptions& options) {
  if (options.arch != kLayersArch) return options.norm == "batch";
  const ModelGraph graph = parse_graph(options.layers, {1, 1, 1}, kLayersKey);  // for images of any shape
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    const auto* norm = std::get_if<NormOp>(&node.op);
    return norm != nullptr && norm->kind == NormKind::batch;
  });
}

}  // namespace gradscape
