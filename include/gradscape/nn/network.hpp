#pragma once

#include <memory>
#include <vector>

#include "gradscape/core/objective.hpp"
#include "gradscape/core/scratch.hpp"
#include "gradscape/data/batch.hpp"
#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/loss.hpp"

namespace gradscape {

/// Where the time of one evaluation goes: seconds per layer, in order. backward is 0 where there was none.
struct LayerTimes {
  std::vector<double> forward;
  std::vector<double> backward;
  double loss = 0;
};

/// A chain of layers and a loss: a pure function (theta, buffers, batch, pass) → loss, gradient, new buffers.
/// The object itself holds layer shapes and scratch memory only; one object serves one caller at a time.
template <class S>
class Network {
 public:
  Network(FeatureShape input, Loss loss) : input_(input), loss_(loss) {}

  /// Appends a layer of type L, constructed from `arguments`; its input shape must be output().
  template <class L, class... Arguments>
  void add(Arguments&&... arguments) {
    append(std::make_unique<L>(std::forward<Arguments>(arguments)...));
  }

  /// What the layers' constructors add their tensors to.
  Layout& parameters() { return parameters_; }
  Layout& buffers() { return buffers_; }
  const Layout& parameters() const { return parameters_; }
  const Layout& buffers() const { return buffers_; }

  FeatureShape input() const { return input_; }
  FeatureShape output() const { return layers_.empty() ? input_ : layers_.back()->out(); }
  Loss loss() const { return loss_; }

  const std::vector<std::unique_ptr<Layer<S>>>& layers() const { return layers_; }

  /// Floating-point operations of a forward pass per sample, as Layer::flops() counts them.
  double flops() const;

  /// The smallest batch that every layer can take in train mode.
  Index fewest_samples() const;

  Vector<S> initial_parameters(Init init, std::uint64_t seed) const;
  Vector<S> initial_buffers() const;

  /// Loss and accuracy of a batch at theta. Unless null, `grad` becomes ∇L(theta) and `new_buffers` the buffers after
  /// this pass (batch norm's running statistics in train mode), and `times` says how long each layer took. Nothing else
  /// changes.
  Evaluation evaluate(const Point<S>& theta, const Vector<S>& buffers, const Batch<S>& batch, const Pass& pass,
                      Vector<S>* grad, Vector<S>* new_buffers, LayerTimes* times = nullptr);

  /// Logits [N, K] of the last evaluate(); valid until the next.
  ConstRows<S> logits() const;

 private:
  void append(std::unique_ptr<Layer<S>> layer);
  S* plan(Index samples);
  Rows<S> activation(std::size_t layer, Index samples);
  void backward(const LayerInputs<S>& inputs, Index samples, Rows<S> dlogits, Vector<S>& grad, LayerTimes* times);

  FeatureShape input_;
  Loss loss_;
  Layout parameters_;
  Layout buffers_;
  std::vector<std::unique_ptr<Layer<S>>> layers_;
  std::size_t first_trainable_ = 0;  // no gradient is wanted before this layer's output
  std::vector<std::size_t> slot_;    // per layer: which activation buffer holds its output
  std::vector<Index> slot_size_;     // elements per sample
  std::vector<Scratch<S>> slots_;    // slot 0: the images
  std::vector<Scratch<S>> deltas_;   // two, used in turn by backward
  Scratch<S> workspace_;             // shared by the layers
  Index planned_ = 0;                // samples
  Index last_samples_ = 0;
};

}  // namespace gradscape
