#include "gradscape/nn/zoo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>

#include "gradscape/core/named_table.hpp"

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

const NamedTable<std::optional<NormKind>>& norms() {
  static const NamedTable<std::optional<NormKind>> table("norm", {{"none", std::nullopt},
                                                                  {"batch", NormKind::batch},
                                                                  {"l1", NormKind::l1},
                                                                  {"l2", NormKind::l2},
                                                                  {"linf", NormKind::linf},
                                                                  {"layer", NormKind::layer},
                                                                  {"group", NormKind::group}});
  return table;
}

/// Appends nodes, each behind the one before, with PyTorch's names: SECTION.INDEX, the index counting every module of
/// an nn.Sequential.
class GraphBuilder {
 public:
  GraphBuilder(const ModelOptions& options, FeatureShape input) : options_(options) {
    graph_.input = input;
    graph_.loss = losses().find(options.loss);
    graph_.label_smoothing = options.label_smoothing;
  }

  /// Starts a new nn.Sequential.
  void section(const std::string& name) {
    section_ = name;
    index_ = 0;
  }

  /// A 3×3 convolution with what follows it: norm, noise, activation and, if `pool`, 2×2 pooling.
  void convolution(Index channels, bool pool) {
    add(ConvOp{.channels = channels, .padding = 1, .bias = options_.bias});
    norm_and_noise();
    activation();
    if (pool) add(PoolOp{options_.pool == "max" ? PoolKind::max : PoolKind::average, 2, 2});
  }

  /// A dense layer, with norm and noise behind it if `normed`.
  void dense(Index units, bool normed, bool bias) {
    add(DenseOp{units, bias});
    if (normed) norm_and_noise();
  }

  void activation() {
    if (options_.activation != "linear") add(ActivationOp{});
  }

  void dropout() {
    if (options_.dropout > 0) add(DropoutOp{options_.dropout});
  }

  void flatten() { add_unnamed(FlattenOp{}); }

  Index input_size() const { return graph_.input.size(); }

  ModelGraph graph() && { return std::move(graph_); }

 private:
  void norm_and_noise() {
    if (const auto kind = norms().find(options_.norm)) {
      const Index groups = *kind == NormKind::group ? options_.norm_groups : 1;
      add(NormOp{*kind, options_.norm_eps, options_.norm_affine, options_.norm_momentum, options_.norm_track, groups});
    }
    if (options_.noise)
      add_unnamed(NoiseOp{
          {options_.noise_mean, options_.noise_scale, options_.noise_mean_spread, options_.noise_scale_spread}});
  }

  void add(const Op& op) { graph_.nodes.push_back({op, fmt::format("{}.{}", section_, index_++), {last()}}); }

  /// A module that PyTorch's network would not have.
  void add_unnamed(const Op& op) { graph_.nodes.push_back({op, "", {last()}}); }

  /// The node before the next one; kImages where that is the first.
  int last() const { return static_cast<int>(graph_.nodes.size()) - 1; }

  const ModelOptions& options_;
  ModelGraph graph_;
  std::string section_;
  int index_ = 0;
};

Index scaled(double channels, const ModelOptions& options) {
  return std::max<Index>(1, std::llround(channels * options.width));
}

/// The convolutions of a VGG: so many in each of five stages, a pooling behind each stage.
void add_features(GraphBuilder& builder, const ModelOptions& options, const std::array<int, 5>& convolutions) {
  builder.section("features");
  for (std::size_t stage = 0; stage < 5; ++stage)
    for (int i = 0; i < convolutions[stage]; ++i)
      builder.convolution(scaled(std::min(512.0, 64.0 * std::exp2(stage)), options), i + 1 == convolutions[stage]);
  builder.flatten();
  builder.section("classifier");
}

template <int... Convolutions>
void add_vgg(GraphBuilder& builder, const ModelOptions& options, Index classes) {
  add_features(builder, options, {Convolutions...});
  builder.dense(classes, false, options.bias);
}

void add_vgg_a(GraphBuilder& builder, const ModelOptions& options, Index classes) {
  add_features(builder, options, {1, 1, 2, 2, 2});
  for (int hidden = 0; hidden < 2; ++hidden) {
    builder.dense(scaled(512, options), options.norm_dense, options.bias);
    builder.activation();
    builder.dropout();
  }
  builder.dense(classes, false, options.bias);
}

void add_mlp(GraphBuilder& builder, const ModelOptions& options, Index classes) {
  builder.flatten();
  builder.section("layers");
  for (const auto units : options.hidden) {
    builder.dense(units, true, options.bias);
    builder.activation();
    builder.dropout();
  }
  builder.dense(classes, false, options.bias);
}

void add_deep_linear(GraphBuilder& builder, const ModelOptions& options, Index classes) {
  builder.flatten();
  builder.section("layers");
  for (std::int64_t layer = 1; layer < options.depth; ++layer) builder.dense(builder.input_size(), true, false);
  builder.dense(classes, false, false);
}

using AddArchitecture = void (*)(GraphBuilder&, const ModelOptions&, Index classes);

const NamedTable<AddArchitecture>& architectures() {
  static const NamedTable<AddArchitecture> table("network", {{"vgg-a", add_vgg_a},
                                                             {"vgg-11", add_vgg<1, 1, 2, 2, 2>},
                                                             {"vgg-13", add_vgg<2, 2, 2, 2, 2>},
                                                             {"vgg-16", add_vgg<2, 2, 3, 3, 3>},
                                                             {"vgg-19", add_vgg<2, 2, 4, 4, 4>},
                                                             {"mlp", add_mlp},
                                                             {"deep-linear", add_deep_linear}});
  return table;
}

}  // namespace

const std::vector<std::string>& arch_names() {
  return architectures().names();
}

const std::vector<std::string>& norm_names() {
  return norms().names();
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
  architectures().find(options.arch)(builder, options, classes);
  return std::move(builder).graph();
}

}  // namespace gradscape
