// Matrix products on strided row-major views. One thread each: parallelism is the caller's.
#pragma once

#include "gradscape/core/types.hpp"
#include "gradscape/kernel/gemm_kernel.hpp"

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

/// Elements of the panels of a matrix [rows, cols]: groups of kPanel columns, each group's rows one after the other.
/// The kernels read the second factor in this form; whoever makes it can write it so at once.
template <class S>
constexpr Index panels_size(Index rows, Index cols) {
  return (cols + kPanel<S> - 1) / kPanel<S> * kPanel<S> * rows;
}

/// c = a·b or c += a·b for a [m, k], b [k, n] in panels, c [m, n]. Every element is one chain of fused multiply-adds in
/// the order of a's columns: bits depend neither on the blocks that a caller cuts c into, nor on the instruction set,
/// and a chain may be continued (+=) by a later call.
template <class S>
void multiply_panels(Block<const S> a, const S* panels, Block<S> c, Into into);

/// c = a·b, c = a·bᵀ, c = aᵀ·b, or c += …, for c [m, n], with the same promise. a [m, k], b [k, n]:
template <class S>
void multiply(Block<const S> a, Block<const S> b, Block<S> c, Into into = Into::overwrite);
/// a [m, k], b [n, k]:
template <class S>
void multiply_transposed_b(Block<const S> a, Block<const S> b, Block<S> c, Into into = Into::overwrite);
/// a [k, m], b [k, n]:
template <class S>
void multiply_transposed_a(Block<const S> a, Block<const S> b, Block<S> c, Into into = Into::overwrite);

}  // namespace gradscape
