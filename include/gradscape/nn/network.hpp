#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gradscape/core/objective.hpp"
#include "gradscape/core/scratch.hpp"
#include "gradscape/data/batch.hpp"
#include "gradscape/nn/join.hpp"
#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/loss.hpp"

namespace gradscape {

/// Where the time of one evaluation goes: seconds per layer, in order. backward is 0 where there was none.
struct LayerTimes {
  std::vector<double> forward;
  std::vector<double> backward;
  double loss = 0;
};

/// Callbacks during an evaluation, with the layer's number. Either may be empty.
template <class S>
struct LayerWatch {
  /// After a layer's forward: its output.
  std::function<void(std::size_t layer, ConstRows<S> y)> forward;
  /// After the backward of a layer with one input: its arguments. Of layers that work in place dx is dy; without a
  /// gradient of the input dx.data() is null. Of a value that several layers take, dx is this layer's part of its
  /// gradient.
  std::function<void(std::size_t layer, ConstRows<S> x, ConstRows<S> dy, ConstRows<S> dx)> backward;
};

/// Optional results of an evaluation, beside loss and accuracy; null: not computed.
template <class S>
struct Wanted {
  Vector<S>* grad = nullptr;             // becomes ∇L(theta)
  Vector<S>* new_buffers = nullptr;      // becomes the buffers after this pass: running statistics, in train mode
  LayerTimes* times = nullptr;           // becomes how long each layer took
  const LayerWatch<S>* watch = nullptr;  // sees the layers
};

/// A convolution or dense layer with the norm that follows it: what papers call a layer.
struct LayerBlock {
  std::string name;  // "features.0": its weight is the parameter NAME.weight
  Index begin = 0;   // its elements of theta: weight, bias, then the norm's
  Index end = 0;
  std::size_t output = 0;  // the layer whose output goes to the non-linearity, after norm and noise; with Fusion::on
                           // that of the fused layer
  std::optional<std::size_t> norm;  // the norm's own layer, where it has one
};

/// What a network consists of; compile() makes it from a graph.
template <class S>
struct NetworkParts {
  FeatureShape input;
  Loss loss = Loss::cross_entropy;
  double label_smoothing = 0;  // of cross-entropy, as in evaluate_loss()
  double loss_decay = 0;       // as in add_decay()
  Layout parameters;           // what the layers' constructors have added
  Layout buffers;
  std::vector<std::unique_ptr<Layer<S>>> layers;  // in the order of evaluation; several inputs: Join
  std::vector<std::vector<int>> inputs;           // of each layer: the layers whose values it takes, or kImages
  std::vector<bool> trainable;                    // whether a layer has parameters
  std::vector<LayerBlock> blocks;
};

/// Layers and a loss, in a graph without circles: a pure function (theta, buffers, batch, pass) → loss, gradient, new
/// buffers. The object itself holds layer shapes and scratch memory only; one object serves one caller at a time.
template <class S>
class Network {
 public:
  explicit Network(NetworkParts<S> parts);

  const Layout& parameters() const { return parts_.parameters; }
  const Layout& buffers() const { return parts_.buffers; }
  FeatureShape input() const { return parts_.input; }
  FeatureShape output() const { return parts_.layers.back()->out(); }
  Loss loss() const { return parts_.loss; }
  const std::vector<std::unique_ptr<Layer<S>>>& layers() const { return parts_.layers; }
  const std::vector<LayerBlock>& blocks() const { return parts_.blocks; }

  /// The tensor of a block that has this role; null where there is none.
  const Part* find(const LayerBlock& block, Role role) const;

  /// Floating-point operations of a forward pass per sample, as Layer::flops() counts them.
  double flops() const;

  /// The smallest batch that every layer can take in train mode.
  Index fewest_samples() const;

  Vector<S> initial_parameters(Init init, std::uint64_t seed) const;
  Vector<S> initial_buffers() const;

  /// Loss and accuracy of a batch at theta, and what `wanted` asks for. Nothing else changes. The accuracy of
  /// regression is NaN.
  Evaluation evaluate(const Point<S>& theta, const Vector<S>& buffers, const Batch<S>& batch, const Pass& pass,
                      const Wanted<S>& wanted = {});

  /// Logits [N, K] of the last evaluate(); valid until the next, or until release().
  ConstRows<S> logits() const;

  /// Gives back the scratch memory; the next evaluate() allocates it again.
  void release();

 private:
  /// What becomes of a layer's gradient of one of its inputs. `delta`: the buffer of that value's gradient.
  /// none: nobody wants it. write: it is the first. add: onto those of other layers that take the value; by way of
  /// another buffer, `by_way_of`, of layers that only write. inherit: it is the layer's own dy, in whose buffer it
  /// stays.
  struct BackwardStep {
    enum class Kind { none, write, add, inherit } kind = Kind::none;
    std::size_t delta = 0;
    std::size_t by_way_of = 0;
  };

  void plan_values();
  void plan_gradients();
  S* plan(Index samples);
  Rows<S> value(int layer, Index samples);
  Taken<S> taken(int layer, Index samples);
  Rows<S> delta(std::size_t buffer, int layer, Index samples);
  void forward(std::size_t layer, LayerInputs<S> inputs, Index samples);
  void backward(const LayerInputs<S>& inputs, Index samples, const Wanted<S>& wanted);
  void join_backward(Join<S>& join, std::size_t layer, Index samples, Rows<S> dy);

  NetworkParts<S> parts_;
  std::vector<bool> deferrable_;    // per layer: all who take its value can apply its norm themselves
  bool defers_ = false;             // whether the last forward pass has left it to them
  std::vector<bool> shared_;        // per layer that works in place: others take its input too, so it is copied
  std::vector<std::size_t> slot_;   // per layer: which activation buffer holds its output
  std::vector<Index> slot_size_;    // elements per sample
  std::vector<Scratch<S>> slots_;   // slot 0: the images
  std::vector<std::size_t> dy_;     // per layer: which of deltas_ holds ∂L/∂y
  std::vector<bool> has_backward_;  // per layer: its value depends on parameters
  std::vector<std::vector<BackwardStep>> steps_;  // per layer and input
  std::vector<Index> delta_size_;                 // elements per sample
  std::vector<Scratch<S>> deltas_;                // as few as are needed at a time
  Scratch<S> workspace_;                          // shared by the layers
  Index planned_ = 0;                             // samples
  Index planned_slots_ = 0;                       // of layers' memory for each thread
  Index last_samples_ = 0;
};

}  // namespace gradscape
