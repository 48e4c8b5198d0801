#include "gradscape/core/fingerprint.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <new>

namespace gradscape {

Fingerprint::Fingerprint() : state_(XXH3_createState()) {
  if (state_ == nullptr) throw std::bad_alloc();
  XXH3_64bits_reset(static_cast<XXH3_state_t*>(state_));
}

Fingerprint::~Fingerprint() {
  XXH3_freeState(static_cast<XXH3_state_t*>(state_));
}

void Fingerprint::add(const void* bytes, std::size_t size) {
  if (size > 0) XXH3_64bits_update(static_cast<XXH3_state_t*>(state_), bytes, size);
}

std::uint64_t Fingerprint::value() const {
  return XXH3_64bits_digest(static_cast<const XXH3_state_t*>(state_));
}

std::string Fingerprint::hex() const {
  return fmt::format("{:016x}", value());
}

}  // namespace gradscape
