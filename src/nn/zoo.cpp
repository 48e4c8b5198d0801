#include "gradscape/nn/zoo.hpp"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/nn/activation.hpp"
#include "gradscape/nn/batch_norm.hpp"
#include "gradscape/nn/convolution.hpp"
#include "gradscape/nn/dense.hpp"
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

/// Appends layers with PyTorch's names: SECTION.INDEX, the index counting every module of an nn.Sequential.
template <class S>
class Builder {
 public:
  Builder(Network<S>& network, const ModelOptions& options, Engine engine)
      : network_(network), options_(options), engine_(engine) {}

  /// Starts a new nn.Sequential.
  void section(const std::string& name) {
    section_ = name;
    index_ = 0;
  }

  /// A convolution with what follows it: norm, activation and, if `pool`, 2×2 pooling.
  void convolution(Index channels, bool pool) {
    ConvolutionOptions options;
    options.channels = channels;
    options.padding = 1;
    options.bias = options_.bias;
    options.relu = options_.activation != "linear";
    options.max_pool = pool && options_.pool == "max";
    const std::string name = next_name();
    const std::string norm_name = options_.norm == "none" ? "" : next_name();
    if (options_.norm != "none") options.norm = norm_options();
    if (options.relu) next_name();
    if (pool) {
      require_poolable(network_.output());
      next_name();
    }
    network_.template add<Convolution<S>>(network_.parameters(), network_.buffers(), name, norm_name, network_.output(),
                                          options, ordinal_++, engine_);
    if (pool && !options.max_pool) network_.template add<AveragePool<S>>(network_.output(), 2, 2);
  }

  void dense(Index out) {
    network_.template add<Dense<S>>(network_.parameters(), next_name(), network_.output().size(), out, options_.bias,
                                    ordinal_++);
  }

  void norm() {
    network_.template add<BatchNorm<S>>(network_.parameters(), network_.buffers(), next_name(), network_.output(),
                                        norm_options());
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

 private:
  BatchNormOptions norm_options() const {
    return {options_.norm_eps, options_.norm_momentum, options_.norm_affine, options_.norm_track};
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
  std::string section_;
  int index_ = 0;
  std::uint32_t ordinal_ = 0;  // of the convolution or dense layer: the address of its initial values
  std::uint32_t dropout_ordinal_ = 0;
};

template <class S>
void build_vgg_a(Builder<S>& builder, const ModelOptions& options, Index classes) {
  const auto scaled = [&](double channels) { return std::max<Index>(1, std::llround(channels * options.width)); };
  struct Stage {
    int channels;
    bool pool;
  };
  builder.section("features");
  for (const auto& [channels, pool] :
       {Stage{64, true}, {128, true}, {256, false}, {256, true}, {512, false}, {512, true}, {512, false}, {512, true}})
    builder.convolution(scaled(channels), pool);
  builder.flatten();
  builder.section("classifier");
  for (int hidden = 0; hidden < 2; ++hidden) {
    builder.dense(scaled(512));
    if (options.norm != "none" && options.norm_dense) builder.norm();
    builder.activation();
    builder.dropout();
  }
  builder.dense(classes);
}

template <class S>
void build_mlp(Builder<S>& builder, const ModelOptions& options, Index classes) {
  builder.flatten();
  builder.section("layers");
  for (const auto units : options.hidden) {
    builder.dense(units);
    if (options.norm != "none") builder.norm();
    builder.activation();
    builder.dropout();
  }
  builder.dense(classes);
}

template <class S>
using Build = void (*)(Builder<S>&, const ModelOptions&, Index);

template <class S>
const Table<Build<S>>& arch_table() {
  static const Table<Build<S>> table = {{"vgg-a", build_vgg_a<S>}, {"mlp", build_mlp<S>}};
  return table;
}

}  // namespace

const std::vector<std::string>& arch_names() {
  static const auto list = names(arch_table<float>());
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
std::unique_ptr<Network<S>> make_network(const ModelOptions& options, FeatureShape input, Index classes,
                                         Engine engine) {
  auto network = std::make_unique<Network<S>>(input, find(loss_table(), options.loss));
  Builder<S> builder(*network, options, engine);
  find(arch_table<S>(), options.arch)(builder, options, classes);
  return network;
}

template std::unique_ptr<Network<float>> make_network<float>(const ModelOptions&, FeatureShape, Index, Engine);
template std::unique_ptr<Network<double>> make_network<double>(const ModelOptions&, FeatureShape, Index, Engine);

}  // namespace gradscape
