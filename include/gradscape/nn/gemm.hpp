// Matrix products on strided row-major views. One thread each: parallelism is the caller's, over fixed blocks.
#pragma once

#include "gradscape/core/types.hpp"

namespace gradscape {

/// A block of a row-major matrix: `stride` elements from row to row.
template <class S>
struct Block {
  S* data;
  Index rows;
  Index cols;
  Index stride;
};

enum class Into { overwrite, accumulate };

/// c = a·b, c = a·bᵀ, c = aᵀ·b (or c += …). Bits depend on the shapes alone.
template <class S>
void multiply(Block<const S> a, Block<const S> b, Block<S> c, Into into = Into::overwrite);
template <class S>
void multiply_transposed_b(Block<const S> a, Block<const S> b, Block<S> c, Into into = Into::overwrite);
template <class S>
void multiply_transposed_a(Block<const S> a, Block<const S> b, Block<S> c, Into into = Into::overwrite);

}  // namespace gradscape
