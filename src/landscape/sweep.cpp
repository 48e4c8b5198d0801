#include "gradscape/landscape/sweep.hpp"

#include <algorithm>
#include <type_traits>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/landscape/noise_floor.hpp"

namespace gradscape {
const std::vector<std::string>& direction_names() {
  static const std::vector<std::string> list = {"gradient", "update", "random"};
  return list;
}

int cells_at_once(double flops, std::size_t cells, int threads) {
  // Operations of a layer for one thread of a team. Measured with two threads: below it the pool takes 9 to 21 % less
  // time, above it nothing or more (every prober has caches of its own to fill).
  constexpr double kSmall = 3e7;
  if (flops / threads > kSmall) return 1;
  return static_cast<int>(std::min(cells, static_cast<std::size_t>(threads)));
}

template <class S>
StepProber<S>::StepProber(const SweepOptions& options, TrainingProcess<S>& process, std::int64_t segment)
    : options_(options), process_(process), segment_(segment) {
  const ImageSet& images = process.dataset().train;
  if (options.precision == "double" && !std::is_same_v<S, double>)
    double_network_ = make_network<double>(process.model(), images.shape, images.classes, Engine::direct);
  if (options.layers)
    for (const LayerBlock& block : process.network().blocks()) {
      probe_options_.layers.push_back({block.begin, block.end});
      layers_.push_back(block.name);
    }
  probe_options_.fresh_draws = options.noise == "fresh";
  if (options.on != "batch") set_ = std::make_unique<SetProbe<S>>(options, process);
  exact_ = double_network_ || (std::is_same_v<S, double> && process.engine() == Engine::direct);
}

template <class S>
std::int64_t StepProber<S>::missing_floor(std::int64_t step) const {
  if (exact_) return -1;
  const std::int64_t at = floor_step(segment_, step);
  return at == step || at == floor_step_ ? -1 : at;
}

template <class S>
void StepProber<S>::measure_floor(const StepView<S>& step) {
  pool_ = {};  // the network in double needs a lot for a while
  floor_ = compare_with_double(process_, step).gradient;
  floor_step_ = step.record.step;
}

/// Fills the cells of `record` in precision P: cells along g or along the optimiser's update.
template <class S>
template <class P>
void StepProber<S>::probe_in(Network<P>& network, Engine engine, const Pass& pass, const Batch<P>& batch,
                             const Vector<P>& theta, const Vector<P>& buffers, const Vector<P>& grad,
                             const Vector<P>& theta_next, ProberPool<P>& pool, SweepRecord& record) {
  const double flops = 3 * network.flops() * static_cast<double>(batch.size()) /
                       static_cast<double>(std::max<std::size_t>(network.layers().size(), 1));
  const auto count = static_cast<std::size_t>(cells_at_once(flops, options_.points().size(), parallel::threads()));
  const ImageSet& images = process_.dataset().train;
  while (pool.networks.size() + 1 < count)
    pool.networks.push_back(make_network<P>(process_.model(), images.shape, images.classes, engine));
  pool.objectives.clear();
  pool.objectives.reserve(count);  // pointers to them are taken
  pool.probers.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    pool.objectives.emplace_back(i == 0 ? network : *pool.networks[i - 1], buffers, batch, pass);
    pool.probers[i].objective = &pool.objectives[i];
  }
  const std::span<Prober<P>> probers(pool.probers);
  const auto along = [&](const Vector<P>& vector, double unit) {
    record.cells = probe<P>(probers, theta, grad, {vector, unit}, options_.points(), probe_options_);
    if (set_) record.set = set_->template probe<P>(network, theta, buffers, grad, {vector, unit}, pass);
  };
  const double unit = options_.step_sizes.empty() ? -record.lr : -1.0;
  if (options_.direction == "update") {
    add_scaled(theta_next, -1.0, theta, pool.ray);
    along(pool.ray, 1.0);
  } else if (options_.direction == "random") {
    draw_direction(pass.seed, record.step, grad, pool.ray);
    along(pool.ray, unit);
  } else {
    along(grad, unit);
  }
}

template <class S>
void draw_direction(std::uint64_t seed, std::int64_t step, const Vector<S>& grad, Vector<S>& direction) {
  const RandomSource source(seed, Purpose::direction, 0, static_cast<std::uint32_t>(step));
  direction.resize(grad.size());
  parallel::for_chunks(grad.size(), parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) direction[i] = static_cast<S>(source.normal(static_cast<std::uint64_t>(i)));
  });
  const auto scale = static_cast<S>(norm(grad) / norm(direction));
  parallel::for_chunks(grad.size(), parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
    for (Index i = first; i < last; ++i) direction[i] *= scale;
  });
}

template <class S>
void StepProber<S>::adopt_floor(std::int64_t step, double noise_floor) {
  if (exact_) return;
  floor_ = noise_floor;
  floor_step_ = floor_step(segment_, step);
}

template <class S>
SweepRecord StepProber<S>::probe_step(const StepView<S>& step) {
  SweepRecord record;
  record.step = step.record.step;
  check(missing_floor(record.step) < 0, "the segment's noise floor is known");
  if (!exact_ && floor_step(segment_, record.step) == record.step) measure_floor(step);
  record.noise_floor = floor_;
  record.lr = step.record.lr;
  record.train_loss = step.record.loss;
  record.train_grad_norm = step.record.grad_norm;
  record.batch_index = step.batch.indices;
  const std::int64_t epoch = record.step / process_.steps_per_epoch();
  record.augmentation.reserve(record.batch_index.size());
  for (const std::int32_t index : record.batch_index)
    record.augmentation.push_back(process_.batches().augmentation(epoch, index));

  if (!double_network_) {
    probe_in<S>(process_.network(), process_.engine(), step.pass, step.batch, step.theta, step.buffers, step.grad,
                step.theta_next, pool_, record);
    mark_noise(record.cells, record.train_grad_norm, record.noise_floor);
    return record;
  }
  // The same function of the same weights and images, in double: only the arithmetic differs.
  const auto [batch, theta, buffers] = in_double(step);
  const Vector<double> theta_next = step.theta_next.template cast<double>();
  Vector<double> grad;
  record.train_loss = double_network_->evaluate(theta, buffers, batch, step.pass, {.grad = &grad}).loss;
  record.train_grad_norm = norm(grad);
  probe_in<double>(*double_network_, Engine::direct, step.pass, batch, theta, buffers, grad, theta_next, double_pool_,
                   record);
  return record;
}

template void draw_direction<float>(std::uint64_t, std::int64_t, const Vector<float>&, Vector<float>&);
template void draw_direction<double>(std::uint64_t, std::int64_t, const Vector<double>&, Vector<double>&);
template class StepProber<float>;
template class StepProber<double>;

}  // namespace gradscape
