#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "gradscape/core/parallel.hpp"
#include "gradscape/core/scratch.hpp"
#include "gradscape/kernel/gemm.hpp"
#include "gradscape/kernel/row_sums.hpp"
#include "gradscape/kernel/tile_form.hpp"
#include "gradscape/nn/channel_norm.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {

struct ConvolutionOptions {
  Index channels = 0;  // of the output
  Index kernel_height = 3;
  Index kernel_width = 3;
  Index stride = 1;
  Padding padding = {};  // zeros
  bool bias = true;
  std::optional<BatchNormOptions> norm = {};  // batch norm of the convolution's output
  bool relu = false;                          // then max(·, 0)
  bool max_pool = false;                      // then the maximum over windows 2×2, stride 2
  Index dilation = 1;                         // pixels from one tap to the next
  bool by_ranges = false;  // the weight gradient is summed over ranges of samples, where U is small: another order of
                           // the sum, which is faster
};

/// Cross-correlation as torch.nn.Conv2d (weight [Cout, Cin, Kh, Kw], zero padding, no groups), followed, if
/// asked for, by batch norm, ReLU and 2×2 max-pool (torch.nn.BatchNorm2d, ReLU, MaxPool2d): what follows is done while
/// tiles are stored, and its adjoint while they are loaded. x [N·H·W, Cin] → y [N·H'·W', Cout] with
/// H' = (H + top + bottom − dilation·(Kh − 1) − 1) / stride + 1, rounded down, and half of that, rounded down, after
/// pooling.
///
/// Derivatives as PyTorch's: 0 at ReLU's kink, to the first maximum of a window; NaN stays NaN and wins over numbers.
/// With norm the window's winner is sought before it, by the sign of γ, which differs only where norm rounds two values
/// to one.
template <class S>
class Convolution : public Layer<S> {
 public:
  /// Adds NAME.weight and NAME.bias to `parameters`, then what NORM_NAME needs (ChannelNorm); `ordinal`: see
  /// initialise_linear. The kernel must fit into the padded image.
  Convolution(Layout& parameters, Layout& buffers, const std::string& name, const std::string& norm_name,
              FeatureShape in, const ConvolutionOptions& options, std::uint32_t ordinal, Engine engine);

  /// Without norm, on tensors that are there.
  Convolution(const LinearTensors& tensors, FeatureShape in, const ConvolutionOptions& options, std::uint32_t ordinal,
              Engine engine);

  std::string describe() const override;
  /// All taps of every output pixel, those on the padding too.
  double flops() const override {
    return 2.0 *
           static_cast<double>(shape_.kernel_height * shape_.kernel_width * shape_.in.channels * shape_.out.size());
  }
  Index fewest_samples() const override { return norm_ && shape_.out.pixels() == 1 ? 2 : 1; }
  void initialise(S* theta, Init init, std::uint64_t seed) const override;
  void initialise_buffers(S* buffers) const override;
  bool takes_deferred() const override { return fused(); }
  bool can_defer() const override { return norm_.has_value() && !options_.max_pool; }
  Taken<S> deferred(Index samples) const override;
  Index plan(Index samples) override;
  void release() override;
  void forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) override;
  void backward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) override;

 private:
  /// At most so many channels of one task that transforms tiles, and where there are few groups of samples fewer, to
  /// have enough tasks. Long runs of memory matter: 64 channels are 5 % slower over a whole VGG-A.
  static constexpr Index kChannels = 256;
  static constexpr Index kFewestChannels = 64;
  static constexpr Index kFewestTasks = 8;
  /// Rows and columns of one task that multiplies; columns are a multiple of kPanel.
  static constexpr Index kProductRows = 512;
  static constexpr Index kProductColumns = 128;
  /// Padding between frequencies, in elements, so that they do not all map to the same cache sets.
  static constexpr Index kGap = 144;

  /// What a batch of some size needs: how it is cut, and where the matrices lie in the workspace. All functions of
  /// shape and batch size alone.
  struct Plan {
    Index samples = 0;
    Index chunk = 0;  // samples whose V and M are there at a time
    Index chunks = 0;
    Index group = 0;
    Index columns = 0;       // columns of U at a time
    Index back_columns = 0;  // columns of Uᵀ at a time
    Index copies = 0;        // of dU, summed in order; more than one where there would be too few tasks
    Index v = 0, m = 0, u = 0, du = 0, size = 0;                            // offsets in the workspace and its elements
    Index v_frequency = 0, m_frequency = 0, du_frequency = 0, du_copy = 0;  // distances
    // Where fused(): memory for each thread, `slots` of them.
    Index ranges = 0;  // of samples, whose weight gradients are summed each by one thread; 0: by frequency
    Index slots = 0;
    Index slot = 0, slot_size = 0;                     // offset of the first, elements of each
    Index slot_v_frequency = 0, slot_m_frequency = 0;  // distances
    Index slot_image = 0;                              // in a slot: an image, once its norm is applied
  };

  Index tiles_down() const { return (shape_.out.height + form_->edge() - 1) / form_->edge(); }
  Index tiles_across() const { return (shape_.out.width + form_->edge() - 1) / form_->edge(); }
  Index rows_per_sample() const { return tiles_down() * tiles_across() * form_->rows(); }
  Index last_of(Index chunk) const { return std::min((chunk + 1) * plan_.chunk, plan_.samples); }
  /// Where U is small, one thread takes a group of samples from pixels to pixels, in memory of its own that stays in
  /// its cache.
  bool fused() const;
  /// Bytes of U.
  Index weight_bytes() const {
    return form_->frequencies() * form_->depth() * options_.channels * static_cast<Index>(sizeof(S));
  }
  /// Samples of one task, and of one partial sum.
  Index group() const { return std::max<Index>(1, kSumRows / shape_.out.pixels()); }
  /// Whether route_ says where gradients go; where ReLU follows norm directly, norm's input says it.
  bool routes() const { return options_.max_pool || (options_.relu && !norm_); }
  bool gated() const { return options_.relu && !routes(); }
  /// What normalise() does to norm's input, pooled.
  DeferredNorm<S> output_norm() const { return {norm_->mean(), norm_->scale(), norm_->shift(), options_.relu}; }
  /// Distance between the sums of one kind in `partial_`: whole vectors of channels.
  Index sum_width() const { return (options_.channels + 7) / 8 * 8; }
  Index window() const { return options_.max_pool ? 2 : 1; }
  /// With norm: its input where pooling lets it through.
  const S* pooled() const { return options_.max_pool ? pooled_.data() : normalised_.data(); }
  Spectrum<S> v(S* workspace) const { return {workspace + plan_.v, plan_.v_frequency, form_->depth()}; }
  Spectrum<S> m(S* workspace) const { return {workspace + plan_.m, plan_.m_frequency, options_.channels}; }

  /// body(group, first, last, channels): for groups of samples, each with a block of channels, in parallel.
  template <class Body>
  void for_groups(Index first, Index last, Index channels, Body&& body) const {
    const Index groups = parallel::chunk_count(last - first, plan_.group);
    Index size = kChannels;
    while (size > kFewestChannels && groups * parallel::chunk_count(channels, size) < kFewestTasks) size /= 2;
    const Index blocks = parallel::chunk_count(channels, size);
    parallel::for_each(groups * blocks, [&](Index task) {
      const Index begin = first + task / blocks * plan_.group;
      const Index channel = task % blocks * size;
      body(begin / plan_.group, begin, std::min(begin + plan_.group, last),
           ChannelRange{channel, std::min(channel + size, channels)});
    });
  }

  /// body(tile_y, tile_x, row of V and M) for the tiles of a sample.
  template <class Body>
  void for_tiles(Index sample, Index first_sample, Body&& body) const {
    Index row = (sample - first_sample) * rows_per_sample();
    for (Index y = 0; y < tiles_down(); ++y)
      for (Index x = 0; x < tiles_across(); ++x, row += form_->rows()) body(y, x, row);
  }

  Spectrum<S> slot_v(S* workspace, Index slot) const {
    return {workspace + plan_.slot + slot * plan_.slot_size, plan_.slot_v_frequency, form_->depth()};
  }
  Spectrum<S> slot_m(S* workspace, Index slot) const {
    const Spectrum<S> v = slot_v(workspace, slot);
    return {v.data + form_->frequencies() * plan_.slot_v_frequency, plan_.slot_m_frequency, options_.channels};
  }
  /// body(group, first, last, slot): for the groups of samples of [first, last), in parallel.
  template <class Body>
  void for_whole_groups(Index first, Index last, Body&& body) const {
    parallel::for_each_in_slots(parallel::chunk_count(last - first, plan_.group), [&](Index number, Index slot) {
      const Index begin = first + number * plan_.group;
      body(begin / plan_.group, begin, std::min(begin + plan_.group, last), slot);
    });
  }

  void load_tiles(const S* x, Index first, Index last, Spectrum<S> v) const;
  void load_image(const S* image, Index sample, Index first, ChannelRange channels, Spectrum<S> v) const;
  void load_group(const LayerInputs<S>& inputs, const S* x, Index begin, Index end, Index first, Index slot,
                  Spectrum<S> v) const;
  void store_group(Index group, Index begin, Index end, Index first, ChannelRange channels, Spectrum<S> m, S* y);
  void load_group_gradients(const S* dy, Index group, Index begin, Index end, Index first, ChannelRange channels,
                            Spectrum<S> m);
  void add_group_gradients(Spectrum<S> dv, Index begin, Index end, Index first, ChannelRange channels, S* dx) const;
  void multiply_group(Spectrum<S> a, Index rows, const S* u, Index depth, Index columns, Spectrum<S> c) const;
  void forward_in_groups(const LayerInputs<S>& inputs, const S* x, S* y);
  void backward_in_ranges(const LayerInputs<S>& inputs, const S* x, const S* dy, S* dx, S* grad);
  void sum_bias(S* grad) const;
  void gather_weight_gradient(S* du, Index column, Index columns, Index stride, S* grad) const;
  void make_weights(const Point<S>& theta, bool transposed, Index first, Index columns, S* u) const;
  Index weights_size() const;
  const S* keep_weights(const LayerInputs<S>& inputs);
  void multiply_spectra(Spectrum<S> a, Index rows, const S* u, Index depth, Index first, Index columns,
                        Spectrum<S> c) const;
  void store_tiles(Index first, Index last, Spectrum<S> m, S* y);
  void sum_pixels(S* pixels, Index height, Index across, ChannelRange channels, Index group, bool started);
  void pool(const S* pixels, Index height, Index across, ChannelRange channels, const S* bias, const S* sign,
            Index target, S* y);
  void take_statistics(const LayerInputs<S>& inputs);
  void normalise(S* y);
  void sum_gradients(const LayerInputs<S>& inputs, const S* dy, S* grad);
  void load_gradients(const S* dy, Index first, Index last, Spectrum<S> m);
  void spread(const S* dy, Index sample, Index tile_y, Index tile_x, ChannelRange channels, S* pixels,
              double* sums) const;
  void multiply_gradients(Spectrum<S> v, Spectrum<S> m, Index rows, Index first, Index columns, Into into, S* du) const;

  ConvolutionShape shape_;
  ConvolutionOptions options_;
  LinearTensors tensors_;
  std::uint32_t ordinal_;
  std::unique_ptr<TileForm<S>> form_;
  std::optional<ChannelNorm<S>> norm_;
  Plan plan_;
  Scratch<S> kept_;  // all blocks of columns of U, of theta kept_id_
  std::uint64_t kept_id_ = 0;
  Scratch<S> normalised_;        // with norm: its input [N·Ho·Wo, Cout], Ho×Wo being the pixels before pooling
  Scratch<S> pooled_;            // with norm and pooling: of each window the value that will be the largest
  Scratch<std::uint8_t> route_;  // per output: which pixel of the window it is, or kOff where ReLU was below 0
  Scratch<double> partial_;      // sums of groups of samples
  std::vector<double> sums_, squares_;
  Vector<S> zeros_, ones_, shift_;  // without norm: y = (x − 0)·1 + bias
};

}  // namespace gradscape
