// The one header that owns every OpenMP directive. A loop here is a map with one writer per index, and a sum has fixed
// chunks added up in index order: so results have the same bits for any number of threads and any schedule.
#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <type_traits>
#include <utility>
#include <vector>

#include "gradscape/core/types.hpp"

namespace gradscape::parallel {

/// First thing in every main(): fixes what Eigen would otherwise take from the machine (its blocking follows the cache
/// sizes, and bits follow the blocking).
void initialise();

/// Threads for all later loops; >= 1.
void set_threads(int threads);
int threads();

/// Elements per chunk of an elementwise pass: 64 KiB of float, small enough for L2.
inline constexpr Index kElementwiseChunk = 16384;

/// Calls body(i) for i in [0, count). Distinct i must write to distinct places. The first exception is rethrown. Inside
/// of another loop's body, this thread alone does the work.
template <class Body>
void for_each(Index count, Body&& body) {
  if (count <= 0) return;
  if (count == 1 || omp_get_max_threads() == 1 ||
      omp_in_parallel()) {  // no team: libgomp allocates one of a single thread every time
    for (Index i = 0; i < count; ++i) body(i);
    return;
  }
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
#pragma omp parallel for schedule(runtime)
  for (Index i = 0; i < count; ++i) {
    if (failed.load(std::memory_order_relaxed)) continue;
    try {
      body(i);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

/// How many slots for_each_in_slots() tells apart.
inline Index slots() {
  return omp_get_max_threads();
}

/// The same as for_each(), with a number < slots() for the memory that body(i, slot) may use: no two calls at a time
/// have the same.
template <class Body>
void for_each_in_slots(Index count, Body&& body) {
  const bool alone = omp_in_parallel();
  for_each(count, [&](Index i) { body(i, alone ? Index{0} : Index{omp_get_thread_num()}); });
}

inline Index chunk_count(Index total, Index chunk) {
  return (total + chunk - 1) / chunk;
}

/// Calls body(first, last, number) for the fixed chunks [first, last) of [0, total).
template <class Body>
void for_chunks(Index total, Index chunk, Body&& body) {
  for_each(chunk_count(total, chunk), [&](Index number) {
    const Index first = number * chunk;
    body(first, std::min(first + chunk, total), number);
  });
}

/// What with_slots() lends.
template <class T>
std::vector<T>& kept_slots() {
  thread_local std::vector<T> kept;
  return kept;
}

/// Calls use(slots) with `count` values of `T{}`. The memory is this thread's and is kept, so that nothing is allocated
/// once it has grown; a call inside of `use` gets other memory.
template <class T, class Use>
decltype(auto) with_slots(Index count, Use&& use) {
  struct Loan {
    std::vector<T> slots = std::exchange(kept_slots<T>(), {});
    ~Loan() { kept_slots<T>() = std::move(slots); }
  } loan;
  loan.slots.assign(static_cast<std::size_t>(count), T{});
  return use(loan.slots);
}

/// Σ over chunks of term(first, last), added in chunk order whatever the threads do. The result type is what term
/// returns; it needs += and a zero default.
template <class Term>
auto sum_chunks(Index total, Index chunk, Term&& term) {
  using Value = std::decay_t<decltype(term(Index{0}, Index{0}))>;
  return with_slots<Value>(chunk_count(total, chunk), [&](std::vector<Value>& slots) {
    for_chunks(total, chunk, [&](Index first, Index last, Index number) {
      slots[static_cast<std::size_t>(number)] = term(first, last);
    });
    Value sum{};
    for (const Value& slot : slots) sum += slot;
    return sum;
  });
}

}  // namespace gradscape::parallel
