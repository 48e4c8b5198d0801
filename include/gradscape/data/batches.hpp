// Which samples make the batch of a step, and how they become a network's input.
#pragma once

#include <algorithm>
#include <array>

#include "gradscape/data/batch.hpp"
#include "gradscape/data/dataset.hpp"

namespace gradscape {

/// Where augmentation puts a sample: output pixel (y, x) shows input pixel (y + dy, flip ? W − 1 − (x + dx) : x + dx),
/// zeros outside.
struct Augmentation {
  std::int8_t dy = 0;
  std::int8_t dx = 0;
  bool flip = false;
};

/// What pixels become by standardisation: a table for bytes.
class PixelValues {
 public:
  explicit PixelValues(const Standardisation& standardisation);

  double operator()(std::size_t channel, std::uint8_t byte) const { return of_bytes_[channel][byte]; }
  double operator()(std::size_t channel, double value) const {
    return (value - standardisation_.mean[channel]) / standardisation_.deviation[channel];
  }

 private:
  Standardisation standardisation_;
  std::vector<std::array<double, 256>> of_bytes_;
};

/// The batches of a training run: a pure function of (seed, step). Every epoch visits every image once in an order of
/// its own; the last batch of an epoch is short where the number of images is no multiple of the batch size.
class BatchSource {
 public:
  /// `images` must outlive this object and not be empty. batch_size >= 1.
  BatchSource(const ImageSet& images, const Standardisation& standardisation, const DataOptions& options,
              Index batch_size, std::uint64_t seed);

  Index steps_per_epoch() const;

  /// Samples of the largest batch.
  Index largest() const { return std::min(batch_size_, images_.size()); }

  /// Whether images are moved or mirrored.
  bool augmented() const { return flip_ || crop_ > 0; }

  /// The batch of training step `step` >= 0, the second into memory that is reused.
  template <class S>
  Batch<S> batch(std::int64_t step) const {
    Batch<S> made;
    batch(step, made);
    return made;
  }
  template <class S>
  void batch(std::int64_t step, Batch<S>& batch) const;

  /// The augmentation of sample `index` at its epoch (step / steps_per_epoch()).
  Augmentation augmentation(std::int64_t epoch, std::int32_t index) const;

 private:
  const std::vector<std::int32_t>& order(std::int64_t epoch) const;

  const ImageSet& images_;
  PixelValues values_;
  bool flip_;
  Index crop_;
  Index batch_size_;
  std::uint64_t seed_;
  mutable std::int64_t cached_epoch_ = -1;  // the order of one epoch is kept
  mutable std::vector<std::int32_t> cached_order_;
};

/// The samples at `positions`, or [first, last), as they are, for evaluation.
template <class S>
Batch<S> plain_batch(const ImageSet& images, const Standardisation& standardisation,
                     std::vector<std::int32_t> positions);
template <class S>
Batch<S> plain_batch(const ImageSet& images, const Standardisation& standardisation, Index first, Index last);

}  // namespace gradscape
