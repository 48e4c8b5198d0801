// Where values meet: layers of several inputs.
#pragma once

#include <span>
#include <vector>

#include "gradscape/nn/layer.hpp"

namespace gradscape {

/// A layer of several inputs and no parameters. Values are rows [N·H·W, C] of their shapes.
template <class S>
class Join : public Layer<S> {
 public:
  Join(std::vector<FeatureShape> inputs, FeatureShape out) : Layer<S>(inputs.front(), out), inputs_(inputs) {}

  const std::vector<FeatureShape>& inputs() const { return inputs_; }

  /// Whether y may lie on the memory of the first input.
  virtual bool on_first_input() const { return false; }
  /// Whether, after begin_backward(), the gradient of each input is dy itself.
  virtual bool passes_gradient() const { return false; }

  virtual void forward(std::span<const Taken<S>> xs, Rows<S> y) = 0;
  /// Once before backward(): may change dy. y as forward() left it.
  virtual void begin_backward(ConstRows<S> /*y*/, Rows<S> /*dy*/) {}
  /// ∂L/∂x of input number `i` to dx or, if `add`, onto what is there.
  virtual void backward(std::span<const ConstRows<S>> xs, ConstRows<S> dy, std::size_t i, Rows<S> dx, bool add) = 0;

  void forward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> y) final {
    const Taken<S> taken{x};
    forward(std::span(&taken, 1), y);
  }
  void backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S*) final {
    backward(std::span(&x, 1), as_const(dy), 0, dx, false);
  }

 private:
  std::vector<FeatureShape> inputs_;
};

/// y = Σ x_i, in order; then, if asked for, max(y, 0) with the derivative 0 at 0.
template <class S>
class Add : public Join<S> {
 public:
  Add(std::vector<FeatureShape> inputs, bool relu) : Join<S>(inputs, inputs.front()), relu_(relu) {}

  std::string describe() const override { return relu_ ? "add, relu" : "add"; }
  bool on_first_input() const override { return true; }
  bool takes_deferred() const override { return true; }
  bool passes_gradient() const override { return true; }
  using Join<S>::forward;
  using Join<S>::backward;
  void forward(std::span<const Taken<S>> xs, Rows<S> y) override;
  void begin_backward(ConstRows<S> y, Rows<S> dy) override;
  void backward(std::span<const ConstRows<S>> xs, ConstRows<S> dy, std::size_t i, Rows<S> dx, bool add) override;

 private:
  void add_deferred(std::span<const Taken<S>> xs, Rows<S> y) const;

  bool relu_;
};

/// y = x_0·x_1; a value [N, C] is the same for all pixels of an image.
template <class S>
class Multiply : public Join<S> {
 public:
  Multiply(std::vector<FeatureShape> inputs, FeatureShape out) : Join<S>(inputs, out) {}

  std::string describe() const override { return "multiply"; }
  using Join<S>::forward;
  using Join<S>::backward;
  void forward(std::span<const Taken<S>> xs, Rows<S> y) override;
  void backward(std::span<const ConstRows<S>> xs, ConstRows<S> dy, std::size_t i, Rows<S> dx, bool add) override;
};

/// The channels of all inputs, one after the other.
template <class S>
class Concat : public Join<S> {
 public:
  Concat(std::vector<FeatureShape> inputs, FeatureShape out) : Join<S>(inputs, out) {}

  std::string describe() const override { return "concatenate"; }
  using Join<S>::forward;
  using Join<S>::backward;
  void forward(std::span<const Taken<S>> xs, Rows<S> y) override;
  void backward(std::span<const ConstRows<S>> xs, ConstRows<S> dy, std::size_t i, Rows<S> dx, bool add) override;
};

/// to += from, in parallel.
template <class S>
void add_rows(ConstRows<S> from, Rows<S> to);

}  // namespace gradscape
