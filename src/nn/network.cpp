#include "gradscape/nn/network.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// Calls work(); unless null, *seconds becomes the time it took.
template <class Work>
void timed(double* seconds, Work&& work) {
  if (seconds == nullptr) return work();
  const auto start = std::chrono::steady_clock::now();
  work();
  *seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

template <class S>
Network<S>::Network(NetworkParts<S> parts) : parts_(std::move(parts)), slot_size_({parts_.input.size()}) {
  check(!parts_.layers.empty(), "a network has a layer");
  FeatureShape shape = parts_.input;
  for (const auto& layer : parts_.layers) {
    check(layer->in() == shape, "a layer takes what the one before it makes");
    if (!layer->in_place()) slot_size_.push_back(layer->out().size());
    slot_.push_back(slot_size_.size() - 1);
    shape = layer->out();
  }
}

template <class S>
const Part* Network<S>::find(const LayerBlock& block, Role role) const {
  for (const Part& part : parts_.parameters.parts())
    if (part.role == role && part.offset >= block.begin && part.offset < block.end) return &part;
  return nullptr;
}

template <class S>
Index Network<S>::fewest_samples() const {
  Index fewest = 1;
  for (const auto& layer : parts_.layers) fewest = std::max(fewest, layer->fewest_samples());
  return fewest;
}

template <class S>
double Network<S>::flops() const {
  double sum = 0;
  for (const auto& layer : parts_.layers) sum += layer->flops();
  return sum;
}

template <class S>
Vector<S> Network<S>::initial_parameters(Init init, std::uint64_t seed) const {
  Vector<S> theta(parts_.parameters.size());
  for (const auto& layer : parts_.layers) layer->initialise(theta.data(), init, seed);
  return theta;
}

template <class S>
Vector<S> Network<S>::initial_buffers() const {
  Vector<S> buffers(parts_.buffers.size());
  for (const auto& layer : parts_.layers) layer->initialise_buffers(buffers.data());
  return buffers;
}

/// Makes room for `samples` samples; returns the layers' workspace.
template <class S>
S* Network<S>::plan(Index samples) {
  if (samples != planned_) {
    slots_.resize(slot_size_.size());
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) slots_[slot].at_least(slot_size_[slot] * samples);
    const Index largest = *std::max_element(slot_size_.begin(), slot_size_.end());
    deltas_.resize(2);
    for (auto& delta : deltas_) delta.at_least(largest * samples);
    Index workspace = 0;
    for (const auto& layer : parts_.layers) workspace = std::max(workspace, layer->plan(samples));
    workspace_.at_least(workspace);
    planned_ = samples;
  }
  return workspace_.data();
}

template <class S>
void Network<S>::release() {
  for (auto& slot : slots_) slot.release();
  for (auto& delta : deltas_) delta.release();
  workspace_.release();
  for (const auto& layer : parts_.layers) layer->release();
  planned_ = 0;
}

template <class S>
Rows<S> Network<S>::activation(std::size_t layer, Index samples) {
  const FeatureShape shape = parts_.layers[layer]->out();
  return {slots_[slot_[layer]].data(), samples * shape.pixels(), shape.channels};
}

template <class S>
Evaluation Network<S>::evaluate(const Point<S>& theta, const Vector<S>& buffers, const Batch<S>& batch,
                                const Pass& pass, const Wanted<S>& wanted) {
  // images [N·H·W, C], logits [N, K]; theta, grad [P]; buffers, new_buffers [B]
  Vector<S>* const grad = wanted.grad;
  Vector<S>* const new_buffers = wanted.new_buffers;
  LayerTimes* const times = wanted.times;
  const Index samples = batch.size();
  check(samples > 0 && batch.images.rows() == samples * parts_.input.pixels() &&
            batch.images.cols() == parts_.input.channels,
        "a batch has the network's input shape");
  check(theta.size() == parts_.parameters.size() && buffers.size() == parts_.buffers.size(),
        "theta and buffers fit the network");
  S* workspace = plan(samples);
  if (new_buffers != nullptr) *new_buffers = buffers;
  if (times != nullptr)
    *times = {std::vector<double>(parts_.layers.size()), std::vector<double>(parts_.layers.size()), 0};
  const LayerInputs<S> inputs{pass, theta, buffers.data(), new_buffers == nullptr ? nullptr : new_buffers->data(),
                              workspace};

  std::copy_n(batch.images.data(), batch.images.size(), slots_[0].data());
  Rows<S> x{slots_[0].data(), batch.images.rows(), batch.images.cols()};
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) {
    const Rows<S> y = activation(i, samples);
    timed(times == nullptr ? nullptr : &times->forward[i], [&] { parts_.layers[i]->forward(inputs, as_const(x), y); });
    if (wanted.watch != nullptr && wanted.watch->forward) wanted.watch->forward(i, as_const(y));
    new (&x) Rows<S>(y);  // a Map is re-seated by placement new
  }
  last_samples_ = samples;

  const Rows<S> dlogits{grad == nullptr ? nullptr : deltas_[0].data(), x.rows(), x.cols()};
  LossValue value;
  timed(times == nullptr ? nullptr : &times->loss, [&] {
    value = evaluate_loss<S>(parts_.loss, as_const(x), batch.labels, batch.targets, dlogits, parts_.label_smoothing);
  });
  if (grad != nullptr) {
    grad->resize(parts_.parameters.size());
    backward(inputs, samples, dlogits, wanted);
  }
  if (batch.targets.size() > 0) return {value.loss, std::numeric_limits<double>::quiet_NaN()};
  return {value.loss, static_cast<double>(value.correct) / static_cast<double>(samples)};
}

template <class S>
void Network<S>::backward(const LayerInputs<S>& inputs, Index samples, Rows<S> dlogits, const Wanted<S>& wanted) {
  // dlogits [N, K]; per layer x, dx [N·H·W, C] of its in(), dy of its out(); grad [P]
  LayerTimes* const times = wanted.times;
  const LayerWatch<S>* const watch = wanted.watch;
  std::size_t current = 0;  // which of deltas_ holds ∂L/∂y
  Rows<S> dy = dlogits;
  for (std::size_t i = parts_.layers.size(); i-- > parts_.first_trainable;) {
    Layer<S>& layer = *parts_.layers[i];
    const FeatureShape in = layer.in();
    const Index rows = samples * in.pixels();
    const S* x = i == 0 ? slots_[0].data() : slots_[slot_[i - 1]].data();
    if (!layer.in_place()) current = 1 - current;
    S* dx = i == parts_.first_trainable ? nullptr : deltas_[current].data();
    timed(times == nullptr ? nullptr : &times->backward[i], [&] {
      layer.backward(inputs, {x, rows, in.channels}, dy, {dx, rows, in.channels}, wanted.grad->data());
    });
    if (watch != nullptr && watch->backward)
      watch->backward(i, {x, rows, in.channels}, as_const(dy), {dx, rows, in.channels});
    new (&dy) Rows<S>(dx, rows, in.channels);
  }
}

template <class S>
ConstRows<S> Network<S>::logits() const {
  const FeatureShape shape = output();
  return {slots_[slot_.back()].data(), last_samples_ * shape.pixels(), shape.channels};
}

template class Network<float>;
template class Network<double>;

}  // namespace gradscape
