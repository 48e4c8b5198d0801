// Networks whose values branch and meet: residual ones, and densely connected ones.
#include <fmt/format.h>

#include <array>

#include "gradscape/nn/zoo_builder.hpp"

namespace gradscape {
namespace {

/// A block of a residual network: its name, its channels, and the stride at which it begins.
struct Block {
  std::string name;
  Index in;
  Index out;
  Index stride;

  bool changes_shape() const { return in != out || stride != 1; }
};

/// Adds the block's shortcut to the last value, as the options or else `own` have it. The shortcut begins at `source`
/// where shapes change, and else is the value of `entry`. `sum`: the sum's name.
void add_shortcut(GraphBuilder& net, const Block& block, int entry, int source, const std::string& own, bool normed,
                  const std::string& sum) {
  const std::string& kind = net.options().shortcut == "auto" ? own : net.options().shortcut;
  if (kind == "none") return;
  const int inner = net.last();
  int shortcut = entry;
  if (block.changes_shape() && kind == "A") {
    const Index more = block.out - block.in;
    net.add(ShortcutOp{block.stride, more / 2, more - more / 2}, block.name + ".shortcut", {source});
    shortcut = net.last();
  } else if (block.changes_shape()) {
    net.convolution(block.name + ".shortcut.0", block.out, 1, block.stride, source);
    if (normed) net.norm(block.name + ".shortcut.1");
    shortcut = net.last();
  }
  net.add(AddOp{}, sum, {inner, shortcut});
}

/// He et al. 2015: convolution, norm, activation, convolution, norm, sum, activation.
void add_basic_block(GraphBuilder& net, const Block& block, const std::string& own_shortcut) {
  const int entry = net.last();
  net.convolution(block.name + ".conv1", block.out, 3, block.stride, entry);
  net.norm(block.name + ".bn1");
  net.noise();
  net.activation();
  net.convolution(block.name + ".conv2", block.out, 3, 1, net.last());
  net.norm(block.name + ".bn2");
  net.noise();
  add_shortcut(net, block, entry, entry, own_shortcut, true, net.options().activation == "linear" ? block.name : "");
  net.activation(block.name);
}

/// Zagoruyko and Komodakis 2016: norm, activation, convolution, twice, then the sum.
void add_wide_block(GraphBuilder& net, const Block& block) {
  const int entry = net.last();
  net.norm(block.name + ".bn1");
  net.noise();
  net.activation(block.changes_shape() ? block.name + ".relu1" : "");
  const int activated = net.last();
  net.convolution(block.name + ".conv1", block.out, 3, block.stride, activated);
  net.norm(block.name + ".bn2");
  net.noise();
  net.activation();
  net.dropout();
  net.convolution(block.name + ".conv2", block.out, 3, 1, net.last());
  add_shortcut(net, block, entry, activated, "B", false, block.name);
}

/// Stages of so many blocks, the first one of channels[1]; each but the first begins with a stride of 2. channels[0]
/// come in.
template <class AddBlock>
void add_stages(const std::vector<Index>& channels, int blocks, AddBlock&& add_block) {
  for (std::size_t stage = 1; stage < channels.size(); ++stage)
    for (int i = 0; i < blocks; ++i) {
      const bool first = i == 0;
      add_block(Block{fmt::format("layer{}.{}", stage, i), channels[first ? stage - 1 : stage], channels[stage],
                      first && stage > 1 ? 2 : 1});
    }
}

void add_head(GraphBuilder& net, const char* name, Index classes) {
  net.add(GlobalPoolOp{}, "");
  net.flatten();
  net.dense(name, classes);
}

void add_resnet(GraphBuilder& net, const std::vector<Index>& channels, int blocks, const char* own_shortcut,
                Index classes) {
  net.convolution("conv1", channels.front(), 3, 1, kImages);
  net.norm("bn1");
  net.noise();
  net.activation("relu");
  add_stages(channels, blocks, [&](const Block& block) { add_basic_block(net, block, own_shortcut); });
  add_head(net, "linear", classes);
}

/// Of depth 6n + 2.
template <int Depth>
void add_cifar_resnet(GraphBuilder& net, Index classes) {
  add_resnet(net, {net.scaled(16), net.scaled(16), net.scaled(32), net.scaled(64)}, (Depth - 2) / 6, "A", classes);
}

void add_resnet_18(GraphBuilder& net, Index classes) {
  add_resnet(net, {net.scaled(64), net.scaled(64), net.scaled(128), net.scaled(256), net.scaled(512)}, 2, "B", classes);
}

/// Of depth 6n + 4.
template <int Depth, int Width>
void add_wide_resnet(GraphBuilder& net, Index classes) {
  net.convolution("conv1", net.scaled(16), 3, 1, kImages);
  add_stages({net.scaled(16), net.scaled(16 * Width), net.scaled(32 * Width), net.scaled(64 * Width)}, (Depth - 4) / 6,
             [&](const Block& block) { add_wide_block(net, block); });
  net.norm("bn1");
  net.noise();
  net.activation();
  add_head(net, "linear", classes);
}

/// Norm, activation, convolution, dropout.
void add_composite(GraphBuilder& net, const std::string& name, Index channels, Index kernel) {
  net.norm(name + ".bn1");
  net.noise();
  net.activation();
  net.convolution(name + ".conv1", channels, kernel, 1, net.last());
  net.dropout();
}

/// Huang et al. 2017 without bottlenecks or compression, growth 12, depth 3n + 4: each layer takes all values before it
/// in its block.
template <int Depth>
void add_densenet(GraphBuilder& net, Index classes) {
  const Index growth = net.scaled(12);
  Index channels = net.scaled(16);
  net.convolution("conv1", channels, 3, 1, kImages);
  for (int block = 1; block <= 3; ++block) {
    for (int i = 0; i < (Depth - 4) / 3; ++i) {
      const std::string name = fmt::format("block{}.layer.{}", block, i);
      const int entry = net.last();
      add_composite(net, name, growth, 3);
      net.add(ConcatOp{}, name, {entry, net.last()});
      channels += growth;
    }
    if (block == 3) continue;
    add_composite(net, fmt::format("trans{}", block), channels, 1);
    net.add(PoolOp{PoolKind::average}, fmt::format("trans{}", block));
  }
  net.norm("bn1");
  net.noise();
  net.activation();
  add_head(net, "fc", classes);
}

}  // namespace

const std::vector<std::pair<std::string, AddArchitecture>>& branching_architectures() {
  static const std::vector<std::pair<std::string, AddArchitecture>> list = {
      {"resnet-18", add_resnet_18},         {"resnet-20", add_cifar_resnet<20>},
      {"resnet-32", add_cifar_resnet<32>},  {"resnet-44", add_cifar_resnet<44>},
      {"resnet-56", add_cifar_resnet<56>},  {"resnet-110", add_cifar_resnet<110>},
      {"wrn-16-4", add_wide_resnet<16, 4>}, {"wrn-28-10", add_wide_resnet<28, 10>},
      {"wrn-40-4", add_wide_resnet<40, 4>}, {"densenet-22", add_densenet<22>},
      {"densenet-40", add_densenet<40>}};
  return list;
}

}  // namespace gradscape
