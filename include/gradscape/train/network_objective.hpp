#pragma once

#include "gradscape/core/objective.hpp"
#include "gradscape/nn/network.hpp"

namespace gradscape {

/// A network on one batch as a function of theta alone. Holds references: they must outlive it.
template <class S>
class NetworkObjective : public Objective<S> {
 public:
  NetworkObjective(Network<S>& network, const Vector<S>& buffers, const Batch<S>& batch, const Pass& pass)
      : network_(network), buffers_(buffers), batch_(batch), pass_(pass) {}

  Index size() const override { return network_.parameters().size(); }

  void choose_draw(std::uint32_t draw) override { pass_.draw = draw; }

  Evaluation evaluate(const Point<S>& theta, Vector<S>* grad) override {
    return network_.evaluate(theta, buffers_, batch_, pass_, {.grad = grad});
  }

 private:
  Network<S>& network_;
  const Vector<S>& buffers_;
  const Batch<S>& batch_;
  Pass pass_;
};

}  // namespace gradscape
