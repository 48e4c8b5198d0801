#include "gradscape/kernel/tile_form.hpp"

#include <algorithm>

#include "gradscape/kernel/gemm.hpp"
#include "gradscape/kernel/winograd.hpp"

namespace gradscape {
namespace {

/// Channels from which on transforming tiles costs less than it saves; below, im2col has the better-shaped products.
constexpr Index kFewestChannels = 8;

/// to[j·to_stride + i] = from[i·from_stride + j] for i < rows, j < columns.
template <class S>
void transpose(const S* from, Index from_stride, Index rows, Index columns, S* to, Index to_stride) {
  // from [rows, columns], to [columns, rows]
  using L = Lanes<S>;
  Index i = 0;
  for (; i + L::kCount <= rows; i += L::kCount) {
    Index j = 0;
    for (; j + L::kCount <= columns; j += L::kCount) {
      typename L::Vector x[L::kCount];
      for (Index r = 0; r < L::kCount; ++r) x[r] = L::load(from + (i + r) * from_stride + j);
      L::transpose(x);
      for (Index r = 0; r < L::kCount; ++r) L::store(to + (j + r) * to_stride + i, x[r]);
    }
    for (; j < columns; ++j)
      for (Index r = 0; r < L::kCount; ++r) to[j * to_stride + i + r] = from[(i + r) * from_stride + j];
  }
  for (; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) to[j * to_stride + i] = from[i * from_stride + j];
}

/// Winograd's bilinear form (kernel/winograd.hpp): one row per tile, a column of V per input channel.
template <class S, class Form>
class WinogradForm : public TileForm<S> {
  using L = Lanes<S>;
  using V = typename L::Vector;
  using BTransposed = typename winograd::Matrices<Form>::BTransposed;
  using ATransposed = typename winograd::Matrices<Form>::ATransposed;
  using G = typename winograd::Matrices<Form>::G;
  static constexpr Index kTile = Form::kTile;
  static constexpr Index kOutput = Form::kOutput;
  static constexpr Index kFrequencies = Form::kFrequencies * Form::kFrequencies;

 public:
  explicit WinogradForm(const ConvolutionShape& shape)
      : TileForm<S>(shape, kFrequencies, kOutput, 1, shape.in.channels) {}

  std::string name() const override { return Form::kName; }

  void load(const S* image, Index tile_y, Index tile_x, ChannelRange channels, Spectrum<S> v) const override {
    // image [H, W, Cin]; d [kTile, kTile]; V_f [1, Cin]
    const Window window(this->shape().in, tile_y, tile_x);
    for_lanes<S>(channels.first, channels.last, [&](Index c, auto count) {
      V d[kTile * kTile];
      window.visit_all([&](Index pixel, Index offset) {
        d[pixel] = offset < 0 ? L::fill(S{0}) : load_lanes(image + offset + c, count);
      });
      V transformed[kFrequencies];
      winograd::sandwich<S, BTransposed>(d, transformed);
      for (Index f = 0; f < kFrequencies; ++f) store_lanes(v.data + f * v.frequency + c, transformed[f], count);
    });
  }

  void add_gradient(Spectrum<const S> v, Index tile_y, Index tile_x, ChannelRange channels,
                    S* image_grad) const override {
    // V_f [1, Cin]; d [kTile, kTile]; image_grad [H, W, Cin]
    const Window window(this->shape().in, tile_y, tile_x);
    for_lanes<S>(channels.first, channels.last, [&](Index c, auto count) {
      V dv[kFrequencies];
      for (Index f = 0; f < kFrequencies; ++f) dv[f] = load_lanes(v.data + f * v.frequency + c, count);
      V d[kTile * kTile];
      winograd::sandwich<S, winograd::Transposed<BTransposed>>(dv, d);
      window.visit([&](Index pixel, Index offset) {
        S* p = image_grad + offset + c;
        store_lanes(p, load_lanes<S>(p, count) + d[pixel], count);
      });
    });
  }

  void store(Spectrum<const S> m, ChannelRange channels, S* pixels) const override {
    // M_f [1, Cout]; y [kOutput, kOutput]; pixels [kOutput·kOutput, width]
    const Index width = channels.count();
    for_lanes<S>(0, width, [&](Index c, auto count) {
      V product[kFrequencies];
      for (Index f = 0; f < kFrequencies; ++f)
        product[f] = load_lanes(m.data + f * m.frequency + channels.first + c, count);
      V y[kOutput * kOutput];
      winograd::sandwich<S, ATransposed>(product, y);
      for (Index pixel = 0; pixel < kOutput * kOutput; ++pixel)
        store_lanes(pixels + pixel * width + c, y[pixel], count);
    });
  }

  void load_gradient(const S* pixels, ChannelRange channels, Spectrum<S> m) const override {
    // pixels [kOutput·kOutput, width]; dy [kOutput, kOutput]; M_f [1, Cout]
    const Index width = channels.count();
    for_lanes<S>(0, width, [&](Index c, auto count) {
      V dy[kOutput * kOutput];
      for (Index pixel = 0; pixel < kOutput * kOutput; ++pixel)
        dy[pixel] = load_lanes<S>(pixels + pixel * width + c, count);
      V dm[kFrequencies];
      winograd::sandwich<S, winograd::Transposed<ATransposed>>(dy, dm);
      for (Index f = 0; f < kFrequencies; ++f) store_lanes(m.data + f * m.frequency + channels.first + c, dm[f], count);
    });
  }

  void weights(const Point<S>& theta, Index weight, bool transposed, Index panel, Index first, Index last, S* u,
               Index frequency) const override {
    // weight [Cout, Cin, 3, 3]; U_f [Cin, Cout] or U_fᵀ [Cout, Cin]: of a panel [rows, kPanel], rows [first, last)
    // Column n and row k of U are an output and an input channel; of the transpose, the other way round.
    const Index inputs = this->shape().in.channels;
    const Index columns = transposed ? inputs : this->shape().out.channels;
    const Index column_stride = transposed ? kTaps : inputs * kTaps;
    const Index row_stride = transposed ? inputs * kTaps : kTaps;
    for (Index lane = 0; lane < kPanel<S>; lane += L::kCount) {
      const Index column = panel * kPanel<S> + lane;
      const Index count = std::clamp<Index>(columns - column, 0, L::kCount);
      const Index corner = weight + column * column_stride;
      for (Index k = first; k < last; k += L::kCount) {
        const Index rows = std::min<Index>(last - k, L::kCount);
        S taps[kTaps * L::kCount * L::kCount];  // [row][tap][lane]
        S memory[kTaps * L::kCount * L::kCount];
        Index line = inputs * kTaps;
        const S* from = transposed ? theta.lines(corner + k * row_stride, rows, count * kTaps, line, memory)
                                   : theta.lines(corner + k * row_stride, count, rows * kTaps, line, memory);
        if (count < L::kCount) std::fill_n(taps, rows * kTaps * L::kCount, S{0});
        if (transposed)
          for (Index row = 0; row < rows; ++row)
            transpose(from + row * line, kTaps, count, kTaps, taps + row * kTaps * L::kCount, L::kCount);
        else
          transpose(from, line, count, rows * kTaps, taps, L::kCount);
        for (Index row = 0; row < rows; ++row) {
          V w[kTaps];
          for (Index tap = 0; tap < kTaps; ++tap) w[tap] = L::load(taps + (row * kTaps + tap) * L::kCount);
          V transformed[kFrequencies];
          winograd::sandwich<S, G>(w, transformed);
          for (Index f = 0; f < kFrequencies; ++f)
            L::store(u + f * frequency + (k + row) * kPanel<S> + lane, transformed[f]);
        }
      }
    }
  }

  void weight_gradient(Spectrum<const S> du, Index copies, Index copy, ChannelRange channels, ChannelRange inputs,
                       S* weight_grad) const override {
    // dU_f [Cin, Cout from channels.first on] in `copies`; weight_grad [Cout, Cin, 3, 3]
    const Index line = this->shape().in.channels * kTaps;
    for_lanes<S>(channels.first, channels.last, [&](Index o, auto count) {
      for (Index i = inputs.first; i < inputs.last; i += L::kCount) {
        const Index rows = std::min<Index>(inputs.last - i, L::kCount);
        S taps[kTaps * L::kCount * L::kCount];  // [row][tap][lane]
        for (Index row = 0; row < rows; ++row) {
          V product[kFrequencies];
          for (Index f = 0; f < kFrequencies; ++f) {
            const S* from = du.data + f * du.frequency + (i + row) * du.row + o - channels.first;
            product[f] = load_lanes(from, count);
            for (Index number = 1; number < copies; ++number)
              product[f] = product[f] + load_lanes(from + number * copy, count);
          }
          V dw[kTaps];
          winograd::sandwich<S, winograd::Transposed<G>>(product, dw);
          for (Index tap = 0; tap < kTaps; ++tap) L::store(taps + (row * kTaps + tap) * L::kCount, dw[tap]);
        }
        transpose(taps, L::kCount, rows * kTaps, count, weight_grad + o * line + i * kTaps, line);
      }
    });
  }

 private:
  static constexpr Index kTaps = 9;

  /// The part of a tile that lies inside the image.
  class Window {
   public:
    Window(const FeatureShape& image, Index tile_y, Index tile_x)
        : image_(image), y_(tile_y * kOutput + Form::kOffset), x_(tile_x * kOutput + Form::kOffset) {}

    /// visit(pixel of the tile, offset of its first channel in the image, or -1 where it lies outside), every pixel
    template <class Visit>
    void visit_all(Visit&& visit) const {
      for (Index row = 0; row < kTile; ++row) {
        const bool inside = y_ + row >= 0 && y_ + row < image_.height;
        const Index line = ((y_ + row) * image_.width + x_) * image_.channels;
        for (Index column = 0; column < kTile; ++column) {
          const bool in = inside && x_ + column >= 0 && x_ + column < image_.width;
          visit(row * kTile + column, in ? line + column * image_.channels : Index{-1});
        }
      }
    }

    /// The same for the pixels inside.
    template <class Visit>
    void visit(Visit&& visit) const {
      const Index bottom = std::min(kTile, image_.height - y_);
      const Index right = std::min(kTile, image_.width - x_);
      for (Index row = std::max<Index>(0, -y_); row < bottom; ++row)
        for (Index column = std::max<Index>(0, -x_); column < right; ++column)
          visit(row * kTile + column, ((y_ + row) * image_.width + x_ + column) * image_.channels);
    }

   private:
    const FeatureShape& image_;
    Index y_, x_;
  };
};

/// The definition: a row of V is the patch under the kernel [Kh, Kw, Cin] of one output pixel; a tile is 2×2 pixels.
template <class S>
class Im2col : public TileForm<S> {
  static constexpr Index kEdge = 2;

 public:
  explicit Im2col(const ConvolutionShape& shape)
      : TileForm<S>(shape, 1, kEdge, kEdge * kEdge, shape.kernel_height * shape.kernel_width * shape.in.channels) {}

  std::string name() const override { return "im2col"; }

  void load(const S* image, Index tile_y, Index tile_x, ChannelRange channels, Spectrum<S> v) const override {
    // image [H, W, Cin]; V [edge·edge, Kh·Kw·Cin]
    visit(tile_y, tile_x, channels, [&](Index place, Index count, Index offset) {
      if (offset < 0)
        std::fill_n(v.data + place, count, S{0});
      else
        std::copy_n(image + offset, count, v.data + place);
    });
  }

  void add_gradient(Spectrum<const S> v, Index tile_y, Index tile_x, ChannelRange channels,
                    S* image_grad) const override {
    // V [edge·edge, Kh·Kw·Cin]; image_grad [H, W, Cin]
    visit(tile_y, tile_x, channels, [&](Index place, Index count, Index offset) {
      if (offset < 0) return;
      for (Index i = 0; i < count; ++i) image_grad[offset + i] += v.data[place + i];
    });
  }

  void store(Spectrum<const S> m, ChannelRange channels, S* pixels) const override {
    // M [edge·edge, Cout]; pixels [edge·edge, channels.count()]
    for (Index pixel = 0; pixel < kEdge * kEdge; ++pixel)
      std::copy_n(m.data + pixel * m.row + channels.first, channels.count(), pixels + pixel * channels.count());
  }

  void load_gradient(const S* pixels, ChannelRange channels, Spectrum<S> m) const override {
    // pixels [edge·edge, channels.count()]; M [edge·edge, Cout]
    for (Index pixel = 0; pixel < kEdge * kEdge; ++pixel)
      std::copy_n(pixels + pixel * channels.count(), channels.count(), m.data + pixel * m.row + channels.first);
  }

  void weights(const Point<S>& theta, Index weight, bool transposed, Index panel, Index first, Index last, S* u,
               Index) const override {
    // weight [Cout, Cin, Kh, Kw]; U [Kh·Kw·Cin, Cout] or Uᵀ: of a panel [rows, kPanel], rows [first, last)
    const Index inputs = this->shape().in.channels;
    const Index columns = transposed ? this->depth() : this->shape().out.channels;
    const Index begin = panel * kPanel<S>;
    const Index count = std::min(kPanel<S>, columns - begin);
    for (Index k = first; k < last; ++k) {
      S* to = u + k * kPanel<S>;
      for (Index i = 0; i < count; ++i) {
        const Index channel = transposed ? k : begin + i;
        const Index place = transposed ? begin + i : k;  // (tap, input channel)
        to[i] = theta[weight + (channel * inputs + place % inputs) * taps() + place / inputs];
      }
      std::fill(to + count, to + kPanel<S>, S{0});
    }
  }

  void weight_gradient(Spectrum<const S> du, Index copies, Index copy, ChannelRange channels, ChannelRange inputs,
                       S* weight_grad) const override {
    // dU [Kh·Kw·Cin, Cout from channels.first on] in `copies`; weight_grad [Cout, Cin, Kh, Kw]
    for (Index o = channels.first; o < channels.last; ++o)
      for (Index i = inputs.first; i < inputs.last; ++i)
        for (Index tap = 0; tap < taps(); ++tap) {
          const S* from = du.data + (tap * this->shape().in.channels + i) * du.row + o - channels.first;
          S sum = from[0];
          for (Index number = 1; number < copies; ++number) sum += from[number * copy];
          weight_grad[(o * this->shape().in.channels + i) * taps() + tap] = sum;
        }
  }

 private:
  Index taps() const { return this->shape().kernel_height * this->shape().kernel_width; }

  /// Runs of the channels of one patch, tap by tap; (top, left): the pixel under its first tap.
  template <class Visit>
  void visit_taps(Index pixel, Index top, Index left, ChannelRange channels, Visit&& visit) const {
    const ConvolutionShape& s = this->shape();
    for (Index tap = 0; tap < taps(); ++tap) {
      const Index y = top + tap / s.kernel_width * s.dilation;
      const Index x = left + tap % s.kernel_width * s.dilation;
      const bool inside = y >= 0 && y < s.in.height && x >= 0 && x < s.in.width;
      visit(pixel * this->depth() + tap * s.in.channels + channels.first, channels.count(),
            inside ? (y * s.in.width + x) * s.in.channels + channels.first : Index{-1});
    }
  }

  /// Runs of channels of the tile's four patches: visit(place in V from the tile's first row on, elements, offset in
  /// the image or -1 where the run lies outside). Whole lines of the kernel at a time where all channels are asked for.
  template <class Visit>
  void visit(Index tile_y, Index tile_x, ChannelRange channels, Visit&& visit) const {
    const ConvolutionShape& s = this->shape();
    const bool all = channels.first == 0 && channels.last == s.in.channels;
    for (Index pixel = 0; pixel < kEdge * kEdge; ++pixel) {
      const Index oy = tile_y * kEdge + pixel / kEdge;
      const Index ox = tile_x * kEdge + pixel % kEdge;
      if (oy >= s.out.height || ox >= s.out.width) {
        // Such a row of V is not read by anyone's result, but must be a number: its gradient's rows are zero.
        for (Index tap = 0; tap < taps(); ++tap)
          visit(pixel * this->depth() + tap * s.in.channels + channels.first, channels.count(), Index{-1});
        continue;
      }
      const Index left = ox * s.stride - s.padding.left;
      if (s.dilation != 1) {
        visit_taps(pixel, oy * s.stride - s.padding.top, left, channels, visit);
        continue;
      }
      const Index inside_first = std::clamp<Index>(-left, 0, s.kernel_width);
      const Index inside_last = std::clamp<Index>(s.in.width - left, inside_first, s.kernel_width);
      for (Index ky = 0; ky < s.kernel_height; ++ky) {
        const Index y = oy * s.stride - s.padding.top + ky;
        const bool inside = y >= 0 && y < s.in.height;
        const Index place = pixel * this->depth() + ky * s.kernel_width * s.in.channels + channels.first;
        const Index origin = (y * s.in.width + left) * s.in.channels + channels.first;
        const auto run = [&](Index first, Index last, bool is_inside) {
          if (first == last) return;
          if (all) {
            visit(place + first * s.in.channels, (last - first) * s.in.channels,
                  is_inside ? origin + first * s.in.channels : Index{-1});
          } else {
            for (Index kx = first; kx < last; ++kx)
              visit(place + kx * s.in.channels, channels.count(), is_inside ? origin + kx * s.in.channels : Index{-1});
          }
        };
        run(0, inside_first, false);
        run(inside_first, inside_last, inside);
        run(inside_last, s.kernel_width, false);
      }
    }
  }
};

}  // namespace

template <class S>
std::unique_ptr<TileForm<S>> make_tile_form(const ConvolutionShape& shape, Engine engine) {
  const bool same_size = shape.kernel_height == 3 && shape.kernel_width == 3 && shape.stride == 1 &&
                         shape.dilation == 1 && shape.padding == Padding(1);
  if (engine == Engine::winograd && same_size) {
    if (shape.in.height == 2 && shape.in.width == 2)
      return std::make_unique<WinogradForm<S, winograd::Toeplitz>>(shape);
    if (shape.in.pixels() > 4 && shape.in.channels >= kFewestChannels)
      return std::make_unique<WinogradForm<S, winograd::F4>>(shape);
  }
  return std::make_unique<Im2col<S>>(shape);
}

template std::unique_ptr<TileForm<float>> make_tile_form<float>(const ConvolutionShape&, Engine);
template std::unique_ptr<TileForm<double>> make_tile_form<double>(const ConvolutionShape&, Engine);

}  // namespace gradscape
