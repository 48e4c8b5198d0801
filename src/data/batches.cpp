#include "gradscape/data/batches.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"

namespace gradscape {
namespace {

/// Writes one image [C, H, W] as rows [H·W, C], each pixel as value(channel, pixel).
template <class S, class T, class Value>
void place_image(const T* image, FeatureShape shape, const Augmentation& move, Value&& value, S* rows) {
  for (Index channel = 0; channel < shape.channels; ++channel) {
    const T* plane = image + channel * shape.pixels();
    const auto c = static_cast<std::size_t>(channel);
    for (Index y = 0; y < shape.height; ++y)
      for (Index x = 0; x < shape.width; ++x) {
        const Index from_y = y + move.dy;
        const Index shifted = x + move.dx;
        const Index from_x = move.flip ? shape.width - 1 - shifted : shifted;
        const bool inside = from_y >= 0 && from_y < shape.height && from_x >= 0 && from_x < shape.width;
        const T pixel = inside ? plane[from_y * shape.width + from_x] : T{0};
        rows[(y * shape.width + x) * shape.channels + channel] = static_cast<S>(value(c, pixel));
      }
  }
}

/// Fills images and labels of the samples at batch.indices, each moved as `augment(index)` says.
template <class S, class Augment>
void fill(const ImageSet& images, const PixelValues& values, Batch<S>& batch, Augment&& augment) {
  const auto count = static_cast<Index>(batch.indices.size());
  batch.images.resize(count * images.shape.pixels(), images.shape.channels);
  batch.labels.resize(batch.indices.size());
  const Index targets = images.targets.empty() ? 0 : images.classes;
  batch.targets.resize(targets == 0 ? 0 : count, targets);
  parallel::for_each(count, [&](Index n) {
    const auto position = static_cast<std::size_t>(n);
    const std::int32_t index = batch.indices[position];
    batch.labels[position] = images.labels[static_cast<std::size_t>(index)];
    for (Index k = 0; k < targets; ++k)
      batch.targets(n, k) = static_cast<S>(images.targets[static_cast<std::size_t>(index * targets + k)]);
    const Augmentation move = images.as_given ? Augmentation{} : augment(index);
    std::visit(
        [&](const auto& pixels) {
          place_image(pixels.data() + index * images.shape.size(), images.shape, move, values,
                      batch.images.data() + n * images.shape.size());
        },
        images.pixels);
  });
}

}  // namespace

PixelValues::PixelValues(const Standardisation& standardisation)
    : standardisation_(standardisation), of_bytes_(standardisation.mean.size()) {
  for (std::size_t channel = 0; channel < of_bytes_.size(); ++channel)
    for (std::size_t byte = 0; byte < 256; ++byte)
      of_bytes_[channel][byte] = (*this)(channel, static_cast<double>(byte) / 255.0);
}

BatchSource::BatchSource(const ImageSet& images, const Standardisation& standardisation, const DataOptions& options,
                         Index batch_size, std::uint64_t seed)
    : images_(images),
      values_(standardisation),
      flip_(options.augment_flip),
      crop_(options.augment_crop),
      batch_size_(batch_size),
      seed_(seed) {
  check(images.size() > 0 && batch_size >= 1, "a batch has samples");
  check(crop_ >= 0 && crop_ < 128, "a crop's offset fits into its type");
}

Index BatchSource::steps_per_epoch() const {
  return parallel::chunk_count(images_.size(), batch_size_);
}

const std::vector<std::int32_t>& BatchSource::order(std::int64_t epoch) const {
  if (epoch == cached_epoch_) return cached_order_;
  cached_order_.resize(static_cast<std::size_t>(images_.size()));
  std::iota(cached_order_.begin(), cached_order_.end(), 0);
  // Fisher-Yates, the number for position i addressed by i.
  const RandomSource source(seed_, Purpose::order, 0, static_cast<std::uint32_t>(epoch));
  for (std::size_t i = cached_order_.size(); i-- > 1;)
    std::swap(cached_order_[i], cached_order_[source.below(static_cast<std::uint32_t>(i + 1), i)]);
  cached_epoch_ = epoch;
  return cached_order_;
}

Augmentation BatchSource::augmentation(std::int64_t epoch, std::int32_t index) const {
  Augmentation move;
  if (!flip_ && crop_ == 0) return move;
  const RandomSource source(seed_, Purpose::augment, 0, static_cast<std::uint32_t>(epoch));
  const auto address = 3 * static_cast<std::uint64_t>(index);
  const auto side = static_cast<std::uint32_t>(2 * crop_ + 1);
  move.dy = static_cast<std::int8_t>(static_cast<Index>(source.below(side, address)) - crop_);
  move.dx = static_cast<std::int8_t>(static_cast<Index>(source.below(side, address + 1)) - crop_);
  move.flip = flip_ && source.below(2, address + 2) == 1;
  return move;
}

template <class S>
void BatchSource::batch(std::int64_t step, Batch<S>& batch) const {
  const std::int64_t epoch = step / steps_per_epoch();
  const auto& order = this->order(epoch);
  const Index first = step % steps_per_epoch() * batch_size_;
  const Index last = std::min(first + batch_size_, images_.size());
  batch.indices.assign(order.begin() + first, order.begin() + last);
  fill(images_, values_, batch, [&](std::int32_t index) { return augmentation(epoch, index); });
}

template <class S>
Batch<S> plain_batch(const ImageSet& images, const Standardisation& standardisation, Index first, Index last) {
  std::vector<std::int32_t> positions(static_cast<std::size_t>(last - first));
  std::iota(positions.begin(), positions.end(), static_cast<std::int32_t>(first));
  return plain_batch<S>(images, standardisation, std::move(positions));
}

template <class S>
Batch<S> plain_batch(const ImageSet& images, const Standardisation& standardisation,
                     std::vector<std::int32_t> positions) {
  Batch<S> batch;
  batch.indices = std::move(positions);
  fill(images, PixelValues(standardisation), batch, [](std::int32_t) { return Augmentation{}; });
  return batch;
}

#define GRADSCAPE_INSTANTIATE(S)                                                           \
  template void BatchSource::batch<S>(std::int64_t, Batch<S>&) const;                      \
  template Batch<S> plain_batch<S>(const ImageSet&, const Standardisation&, Index, Index); \
  template Batch<S> plain_batch<S>(const ImageSet&, const Standardisation&, std::vector<std::int32_t>);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
