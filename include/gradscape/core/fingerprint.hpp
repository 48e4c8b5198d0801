// Content hashes (XXH3, 64 bits, as 16 hex digits): data sets, parameters, files' contents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// Accumulates bytes in order. Not cryptographic: it finds mistakes, not forgeries.
class Fingerprint {
 public:
  Fingerprint();
  ~Fingerprint();
  Fingerprint(const Fingerprint&) = delete;
  Fingerprint& operator=(const Fingerprint&) = delete;
  Fingerprint(Fingerprint&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

  void add(const void* bytes, std::size_t size);
  void add(std::string_view text) { add(text.data(), text.size()); }
  void add(std::uint64_t number) { add(&number, sizeof number); }
  std::uint64_t value() const;
  std::string hex() const;

 private:
  void* state_;
};

template <class S>
std::string fingerprint(const Vector<S>& values) {
  Fingerprint hash;
  hash.add(values.data(), static_cast<std::size_t>(values.size()) * sizeof(S));
  return hash.hex();
}

}  // namespace gradscape
