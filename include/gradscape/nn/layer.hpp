// The interface of a layer: a function of (theta, buffers, x) that keeps only scratch between forward and backward.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "gradscape/core/point.hpp"
#include "gradscape/nn/deferred_norm.hpp"
#include "gradscape/nn/layout.hpp"

namespace gradscape {

/// Stands for the images among the inputs of a node, or of a layer.
inline constexpr int kImages = -1;

enum class Mode { train, evaluation };

/// Which pass this is: the mode, and the address of its random numbers. Dropout masks are a function of (seed, step),
/// so every probe of a training step sees that step's own masks; so is noise at draw 0, the step's own.
struct Pass {
  Mode mode = Mode::train;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t draw = 0;  // of noise, < 4096: probes may see draws of their own
  bool random = true;      // off: dropout and noise are the identity in train mode too
  std::uint64_t theta_id =
      0;                  // other than 0: the same in passes at the same theta, which may keep what they make of it
  double new_share = -1;  // weight of this batch in new running statistics; below 0: the norm's momentum

  /// Whether dropout and noise change anything.
  bool draws() const { return random && mode == Mode::train; }
  /// The weight of this batch in new running statistics, where the norm has this momentum.
  double share_of_batch(double momentum) const { return new_share < 0 ? momentum : new_share; }
};

/// A number for Pass::theta_id that no pass had before.
std::uint64_t new_theta_id();

/// How weights start. Xavier and He: Glorot and Bengio 2010, He et al. 2015, biases zero;
/// pytorch: the default of torch.nn.Linear and Conv2d, uniform in ±1/√fan_in for weights and biases.
enum class Init { xavier_normal, xavier_uniform, he_normal, he_uniform, pytorch };

/// What every call of a layer may read, and the running statistics it may write.
template <class S>
struct LayerInputs {
  const Pass& pass;
  Point<S> theta;             // whole parameter vector
  const S* buffers;           // whole buffer vector (running statistics)
  S* new_buffers;             // where updated running statistics go; null: they are not wanted
  S* workspace;               // memory that layers share; holds nothing from one call to the next
  DeferredNorm<S> norm = {};  // still to be done to x; only where the layer takes_deferred()
  bool defer = false;         // y is not wanted, deferred() is; only where the layer can_defer()
};

/// A layer of fixed sample shape and any batch size. Activations are rows [N·H·W, C].
template <class S>
class Layer {
 public:
  Layer(FeatureShape in, FeatureShape out) : in_(in), out_(out) {}
  virtual ~Layer() = default;

  FeatureShape in() const { return in_; }
  FeatureShape out() const { return out_; }

  /// True: forward is called with y on the same memory as x, backward with dx on dy.
  virtual bool in_place() const { return false; }

  /// True: forward and backward take an x to which LayerInputs::norm is still to be applied.
  virtual bool takes_deferred() const { return false; }
  /// True: forward can leave its norm to those who take its value.
  virtual bool can_defer() const { return false; }
  /// After such a forward over `samples` samples: what stands for y until the next.
  virtual Taken<S> deferred(Index samples) const;

  /// In words, for tables: "conv 3×3 64→128 @16×16".
  virtual std::string describe() const = 0;

  /// Floating-point operations of forward per sample: two per multiply-add of the plain definition, where products are
  /// what the layer is made of; 0 elsewhere. How the layer is really computed does not matter.
  virtual double flops() const { return 0; }

  /// The smallest batch that the layer can take in train mode.
  virtual Index fewest_samples() const { return 1; }

  /// Writes initial values into this layer's part of theta / of the buffers.
  virtual void initialise(S* theta, Init init, std::uint64_t seed) const;
  virtual void initialise_buffers(S* buffers) const;

  /// Called before batches of `samples` samples: allocates what the layer keeps between forward and backward, and
  /// returns how many elements of shared workspace each call needs. Cheap where nothing has changed.
  virtual Index plan(Index /*samples*/) { return 0; }

  /// Gives back what plan() allocated, where that is much; the next plan() allocates it again.
  virtual void release() {}

  /// y = f(x). x [N·H·W, C] of in(), y likewise of out().
  virtual void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) = 0;

  /// From dy = ∂L/∂y: writes this layer's part of `grad` (a whole gradient vector) and dx = ∂L/∂x. dx.data() is null
  /// where nobody needs it. dy may be overwritten. Called after forward with the same inputs and x as forward left it.
  virtual void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) = 0;

 protected:
  /// Samples in a batch whose activation is x.
  Index samples(const ConstRows<S>& x) const { return x.rows() / in_.pixels(); }

 private:
  FeatureShape in_;
  FeatureShape out_;
};

/// Fills a weight (and, unless null, a bias) of a convolution or dense layer. Random numbers are addressed by the
/// layer's ordinal among such layers, so that networks with and without batch norm share the values of the weights both
/// have, and drawn in double, so that float and double networks share them too.
template <class S>
void initialise_linear(S* weight, Index weight_size, S* bias, Index bias_size, Index fan_in, Index fan_out, Init init,
                       std::uint64_t seed, std::uint32_t ordinal);

}  // namespace gradscape
