#include "gradscape/nn/zoo_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace gradscape {

GraphBuilder::GraphBuilder(const ModelOptions& options, FeatureShape input) : options_(options) {
  graph_.input = input;
}

Index GraphBuilder::scaled(double channels) const {
  return std::max<Index>(1, std::llround(channels * options_.width));
}

void GraphBuilder::section(const std::string& name) {
  section_ = name;
  index_ = 0;
}

void GraphBuilder::add(const Op& op, const std::string& name, std::vector<int> inputs) {
  graph_.nodes.push_back({op, name == kNumbered ? fmt::format("{}.{}", section_, index_++) : name, std::move(inputs)});
}

void GraphBuilder::convolution(const std::string& name, Index channels, Index kernel, Index stride, int input) {
  add(ConvOp{.channels = channels,
             .kernel_height = kernel,
             .kernel_width = kernel,
             .stride = stride,
             .padding = kernel / 2,
             .bias = options_.bias && options_.norm == kNoNorm},
      name, {input});
}

void GraphBuilder::norm(const std::string& name) {
  if (options_.norm == kNoNorm) return;
  const NormKind kind = norm_kinds().find(options_.norm);
  const Index groups = kind == NormKind::group ? options_.norm_groups : 1;
  add(NormOp{kind, options_.norm_eps, options_.norm_affine, options_.norm_momentum, options_.norm_track, groups}, name);
}

void GraphBuilder::noise() {
  if (options_.noise)
    add(NoiseOp{{options_.noise_mean, options_.noise_scale, options_.noise_mean_spread, options_.noise_scale_spread}},
        "");
}

void GraphBuilder::activation(const std::string& name) {
  if (options_.activation != "linear") add(ActivationOp{}, name);
}

void GraphBuilder::dropout(const std::string& name) {
  if (options_.dropout > 0) add(DropoutOp{options_.dropout}, name);
}

void GraphBuilder::pool(const std::string& name) {
  add(PoolOp{options_.pool == "max" ? PoolKind::max : PoolKind::average, 2, 2}, name);
}

}  // namespace gradscape
