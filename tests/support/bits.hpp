// Equality bit by bit: −0 differs from 0, and a NaN equals itself.
#pragma once

#include <cstring>

#include "gradscape/core/types.hpp"

namespace gradscape::testing {

template <class S>
bool same_bits(S a, S b) {
  return std::memcmp(&a, &b, sizeof(S)) == 0;
}

template <class S>
bool same_bits(const Vector<S>& a, const Vector<S>& b) {
  return a.size() == b.size() &&
         (a.size() == 0 || std::memcmp(a.data(), b.data(), static_cast<std::size_t>(a.size()) * sizeof(S)) == 0);
}

}  // namespace gradscape::testing
