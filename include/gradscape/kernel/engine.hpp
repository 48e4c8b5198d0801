#pragma once

namespace gradscape {

/// How convolutions are computed. direct: the definition, as products of image patches with the weights (im2col).
/// winograd: 3×3 convolutions of stride 1 and padding 1 by transforms that need a quarter of the multiplications, at
/// somewhat larger rounding error (docs/design.md, "Convolution").
enum class Engine { direct, winograd };

}  // namespace gradscape
