// Repeats a computation at several thread counts.
#pragma once

#include "gradscape/core/parallel.hpp"

namespace gradscape::testing {

/// Sets the number of threads for a scope.
class WithThreads {
 public:
  explicit WithThreads(int threads) : before_(parallel::threads()) { parallel::set_threads(threads); }
  ~WithThreads() { parallel::set_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_;
};

/// compute() at 1 thread, and at 2, 3 and 4: calls compare(threads, first, other) for each of those.
template <class Compute, class Compare>
void compare_thread_counts(Compute&& compute, Compare&& compare) {
  const auto at = [&](int threads) {
    const WithThreads scope(threads);
    return compute();
  };
  const auto first = at(1);
  for (const int threads : {2, 3, 4}) compare(threads, first, at(threads));
}

}  // namespace gradscape::testing
