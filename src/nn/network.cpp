#include "gradscape/nn/network.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"

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
Network<S>::Network(NetworkParts<S> parts) : parts_(std::move(parts)) {
  check(!parts_.layers.empty(), "a network has a layer");
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) {
    const auto& from = parts_.inputs[i];
    const auto* join = dynamic_cast<const Join<S>*>(parts_.layers[i].get());
    check(from.size() == (join == nullptr ? 1 : join->inputs().size()), "a layer has its inputs");
    for (std::size_t k = 0; k < from.size(); ++k) {
      check(from[k] >= kImages && from[k] < static_cast<int>(i), "values are made before they are taken");
      const FeatureShape shape =
          from[k] == kImages ? parts_.input : parts_.layers[static_cast<std::size_t>(from[k])]->out();
      check(shape == (join == nullptr ? parts_.layers[i]->in() : join->inputs()[k]), "a value has the shape taken");
    }
  }
  plan_values();
  plan_gradients();
}

/// Gives every value a buffer: of its own, or its input's where the layer works in place and nobody else takes that.
template <class S>
void Network<S>::plan_values() {
  std::vector<int> takers(parts_.layers.size() + 1);  // the images' first
  for (const auto& from : parts_.inputs)
    for (const int input : from) ++takers[static_cast<std::size_t>(input + 1)];
  for (const auto& layer : parts_.layers) deferrable_.push_back(layer->can_defer());
  deferrable_.back() = false;
  for (std::size_t i = 0; i < parts_.layers.size(); ++i)
    for (const int input : parts_.inputs[i])
      if (input != kImages && !parts_.layers[i]->takes_deferred()) deferrable_[static_cast<std::size_t>(input)] = false;
  slot_size_ = {parts_.input.size()};
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) {
    const Layer<S>& layer = *parts_.layers[i];
    const auto* join = dynamic_cast<const Join<S>*>(&layer);
    const int input = parts_.inputs[i].front();
    const bool alone = takers[static_cast<std::size_t>(input + 1)] == 1;
    shared_.push_back(layer.in_place() && !alone);
    if ((layer.in_place() || (join != nullptr && join->on_first_input())) && alone) {
      slot_.push_back(input == kImages ? 0 : slot_[static_cast<std::size_t>(input)]);
    } else {
      slot_.push_back(slot_size_.size());
      slot_size_.push_back(layer.out().size());
    }
  }
}

/// Goes through backward once: which buffer each gradient lies in. A value's gradient is the sum over the layers that
/// take it, from the last to the first.
template <class S>
void Network<S>::plan_gradients() {
  using Kind = typename BackwardStep::Kind;
  const std::size_t count = parts_.layers.size();
  has_backward_.assign(count, false);
  for (std::size_t i = 0; i < count; ++i) {
    bool depends = parts_.trainable[i];
    for (const int input : parts_.inputs[i])
      depends = depends || (input != kImages && has_backward_[static_cast<std::size_t>(input)]);
    has_backward_[i] = depends;
  }
  constexpr auto kNone = std::numeric_limits<std::size_t>::max();
  std::vector<bool> taken;
  const auto take = [&](Index size) {
    const auto free = std::find(taken.begin(), taken.end(), false);
    const auto buffer = static_cast<std::size_t>(free - taken.begin());
    if (free == taken.end()) {
      taken.push_back(true);
      delta_size_.push_back(0);
    }
    taken[buffer] = true;
    delta_size_[buffer] = std::max(delta_size_[buffer], size);
    return buffer;
  };
  dy_.assign(count, kNone);
  steps_.resize(count);
  dy_.back() = take(parts_.layers.back()->out().size());
  for (std::size_t i = count; i-- > 0;) {
    if (!has_backward_[i]) continue;
    const Layer<S>& layer = *parts_.layers[i];
    const auto* join = dynamic_cast<const Join<S>*>(&layer);
    const auto& from = parts_.inputs[i];
    const bool stays = layer.in_place() || (join != nullptr && join->passes_gradient());
    bool inherited = false;
    steps_[i].resize(from.size());
    std::size_t last = from.size();  // the last input whose gradient is wanted
    for (std::size_t k = 0; k < from.size(); ++k)
      if (from[k] != kImages && has_backward_[static_cast<std::size_t>(from[k])]) last = k;
    for (std::size_t k = 0; k < from.size(); ++k) {
      if (from[k] == kImages || !has_backward_[static_cast<std::size_t>(from[k])]) continue;
      std::size_t& of_input = dy_[static_cast<std::size_t>(from[k])];
      const Index size = parts_.layers[static_cast<std::size_t>(from[k])]->out().size();
      BackwardStep& step = steps_[i][k];
      if (of_input == kNone && stays && k == last) {
        step.kind = Kind::inherit;
        of_input = dy_[i];
        inherited = true;
      } else if (of_input == kNone) {
        step.kind = Kind::write;
        of_input = take(size);
      } else {
        step.kind = Kind::add;
        if (join == nullptr && !layer.in_place()) {
          step.by_way_of = take(size);
          taken[step.by_way_of] = false;
        }
      }
      step.delta = of_input;
    }
    if (!inherited) taken[dy_[i]] = false;
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
  if (samples != planned_ || parallel::slots() != planned_slots_) {
    slots_.resize(slot_size_.size());
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) slots_[slot].at_least(slot_size_[slot] * samples);
    deltas_.resize(delta_size_.size());
    for (std::size_t buffer = 0; buffer < deltas_.size(); ++buffer)
      deltas_[buffer].at_least(delta_size_[buffer] * samples);
    Index workspace = 0;
    for (const auto& layer : parts_.layers) workspace = std::max(workspace, layer->plan(samples));
    workspace_.at_least(workspace);
    planned_ = samples;
    planned_slots_ = parallel::slots();
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

/// What a layer makes, or the images.
template <class S>
Rows<S> Network<S>::value(int layer, Index samples) {
  if (layer == kImages) return {slots_[0].data(), samples * parts_.input.pixels(), parts_.input.channels};
  const auto i = static_cast<std::size_t>(layer);
  const FeatureShape shape = parts_.layers[i]->out();
  return {slots_[slot_[i]].data(), samples * shape.pixels(), shape.channels};
}

/// The same as other layers take it.
template <class S>
Taken<S> Network<S>::taken(int layer, Index samples) {
  if (layer != kImages && defers_ && deferrable_[static_cast<std::size_t>(layer)])
    return parts_.layers[static_cast<std::size_t>(layer)]->deferred(samples);
  return {as_const(value(layer, samples))};
}

/// A gradient of what a layer makes.
template <class S>
Rows<S> Network<S>::delta(std::size_t buffer, int layer, Index samples) {
  const FeatureShape shape = parts_.layers[static_cast<std::size_t>(layer)]->out();
  return {deltas_[buffer].data(), samples * shape.pixels(), shape.channels};
}

template <class S>
void Network<S>::forward(std::size_t layer, LayerInputs<S> inputs, Index samples) {
  const auto& from = parts_.inputs[layer];
  Rows<S> y = value(static_cast<int>(layer), samples);
  if (auto* join = dynamic_cast<Join<S>*>(parts_.layers[layer].get())) {
    std::vector<Taken<S>> xs;
    for (const int input : from) xs.push_back(taken(input, samples));
    join->forward(xs, y);
    return;
  }
  const Taken<S> x = taken(from.front(), samples);
  if (shared_[layer]) std::copy_n(x.rows.data(), x.rows.size(), y.data());
  const ConstRows<S> seen{shared_[layer] ? y.data() : x.rows.data(), x.rows.rows(), x.rows.cols()};
  inputs.norm = x.norm;
  inputs.defer = defers_ && deferrable_[layer];
  parts_.layers[layer]->forward(inputs, seen, y);
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

  defers_ = wanted.watch == nullptr;  // who looks at layers looks at whole values
  std::copy_n(batch.images.data(), batch.images.size(), slots_[0].data());
  for (std::size_t i = 0; i < parts_.layers.size(); ++i) {
    timed(times == nullptr ? nullptr : &times->forward[i], [&] { forward(i, inputs, samples); });
    if (wanted.watch != nullptr && wanted.watch->forward)
      wanted.watch->forward(i, as_const(value(static_cast<int>(i), samples)));
  }
  last_samples_ = samples;

  Rows<S> x = value(static_cast<int>(parts_.layers.size()) - 1, samples);
  const Rows<S> dlogits{grad == nullptr ? nullptr : deltas_[dy_.back()].data(), x.rows(), x.cols()};
  LossValue value;
  timed(times == nullptr ? nullptr : &times->loss, [&] {
    value = evaluate_loss<S>(parts_.loss, as_const(x), batch.labels, batch.targets, dlogits, parts_.label_smoothing);
  });
  if (grad != nullptr) {
    grad->resize(parts_.parameters.size());
    backward(inputs, samples, wanted);
  }
  if (parts_.loss_decay > 0) value.loss += add_decay(parts_.loss_decay, theta, grad);
  if (batch.targets.size() > 0) return {value.loss, std::numeric_limits<double>::quiet_NaN()};
  return {value.loss, static_cast<double>(value.correct) / static_cast<double>(samples)};
}

template <class S>
void Network<S>::join_backward(Join<S>& join, std::size_t layer, Index samples, Rows<S> dy) {
  using Kind = typename BackwardStep::Kind;
  const auto& from = parts_.inputs[layer];
  std::vector<ConstRows<S>> xs;
  for (const int input : from) xs.push_back(as_const(value(input, samples)));
  join.begin_backward(as_const(value(static_cast<int>(layer), samples)), dy);
  for (std::size_t k = 0; k < from.size(); ++k) {
    const BackwardStep& step = steps_[layer][k];
    if (step.kind == Kind::none || step.kind == Kind::inherit) continue;
    join.backward(xs, as_const(dy), k, delta(step.delta, from[k], samples), step.kind == Kind::add);
  }
}

template <class S>
void Network<S>::backward(const LayerInputs<S>& inputs, Index samples, const Wanted<S>& wanted) {
  // per layer x, dx [N·H·W, C] of its in(), dy of its out(); grad [P]
  using Kind = typename BackwardStep::Kind;
  LayerTimes* const times = wanted.times;
  const LayerWatch<S>* const watch = wanted.watch;
  for (std::size_t i = parts_.layers.size(); i-- > 0;) {
    if (!has_backward_[i]) continue;
    Layer<S>& layer = *parts_.layers[i];
    Rows<S> dy = delta(dy_[i], static_cast<int>(i), samples);
    double* const seconds = times == nullptr ? nullptr : &times->backward[i];
    if (auto* join = dynamic_cast<Join<S>*>(&layer)) {
      timed(seconds, [&] { join_backward(*join, i, samples, dy); });
      continue;
    }
    const int input = parts_.inputs[i].front();
    const BackwardStep& step = steps_[i].front();
    const Taken<S> of_input =
        shared_[i] ? Taken<S>{as_const(value(static_cast<int>(i), samples))} : taken(input, samples);
    const ConstRows<S> x{of_input.rows.data(), samples * layer.in().pixels(), layer.in().channels};
    LayerInputs<S> mine = inputs;
    mine.norm = of_input.norm;
    S* target = nullptr;
    if (step.kind == Kind::inherit || (step.kind != Kind::none && layer.in_place()))
      target = dy.data();
    else if (step.kind == Kind::write)
      target = deltas_[step.delta].data();
    else if (step.kind == Kind::add)
      target = deltas_[step.by_way_of].data();
    Rows<S> dx{target, x.rows(), x.cols()};
    timed(seconds, [&] {
      layer.backward(mine, x, dy, dx, wanted.grad->data());
      if (step.kind == Kind::add) add_rows(as_const(dx), delta(step.delta, input, samples));
      if (step.kind == Kind::write && layer.in_place()) {
        Rows<S> first = delta(step.delta, input, samples);
        std::copy_n(dx.data(), dx.size(), first.data());
      }
    });
    if (watch != nullptr && watch->backward) watch->backward(i, x, as_const(dy), as_const(dx));
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
