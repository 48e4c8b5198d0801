// How a convolution becomes matrix products: the image is cut into tiles, and each form of product has its own way to
// load a tile, to store one, and to prepare the weights. The layer Convolution does everything between them.
#pragma once

#include <memory>
#include <string>

#include "gradscape/core/point.hpp"
#include "gradscape/kernel/engine.hpp"

namespace gradscape {

/// Geometry of a convolution without its batch.
struct ConvolutionShape {
  FeatureShape in;
  FeatureShape out;  // before any pooling
  Index kernel_height = 3;
  Index kernel_width = 3;
  Index stride = 1;
  Padding padding = {};  // zeros
  Index dilation = 1;    // pixels from one tap to the next
};

/// Matrices that hold one product for each frequency: `data` + frequency·`frequency`, rows of `row` elements.
template <class S>
struct Spectrum {
  S* data;
  Index frequency;
  Index row;
};

/// Channels [first, last) of an activation.
struct ChannelRange {
  Index first;
  Index last;
  Index count() const { return last - first; }
};

/// For each frequency f: M_f = V_f·U_f with V_f [tiles·rows, depth] from the images, U_f [depth, channels] from the
/// weights, and M_f [tiles·rows, channels] giving the output pixels. Every map here is linear, and has its adjoint
/// beside it. Tiles are squares of `edge` output pixels, counted from the image's corner; those at the border may be
/// partial. Functions take one tile or a block of weights, read and write only the channels named, and run on one
/// thread.
template <class S>
class TileForm {
 public:
  TileForm(const ConvolutionShape& shape, Index frequencies, Index edge, Index rows, Index depth)
      : shape_(shape), frequencies_(frequencies), edge_(edge), rows_(rows), depth_(depth) {}
  virtual ~TileForm() = default;

  /// "winograd 4×4", "toeplitz 2×2" or "im2col".
  virtual std::string name() const = 0;

  Index frequencies() const { return frequencies_; }
  Index edge() const { return edge_; }
  Index rows() const { return rows_; }
  Index depth() const { return depth_; }

  /// V of tile (tile_y, tile_x) of `image` [H, W, Cin]; `v` points to the tile's first row.
  virtual void load(const S* image, Index tile_y, Index tile_x, ChannelRange channels, Spectrum<S> v) const = 0;
  /// Adjoint of load: adds to `image_grad` [H, W, Cin].
  virtual void add_gradient(Spectrum<const S> v, Index tile_y, Index tile_x, ChannelRange channels,
                            S* image_grad) const = 0;

  /// Output pixels [edge·edge, channels.count()] of the tile whose first row `m` points to.
  virtual void store(Spectrum<const S> m, ChannelRange channels, S* pixels) const = 0;
  /// Adjoint of store.
  virtual void load_gradient(const S* pixels, ChannelRange channels, Spectrum<S> m) const = 0;

  /// Rows [first, last) of panel number `panel` (kPanel columns; kernel/gemm.hpp) of U, or of its transpose
  /// [channels, depth], from the weight [Cout, Cin, Kh, Kw] that begins at element `weight` of theta; `u` +
  /// f·frequency points to the panel of frequency f.
  virtual void weights(const Point<S>& theta, Index weight, bool transposed, Index panel, Index first, Index last, S* u,
                       Index frequency) const = 0;
  /// Adjoint of weights: writes ∂L/∂weight for output channels `channels` and input channels `inputs` from dU
  /// [depth, …], whose column 0 is channels.first; there are `copies` of dU, `copy` apart, to be added up in order.
  virtual void weight_gradient(Spectrum<const S> du, Index copies, Index copy, ChannelRange channels,
                               ChannelRange inputs, S* weight_grad) const = 0;

 protected:
  const ConvolutionShape& shape() const { return shape_; }

 private:
  ConvolutionShape shape_;
  Index frequencies_;
  Index edge_;
  Index rows_;
  Index depth_;
};

/// The form that `engine` uses for a convolution of this shape:
///   direct                                        → im2col (the definition)
///   winograd: 3×3, stride 1, padding 1, 2×2 image → Toeplitz
///             the same, larger image, 8 channels or more in → Winograd F(4×4, 3×3)
///             any other                           → im2col
template <class S>
std::unique_ptr<TileForm<S>> make_tile_form(const ConvolutionShape& shape, Engine engine);

}  // namespace gradscape
