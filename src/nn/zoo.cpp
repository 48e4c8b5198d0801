#include "gradscape/nn/zoo.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/nn/activation.hpp"
#include "gradscape/nn/activation_noise.hpp"
#include "gradscape/nn/batch_norm.hpp"
#include "gradscape/nn/convolution.hpp"
#include "gradscape/nn/dense.hpp"
#include "gradscape/nn/group_norm.hpp"
#include "gradscape/nn/lp_norm.hpp"
#include "gradscape/nn/pooling.hpp"

namespace gradscape {
namespace {

template <class Value>
using Table = std::vector<std::pair<std::string, Value>>;

template <class Value>
std::vector<std::string> names(const Table<Value>& table) {
  std::vector<std::string> out;
  for (const auto& [name, value] : table) out.push_back(name);
  return out;
}

template <class Value>
Value find(const Table<Value>& table, const std::string& name) {
  for (const auto& [key, value] : table)
    if (key == name) return value;
  throw std::logic_error("no table row named " + name);  // the configuration admits only names of the table
}

const Table<Init>& init_table() {
  static const Table<Init> table = {{"xavier-normal", Init::xavier_normal},
                                    {"xavier-uniform", Init::xavier_uniform},
                                    {"he-normal", Init::he_normal},
                                    {"he-uniform", Init::he_uniform},
                                    {"pytorch", Init::pytorch}};
  return table;
}

const Table<Loss>& loss_table() {
  static const Table<Loss> table = {
      {"cross-entropy", Loss::cross_entropy}, {"mse", Loss::mean_squared}, {"sse", Loss::summed_squared}};
  return table;
}

const Table<Engine>& engine_table() {
  static const Table<Engine> table = {{"direct", Engine::direct}, {"winograd", Engine::winograd}};
  return table;
}

/// What a norm needs to know of where it stands.
template <class S>
struct NormPlace {
  Network<S>& network;
  const ModelOptions& options;
  std::string name;

  BatchNormOptions batch_options() const {
    return {options.norm_eps, options.norm_momentum, options.norm_affine, options.norm_track};
  }
};

template <class S>
void add_batch_norm(const NormPlace<S>& at) {
  at.network.template add<BatchNorm<S>>(at.network.parameters(), at.network.buffers(), at.name, at.network.output(),
                                        at.batch_options());
}

template <class S, LpKind Kind>
void add_lp_norm(const NormPlace<S>& at) {
  at.network.template add<LpNorm<S>>(at.network.parameters(), at.network.buffers(), at.name, at.network.output(), Kind,
                                     at.batch_options());
}

template <class S>
void add_group_norm(const NormPlace<S>& at, Index groups) {
  const FeatureShape in = at.network.output();
  if (in.channels % groups != 0)
    throw UsageError("model.norm_groups",
                     fmt::format("{} groups do not divide the {} channels of {}", groups, in.channels, at.name),
                     "choose a number that divides every layer's channels");
  at.network.template add<GroupNorm<S>>(at.network.parameters(), at.name, in,
                                        GroupNormOptions{groups, at.options.norm_eps, at.options.norm_affine});
}

template <class S>
const Table<void (*)(const NormPlace<S>&)>& norm_table() {
  static const Table<void (*)(const NormPlace<S>&)> table = {
      {"none", nullptr},
      {"batch", add_batch_norm<S>},
      {"l1", add_lp_norm<S, LpKind::l1>},
      {"l2", add_lp_norm<S, LpKind::l2>},
      {"linf", add_lp_norm<S, LpKind::linf>},
      {"layer", [](const NormPlace<S>& at) { add_group_norm(at, 1); }},
      {"group", [](const NormPlace<S>& at) { add_group_norm(at, at.options.norm_groups); }}};
  return table;
}

/// Appends layers with PyTorch's names: SECTION.INDEX, the index counting every module of an nn.Sequential.
template <class S>
class Builder {
 public:
  Builder(Network<S>& network, const ModelOptions& options, Engine engine, Fusion fusion)
      : network_(network),
        options_(options),
        engine_(engine),
        // Only batch norm can be part of a convolution, and what noise changes must be seen by what follows.
        fused_(fusion == Fusion::on && !options.noise && (options.norm == "none" || options.norm == "batch")) {}

  /// Starts a new nn.Sequential.
  void section(const std::string& name) {
    section_ = name;
    index_ = 0;
  }

  /// A convolution with what follows it: norm, noise, activation and, if `pool`, 2×2 pooling.
  void convolution(Index channels, bool pool) {
    ConvolutionOptions options;
    options.channels = channels;
    options.padding = 1;
    options.bias = options_.bias;
    if (fused_) {
      add_fused(options, pool);
      return;
    }
    const std::string name = next_name();
    network_.begin_block(name);
    network_.template add<Convolution<S>>(network_.parameters(), network_.buffers(), name, "", network_.output(),
                                          options, ordinal_++, engine_);
    norm_and_noise(true);
    network_.end_block();
    activation();
    if (!pool) return;
    require_poolable(network_.output());
    next_name();
    if (options_.pool == "max")
      network_.template add<MaxPool<S>>(network_.output(), 2, 2);
    else
      network_.template add<AveragePool<S>>(network_.output(), 2, 2);
  }

  /// A dense layer, with norm and noise behind it if `normed`.
  void dense(Index out, bool normed, bool bias) {
    const std::string name = next_name();
    network_.begin_block(name);
    network_.template add<Dense<S>>(network_.parameters(), name, network_.output().size(), out, bias, ordinal_++);
    norm_and_noise(normed);
    network_.end_block();
  }

  void activation() {
    if (options_.activation == "linear") return;
    next_name();
    network_.template add<Relu<S>>(network_.output());
  }

  void dropout() {
    if (options_.dropout == 0) return;
    next_name();
    network_.template add<Dropout<S>>(network_.output(), options_.dropout, dropout_ordinal_++);
  }

  void flatten() { network_.template add<Flatten<S>>(network_.output()); }

  Index input_size() const { return network_.input().size(); }

 private:
  void add_fused(ConvolutionOptions options, bool pool) {
    options.relu = options_.activation != "linear";
    options.max_pool = pool && options_.pool == "max";
    const std::string name = next_name();
    const std::string norm_name = options_.norm == "none" ? "" : next_name();
    if (options_.norm != "none") options.norm = NormPlace<S>{network_, options_, norm_name}.batch_options();
    if (options.relu) next_name();
    if (pool) {
      require_poolable(network_.output());
      next_name();
    }
    network_.begin_block(name);
    network_.template add<Convolution<S>>(network_.parameters(), network_.buffers(), name, norm_name, network_.output(),
                                          options, ordinal_++, engine_);
    network_.end_block();
    if (pool && !options.max_pool) network_.template add<AveragePool<S>>(network_.output(), 2, 2);
  }

  void norm_and_noise(bool normed) {
    if (!normed) return;
    if (const auto add = find(norm_table<S>(), options_.norm)) {
      add({network_, options_, next_name()});
      network_.mark_norm();
    }
    // Without a name: a module that PyTorch's network would not have.
    if (options_.noise)
      network_.template add<ActivationNoise<S>>(network_.output(),
                                                NoiseOptions{options_.noise_mean, options_.noise_scale,
                                                             options_.noise_mean_spread, options_.noise_scale_spread},
                                                noise_ordinal_++);
  }

  void require_poolable(FeatureShape in) const {
    if (in.height < 2 || in.width < 2)
      throw UsageError("model.arch",
                       fmt::format("images of {}×{} pixels are too small for {}'s five poolings",
                                   network_.input().height, network_.input().width, options_.arch),
                       "it takes 32×32 pixels or more; use model.arch = \"mlp\" for smaller images");
  }

  std::string next_name() { return fmt::format("{}.{}", section_, index_++); }

  Network<S>& network_;
  const ModelOptions& options_;
  Engine engine_;
  bool fused_;
  std::string section_;
  int index_ = 0;
  std::uint32_t ordinal_ = 0;  // of the convolution or dense layer: the address of its initial values
  std::uint32_t dropout_ordinal_ = 0;
  std::uint32_t noise_ordinal_ = 0;
};

Index scaled(double channels, const ModelOptions& options) {
  return std::max<Index>(1, std::llround(channels * options.width));
}

/// The convolutions of a VGG: so many in each of five stages, a pooling behind each stage.
template <class S>
void build_features(Builder<S>& builder, const ModelOptions& options, const std::array<int, 5>& convolutions) {
  builder.section("features");
  for (std::size_t stage = 0; stage < 5; ++stage)
    for (int i = 0; i < convolutions[stage]; ++i)
      builder.convolution(scaled(std::min(512.0, 64.0 * std::exp2(stage)), options), i + 1 == convolutions[stage]);
  builder.flatten();
  builder.section("classifier");
}

template <class S, int... Convolutions>
void build_vgg(Builder<S>& builder, const ModelOptions& options, Index classes) {
  build_features(builder, options, {Convolutions...});
  builder.dense(classes, false, options.bias);
}

template <class S>
void build_vgg_a(Builder<S>& builder, const ModelOptions& options, Index classes) {
  build_features(builder, options, {1, 1, 2, 2, 2});
  for (int hidden = 0; hidden < 2; ++hidden) {
    builder.dense(scaled(512, options), options.norm_dense, options.bias);
    builder.activation();
    builder.dropout();
  }
  builder.dense(classes, false, options.bias);
}

template <class S>
void build_mlp(Builder<S>& builder, const ModelOptions& options, Index classes) {
  builder.flatten();
  builder.section("layers");
  for (const auto units : options.hidden) {
    builder.dense(units, true, options.bias);
    builder.activation();
    builder.dropout();
  }
  builder.dense(classes, false, options.bias);
}

template <class S>
void build_deep_linear(Builder<S>& builder, const ModelOptions& options, Index classes) {
  builder.flatten();
  builder.section("layers");
  for (std::int64_t layer = 1; layer < options.depth; ++layer) builder.dense(builder.input_size(), true, false);
  builder.dense(classes, false, false);
}

template <class S>
using Build = void (*)(Builder<S>&, const ModelOptions&, Index);

template <class S>
const Table<Build<S>>& arch_table() {
  static const Table<Build<S>> table = {{"vgg-a", build_vgg_a<S>},
                                        {"vgg-11", build_vgg<S, 1, 1, 2, 2, 2>},
                                        {"vgg-13", build_vgg<S, 2, 2, 2, 2, 2>},
                                        {"vgg-16", build_vgg<S, 2, 2, 3, 3, 3>},
                                        {"vgg-19", build_vgg<S, 2, 2, 4, 4, 4>},
                                        {"mlp", build_mlp<S>},
                                        {"deep-linear", build_deep_linear<S>}};
  return table;
}

}  // namespace

const std::vector<std::string>& arch_names() {
  static const auto list = names(arch_table<float>());
  return list;
}

const std::vector<std::string>& norm_names() {
  static const auto list = names(norm_table<float>());
  return list;
}

const std::vector<std::string>& init_names() {
  static const auto list = names(init_table());
  return list;
}

const std::vector<std::string>& loss_names() {
  static const auto list = names(loss_table());
  return list;
}

Init init_from_name(const std::string& name) {
  return find(init_table(), name);
}

const std::vector<std::string>& engine_names() {
  static const auto list = names(engine_table());
  return list;
}

Engine engine_from_name(const std::string& name) {
  return find(engine_table(), name);
}

template <class S>
std::unique_ptr<Network<S>> make_network(const ModelOptions& options, FeatureShape input, Index classes, Engine engine,
                                         Fusion fusion) {
  auto network = std::make_unique<Network<S>>(input, find(loss_table(), options.loss), options.label_smoothing);
  Builder<S> builder(*network, options, engine, fusion);
  find(arch_table<S>(), options.arch)(builder, options, classes);
  return network;
}

template std::unique_ptr<Network<float>> make_network<float>(const ModelOptions&, FeatureShape, Index, Engine, Fusion);
template std::unique_ptr<Network<double>> make_network<double>(const ModelOptions&, FeatureShape, Index, Engine,
                                                               Fusion);

}  // namespace gradscape
