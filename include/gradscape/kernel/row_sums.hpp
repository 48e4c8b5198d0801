// Column-wise sums over the rows of an activation, in double and in fixed order.
#pragma once

#include <vector>

#include "gradscape/core/parallel.hpp"

namespace gradscape {

/// Rows per chunk of every sum over rows; part of what decides bits.
inline constexpr Index kSumRows = 256;

/// sum[0 … width) = Σ over chunks of rows: body(first, last, slot) adds what rows [first, last) contribute to
/// slot[0 … width). Chunks are fixed and added in order, so bits do not depend on the number of threads.
template <class Body>
void sum_over_rows(Index rows, Index width, std::vector<double>& sum, Body&& body) {
  // sum, slot [width]; slots [chunks, width]
  const auto columns = static_cast<std::size_t>(width);
  const Index chunks = parallel::chunk_count(rows, kSumRows);
  sum.assign(columns, 0.0);
  parallel::with_slots<double>(chunks * width, [&](std::vector<double>& slots) {
    parallel::for_chunks(rows, kSumRows, [&](Index first, Index last, Index number) {
      body(first, last, slots.data() + number * width);
    });
    for (std::size_t chunk = 0; chunk < static_cast<std::size_t>(chunks); ++chunk)
      for (std::size_t column = 0; column < columns; ++column) sum[column] += slots[chunk * columns + column];
  });
}

/// sum = the sum of each column of `rows` [R, C].
template <class S>
void column_sums(ConstRows<S> rows, std::vector<double>& sum) {
  // rows [R, C], sum [C]
  const Index width = rows.cols();
  sum_over_rows(rows.rows(), width, sum, [&](Index first, Index last, double* slot) {
    for (Index row = first; row < last; ++row) {
      const S* x = rows.data() + row * width;
      for (Index column = 0; column < width; ++column) slot[column] += static_cast<double>(x[column]);
    }
  });
}

}  // namespace gradscape
