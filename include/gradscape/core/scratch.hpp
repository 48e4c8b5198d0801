#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// Memory that grows and is never initialised, aligned to a line of cache. Growing forgets the contents.
template <class S>
class Scratch {
 public:
  S* at_least(Index size) {
    if (size > size_) {
      memory_.reset();
      constexpr std::size_t kLine = 64;
      const std::size_t bytes = (static_cast<std::size_t>(size) * sizeof(S) + kLine - 1) / kLine * kLine;
      memory_.reset(static_cast<S*>(std::aligned_alloc(kLine, bytes)));
      if (!memory_) throw std::bad_alloc();
      size_ = size;
    }
    return memory_.get();
  }

  void release() {
    memory_.reset();
    size_ = 0;
  }

  S* data() { return memory_.get(); }
  const S* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(S* memory) const { std::free(memory); }
  };
  std::unique_ptr<S, Free> memory_;
  Index size_ = 0;
};

}  // namespace gradscape
