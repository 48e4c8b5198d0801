#include "gradscape/nn/gemm.hpp"

#include <Eigen/Dense>

namespace gradscape {
namespace {

template <class S>
auto view(Block<S> block) {
  using Plain = std::conditional_t<std::is_const_v<S>, const Matrix<std::remove_const_t<S>>, Matrix<S>>;
  return Eigen::Map<Plain, Eigen::Unaligned, Eigen::OuterStride<>>(block.data, block.rows, block.cols,
                                                                   Eigen::OuterStride<>(block.stride));
}

template <class S, class Product>
void store(const Product& product, Block<S> c, Into into) {
  if (into == Into::overwrite)
    view(c).noalias() = product;
  else
    view(c).noalias() += product;
}

}  // namespace

template <class S>
void multiply(Block<const S> a, Block<const S> b, Block<S> c, Into into) {
  store(view(a) * view(b), c, into);
}

template <class S>
void multiply_transposed_b(Block<const S> a, Block<const S> b, Block<S> c, Into into) {
  store(view(a) * view(b).transpose(), c, into);
}

template <class S>
void multiply_transposed_a(Block<const S> a, Block<const S> b, Block<S> c, Into into) {
  store(view(a).transpose() * view(b), c, into);
}

#define GRADSCAPE_INSTANTIATE(S)                                                          \
  template void multiply<S>(Block<const S>, Block<const S>, Block<S>, Into);              \
  template void multiply_transposed_b<S>(Block<const S>, Block<const S>, Block<S>, Into); \
  template void multiply_transposed_a<S>(Block<const S>, Block<const S>, Block<S>, Into);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
