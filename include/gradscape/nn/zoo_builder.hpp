// What the zoo's networks are built with.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradscape/nn/zoo.hpp"

namespace gradscape {

/// The value of model.norm for a network without norms.
inline constexpr const char* kNoNorm = "none";

/// In the place of a name: the next one of the section's.
inline constexpr const char* kNumbered = "*";

/// Appends nodes as the options have them: each takes the value of the node before it, unless told otherwise. Names are
/// PyTorch's; modules that its networks have no names for have none here, but for values that branch.
class GraphBuilder {
 public:
  GraphBuilder(const ModelOptions& options, FeatureShape input);

  const ModelOptions& options() const { return options_; }
  FeatureShape input() const { return graph_.input; }
  /// So many channels or units times model.width, rounded, at least one.
  Index scaled(double channels) const;

  /// Starts a new nn.Sequential, whose modules are "NAME.0", "NAME.1", …
  void section(const std::string& name);

  /// The last node, whose value the next one takes; kImages before the first.
  int last() const { return static_cast<int>(graph_.nodes.size()) - 1; }
  void add(const Op& op, const std::string& name) { add(op, name, {last()}); }
  void add(const Op& op, const std::string& name, std::vector<int> inputs);

  /// kernel × kernel, on images with so much padding that a stride of 1 keeps their size; a norm behind it takes the
  /// place of its bias.
  void convolution(const std::string& name, Index channels, Index kernel, Index stride, int input);
  /// The norm and the noise of the options.
  void norm(const std::string& name);
  void noise();
  /// None where the options' activation is "linear", no dropout where its rate is 0.
  void activation(const std::string& name = "");
  void dropout(const std::string& name = "");
  /// 2×2, of the options' kind.
  void pool(const std::string& name);
  void flatten() { add(FlattenOp{}, ""); }
  void dense(const std::string& name, Index units) { add(DenseOp{units, options_.bias}, name); }

  /// In the place of all nodes.
  void take(ModelGraph graph) { graph_ = std::move(graph); }
  ModelGraph graph() && { return std::move(graph_); }

 private:
  const ModelOptions& options_;
  ModelGraph graph_;
  std::string section_;
  int index_ = 0;
};

/// How a network of the zoo is built: everything but its loss.
using AddArchitecture = void (*)(GraphBuilder&, Index classes);

/// Residual and densely connected networks (zoo_graph()).
const std::vector<std::pair<std::string, AddArchitecture>>& branching_architectures();

}  // namespace gradscape
