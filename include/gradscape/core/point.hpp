// Parameters on a ray, worked out where they are read.
#pragma once

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/scratch.hpp"
#include "gradscape/core/types.hpp"

namespace gradscape {

/// origin + scale·direction as a view: a probe reads θ and g once instead of writing a third vector and reading that.
/// The scale is rounded to S first, each element after the product and after the sum (as add_scaled does). The vectors
/// must outlive it.
template <class S>
class Point {
 public:
  /// `origin` itself.
  Point(const Vector<S>& origin) : origin_(origin.data()), size_(origin.size()) {}
  Point(const Vector<S>& origin, double scale, const Vector<S>& direction)
      : origin_(origin.data()), direction_(direction.data()), scale_(static_cast<S>(scale)), size_(origin.size()) {
    check(direction.size() == size_, "vectors of one size");
  }

  Index size() const { return size_; }

  S operator[](Index i) const { return direction_ == nullptr ? origin_[i] : origin_[i] + scale_ * direction_[i]; }

  /// Elements [first, first + count) to `to`; read() where they need not move, else in `memory`, by several threads.
  void copy(Index first, Index count, S* to) const {
    const S* origin = origin_ + first;
    if (direction_ == nullptr) {
      std::copy_n(origin, count, to);
      return;
    }
    const S* direction = direction_ + first;
    for (Index i = 0; i < count; ++i) to[i] = origin[i] + scale_ * direction[i];
  }
  const S* read(Index first, Index count, Scratch<S>& memory) const {
    if (direction_ == nullptr) return origin_ + first;
    S* to = memory.at_least(count);
    parallel::for_chunks(count, parallel::kElementwiseChunk,
                         [&](Index begin, Index end, Index) { copy(first + begin, end - begin, to + begin); });
    return to;
  }

  /// `lines` runs of `length` elements, `stride` apart from `first` on; where they must move they go to `memory`, side
  /// by side. Sets `stride` to the distance of the runs returned.
  const S* lines(Index first, Index lines, Index length, Index& stride, S* memory) const {
    if (direction_ == nullptr) return origin_ + first;
    for (Index i = 0; i < lines; ++i) copy(first + i * stride, length, memory + i * length);
    stride = length;
    return memory;
  }

  Vector<S> value() const {
    Vector<S> whole(size_);
    copy(0, size_, whole.data());
    return whole;
  }

 private:
  const S* origin_;
  const S* direction_ = nullptr;
  S scale_ = 0;
  Index size_;
};

}  // namespace gradscape
