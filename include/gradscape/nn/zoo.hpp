// The networks that a configuration can name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gradscape/nn/engine.hpp"
#include "gradscape/nn/network.hpp"

namespace gradscape {

/// Section [model]. The defaults are the VGG-A of the course exercise.
struct ModelOptions {
  std::string arch = "vgg-a";
  double width = 1.0;                             // vgg-a: factor on all channel counts; narrower is faster
  std::vector<std::int64_t> hidden = {128, 128};  // mlp: units of each hidden layer
  std::string activation = "relu";                // "linear": no non-linearity, so that no unit can flip
  std::string pool = "max";                       // vgg-a: "average" is linear too
  std::string norm = "none";
  bool norm_dense = false;  // vgg-a: batch norm on the hidden dense layers too
  bool norm_affine = true;
  bool norm_track = true;  // off: evaluation uses the batch's statistics
  double norm_eps = 1e-5;
  double norm_momentum = 0.1;
  double dropout = 0.0;  // rate behind each hidden dense layer
  bool bias = true;      // of convolutions and dense layers
  std::string init = "xavier-normal";
  std::string loss = "cross-entropy";
};

/// Names that ModelOptions' texts can take, in the order to show them.
const std::vector<std::string>& arch_names();
const std::vector<std::string>& init_names();
const std::vector<std::string>& loss_names();

Init init_from_name(const std::string& name);

const std::vector<std::string>& engine_names();
Engine engine_from_name(const std::string& name);

/// Builds the network for images of shape `input` and `classes` classes.
/// vgg-a (Simonyan and Zisserman 2015, configuration A, with CIFAR heads): convolutions 3×3 pad 1 with 64 P 128 P 256
/// 256 P 512 512 P 512 512 P channels, then dense 512, 512, classes; norm after each convolution, before its
/// activation. mlp: dense layers `hidden`, each with norm (where norm is not "none") and activation. Error if the image
/// is too small for the pooling.
template <class S>
std::unique_ptr<Network<S>> make_network(const ModelOptions& options, FeatureShape input, Index classes,
                                         Engine engine = Engine::direct);

}  // namespace gradscape
