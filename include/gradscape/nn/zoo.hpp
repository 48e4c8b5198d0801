// The networks that a configuration can name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gradscape/nn/compile.hpp"

namespace gradscape {

/// The arch of networks that model.layers describes.
inline constexpr const char* kLayersArch = "layers";

/// Section [model]. The defaults are the VGG-A of the course exercise.
struct ModelOptions {
  std::string arch = "vgg-a";
  std::string layers;                             // arch = layers: the network's text
  std::string shortcut = "auto";                  // resnet, wrn: A, B or none; auto: the architecture's own
  double width = 1.0;                             // factor on all channel counts; narrower is faster
  std::vector<std::int64_t> hidden = {128, 128};  // mlp: units of each hidden layer
  std::int64_t depth = 25;                        // deep-linear: its layers
  std::string activation = "relu";                // "linear": no non-linearity, so that no unit can flip
  std::string pool = "max";                       // vgg, lenet: "average" is linear too
  std::string norm = "none";
  bool norm_dense = false;  // vgg-a, lenet: norm on the hidden dense layers too
  bool norm_affine = true;
  bool norm_track = true;  // off: evaluation uses the batch's statistics
  double norm_eps = 1e-5;
  double norm_momentum = 0.1;
  std::int64_t norm_groups = 8;  // group: of each layer's channels
  bool noise = false;            // of the paper's algorithm 1, behind the norm and where one would be
  double noise_mean = 0.5;       // its constants: NoiseOptions
  double noise_scale = 1.25;
  double noise_mean_spread = 0.1;
  double noise_scale_spread = 0.1;
  double dropout = 0.0;  // rate behind each hidden dense layer, or in each block
  bool bias = true;      // of convolutions and dense layers
  std::string init = "xavier-normal";
  std::string loss = "cross-entropy";
  double label_smoothing = 0;  // cross-entropy
  double loss_decay = 0;       // λ: adds λ/2·‖θ‖² to the loss
};

/// Names that ModelOptions' texts can take, in the order to show them.
const std::vector<std::string>& arch_names();
const std::vector<std::string>& norm_names();
const std::vector<std::string>& init_names();
const std::vector<std::string>& loss_names();

Init init_from_name(const std::string& name);

const std::vector<std::string>& engine_names();
Engine engine_from_name(const std::string& name);

/// The network for images of shape `input` and `classes` classes, as the options have it.
/// vgg-11, -13, -16, -19 (Simonyan and Zisserman 2015, configurations A, B, D, E, with a CIFAR head): convolutions 3×3
/// pad 1, for 11: 64 P 128 P 256 256 P 512 512 P 512 512 P channels, then one dense layer to the classes. vgg-a: vgg-11
/// with dense 512, 512, classes behind. mlp: dense layers `hidden`, then the classes'. Each convolution and hidden
/// dense layer (of vgg-a: where norm_dense) is followed by norm, noise and activation. deep-linear (Santurkar et al.
/// 2018, appendix A): `depth` square dense layers without bias or activation, norm and noise behind each but the last.
/// lenet (LeCun et al. 1998, with ReLU and max-pooling): 6 and 16 channels 5×5, dense 120, 84, classes.
/// resnet-20, -32, -44, -56, -110 (He et al. 2015, for CIFAR): 16, 32, 64 channels, shortcuts A unless told otherwise.
/// resnet-18: 64 to 512 channels, two blocks each, behind a convolution 3×3 of stride 1, shortcuts B. wrn-DEPTH-WIDTH
/// (Zagoruyko and Komodakis 2016): norm and activation before the convolutions, shortcuts B without norm. densenet-22,
/// -40 (Huang et al. 2017): growth 12, neither bottlenecks nor compression. In these a convolution has a bias only
/// where norm is "none", and noise is behind each norm but a shortcut's. layers: the options' text.
/// output_shapes() checks that it fits the images and that groups divide channels. UsageError where a text is none, or
/// has another number of outputs than classes.
ModelGraph zoo_graph(const ModelOptions& options, FeatureShape input, Index classes);

/// Whether that network has batch norm.
bool has_batch_norm(const ModelOptions& options);

/// The same, ready to compute.
template <class S>
std::unique_ptr<Network<S>> make_network(const ModelOptions& options, FeatureShape input, Index classes,
                                         Engine engine = Engine::direct, Fusion fusion = Fusion::on) {
  return compile<S>(zoo_graph(options, input, classes), engine, fusion);
}

}  // namespace gradscape
