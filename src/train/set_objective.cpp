#include "gradscape/train/set_objective.hpp"

#include <type_traits>

#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/data/batches.hpp"
#include "gradscape/nn/loss.hpp"

namespace gradscape {
namespace {

constexpr double kKeptBytes = 64e6;  // of standardised images; larger sets are made anew in every pass

}  // namespace

std::vector<std::int32_t> spaced_positions(Index size, Index count) {
  if (count == 0 || count > size) count = size;
  std::vector<std::int32_t> positions;
  for (Index i = 0; i < count; ++i) positions.push_back(static_cast<std::int32_t>(i * size / count));
  return positions;
}

template <class S>
SetObjective<S>::SetObjective(const ImageSet& images, const Standardisation& standardisation,
                              std::vector<std::int32_t> positions, Index batch_size, bool as_float)
    : images_(images),
      standardisation_(standardisation),
      positions_(std::move(positions)),
      batch_size_(batch_size),
      as_float_(as_float),
      keeps_(static_cast<double>(positions_.size()) * static_cast<double>(images.shape.size()) * sizeof(S) <
             kKeptBytes) {}

template <class S>
std::string SetObjective<S>::fingerprint() const {
  Fingerprint hash;
  hash.add(static_cast<std::uint64_t>(batch_size_));
  hash.add(positions_.data(), positions_.size() * sizeof(std::int32_t));
  return hash.hex();
}

template <class S>
const Batch<S>& SetObjective<S>::batch(Index number) {
  const auto place = static_cast<std::size_t>(keeps_ ? number : 0);
  if (keeps_ && place < batches_.size()) return batches_[place];
  if (batches_.size() <= place) batches_.resize(place + 1);
  const std::vector<std::int32_t> chosen(positions_.begin() + first(number), positions_.begin() + last(number));
  if constexpr (std::is_same_v<S, double>) {
    if (as_float_) {
      batches_[place] = in_double(plain_batch<float>(images_, standardisation_, chosen));
      return batches_[place];
    }
  }
  batches_[place] = plain_batch<S>(images_, standardisation_, chosen);
  return batches_[place];
}

template <class S>
Evaluation SetObjective<S>::evaluate(Network<S>& network, const Point<S>& theta, const Vector<S>& buffers,
                                     const Pass& pass, Vector<S>* grad) {
  Evaluation sum;
  Vector<S> part;
  if (grad != nullptr) grad->setZero(theta.size());
  Pass named = pass;
  if (named.theta_id == 0 && batches() > 1) named.theta_id = new_theta_id();
  for (Index number = 0; number < batches(); ++number) {
    const double share = static_cast<double>(last(number) - first(number)) / static_cast<double>(size());
    const double weight = weight_in_set(network.loss(), share);
    const Evaluation value =
        network.evaluate(theta, buffers, batch(number), named, {.grad = grad == nullptr ? nullptr : &part});
    sum.loss += weight * value.loss;
    sum.accuracy += share * value.accuracy;
    if (grad != nullptr) add_scaled(*grad, weight, part, *grad);
  }
  return sum;
}

template <class S>
Vector<S> SetObjective<S>::average_statistics(Network<S>& network, const Point<S>& theta, const Pass& pass) {
  Vector<S> buffers = Vector<S>::Zero(network.buffers().size()), next;
  Pass averaging = pass;
  for (Index number = 0; number < batches(); ++number) {
    averaging.new_share = static_cast<double>(last(number) - first(number)) / static_cast<double>(last(number));
    network.evaluate(theta, buffers, batch(number), averaging, {.new_buffers = &next});
    buffers.swap(next);
  }
  return buffers;
}

template class SetObjective<float>;
template class SetObjective<double>;

}  // namespace gradscape
