#include "gradscape/nn/convolution.hpp"

#include <algorithm>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/nn/gemm.hpp"
#include "gradscape/nn/row_sums.hpp"

namespace gradscape {
namespace {

/// Rows of a product that one task should compute: enough to pay for packing the weights, few enough for the patches
/// to stay in L2; and at least this many tasks, so that small images still run in parallel.
constexpr Index kTaskRows = 256;
constexpr Index kTasks = 4;
/// Patch columns of the weight gradient that one task computes, and how many tasks there should be at least.
constexpr Index kGradientColumns = 256;
constexpr Index kGradientTasks = 8;

FeatureShape output_shape(FeatureShape in, const ConvolutionOptions& options) {
  const Index height = in.height + 2 * options.padding - options.kernel_height;
  const Index width = in.width + 2 * options.padding - options.kernel_width;
  check(height >= 0 && width >= 0, "a kernel fits into its padded image");
  return {height / options.stride + 1, width / options.stride + 1, options.channels};
}

/// Scratch of the calling thread; valid until its next call.
template <class S>
S* thread_scratch(Index size) {
  thread_local Vector<S> scratch;
  if (scratch.size() < size) scratch.resize(size);
  return scratch.data();
}

}  // namespace

template <class S>
Convolution<S>::Convolution(Layout& parameters, const std::string& name, FeatureShape in,
                            const ConvolutionOptions& options, std::uint32_t ordinal)
    : Layer<S>(in, output_shape(in, options)),
      options_(options),
      weight_(parameters.add(name + ".weight",
                             {options.channels, in.channels, options.kernel_height, options.kernel_width})),
      bias_(options.bias ? parameters.add(name + ".bias", {options.channels}) : -1),
      ordinal_(ordinal),
      packed_(options.channels * patch_size()) {}

template <class S>
void Convolution<S>::initialise(S* theta, Init init, std::uint64_t seed) const {
  const Index area = options_.kernel_height * options_.kernel_width;
  initialise_linear(theta + weight_, options_.channels * patch_size(), bias_ < 0 ? nullptr : theta + bias_,
                    options_.channels, this->in().channels * area, options_.channels * area, init, seed, ordinal_);
}

template <class S>
Index Convolution<S>::chunk_samples(Index samples) const {
  const Index rows = std::min(kTaskRows, samples * this->out().pixels() / kTasks);
  return std::max<Index>(1, rows / this->out().pixels());
}

template <class S>
template <class Visit>
void Convolution<S>::visit_patches(Index first_sample, Index last_sample, Index first_column, Index last_column,
                                   Visit&& visit) const {
  const FeatureShape in = this->in();
  const FeatureShape out = this->out();
  const Index line = options_.kernel_width * in.channels;  // patch columns of one kernel row: contiguous in x too
  Index row = 0;
  for (Index sample = first_sample; sample < last_sample; ++sample) {
    for (Index oy = 0; oy < out.height; ++oy) {
      for (Index ox = 0; ox < out.width; ++ox, ++row) {
        const Index left = ox * options_.stride - options_.padding;
        const Index inside_first = std::max<Index>(0, -left) * in.channels;
        const Index inside_last = std::min(options_.kernel_width, in.width - left) * in.channels;
        for (Index ky = 0; ky < options_.kernel_height; ++ky) {
          const Index y = oy * options_.stride - options_.padding + ky;
          if (y < 0 || y >= in.height) continue;
          const Index begin = std::max(first_column, ky * line + inside_first);
          const Index end = std::min(last_column, ky * line + inside_last);
          if (begin >= end) continue;
          const Index origin = ((sample * in.height + y) * in.width + left) * in.channels;
          visit(row, begin, end - begin, origin + begin - ky * line);
        }
      }
    }
  }
}

template <class S>
void Convolution<S>::gather(const S* x, Index first_sample, Index last_sample, Index first_column, Index last_column,
                            S* patches) const {
  const Index width = last_column - first_column;
  if (options_.padding > 0) std::fill_n(patches, (last_sample - first_sample) * this->out().pixels() * width, S{0});
  visit_patches(first_sample, last_sample, first_column, last_column,
                [&](Index row, Index column, Index count, Index source) {
                  std::copy_n(x + source, count, patches + row * width + column - first_column);
                });
}

template <class S>
void Convolution<S>::forward(const LayerInputs<S>& inputs, ConstRows<S> x, Rows<S> y) {
  const Index channels = options_.channels;
  const Index in_channels = this->in().channels;
  const Index area = options_.kernel_height * options_.kernel_width;
  const Index patch = patch_size();
  const S* weight = inputs.theta + weight_;
  parallel::for_each(channels, [&](Index out) {
    for (Index in = 0; in < in_channels; ++in)
      for (Index k = 0; k < area; ++k)
        packed_[out * patch + k * in_channels + in] = weight[(out * in_channels + in) * area + k];
  });

  const S* bias = bias_ < 0 ? nullptr : inputs.theta + bias_;
  const Index samples = this->samples(x);
  parallel::for_chunks(samples, chunk_samples(samples), [&](Index first, Index last, Index) {
    const Index rows = (last - first) * this->out().pixels();
    S* patches = thread_scratch<S>(rows * patch);
    gather(x.data(), first, last, 0, patch, patches);
    S* out = y.data() + first * this->out().size();
    multiply_transposed_b<S>({patches, rows, patch, patch}, {packed_.data(), channels, patch, patch},
                             {out, rows, channels, channels});
    if (bias == nullptr) return;
    for (Index row = 0; row < rows; ++row)
      for (Index channel = 0; channel < channels; ++channel) out[row * channels + channel] += bias[channel];
  });
}

template <class S>
void Convolution<S>::backward(const LayerInputs<S>&, ConstRows<S> x, Rows<S> dy, Rows<S> dx, S* grad) {
  const Index channels = options_.channels;
  weight_gradient(x, as_const(dy), grad);
  if (bias_ >= 0) {
    const auto sums = column_sums(as_const(dy));
    for (Index channel = 0; channel < channels; ++channel)
      grad[bias_ + channel] = static_cast<S>(sums[static_cast<std::size_t>(channel)]);
  }
  if (dx.data() == nullptr) return;

  const Index patch = patch_size();
  const Index samples = this->samples(x);
  parallel::for_chunks(samples, chunk_samples(samples), [&](Index first, Index last, Index) {
    const Index rows = (last - first) * this->out().pixels();
    S* patches = thread_scratch<S>(rows * patch);
    multiply<S>({dy.data() + first * this->out().size(), rows, channels, channels},
                {packed_.data(), channels, patch, patch}, {patches, rows, patch, patch});
    S* target = dx.data();
    std::fill_n(target + first * this->in().size(), (last - first) * this->in().size(), S{0});
    visit_patches(first, last, 0, patch, [&](Index row, Index column, Index count, Index source) {
      const S* from = patches + row * patch + column;
      for (Index i = 0; i < count; ++i) target[source + i] += from[i];
    });
  });
}

template <class S>
void Convolution<S>::weight_gradient(ConstRows<S> x, ConstRows<S> dy, S* grad) {
  const Index channels = options_.channels;
  const Index patch = patch_size();
  const Index samples = this->samples(x);
  const Index chunk = chunk_samples(samples);
  const Index chunks = parallel::chunk_count(samples, chunk);
  // A task owns a block of columns and adds up its group of chunks in order; groups are added up in order afterwards.
  // There is more than one group only where the columns alone would give too few tasks, and then the copies are small.
  const Index columns = parallel::chunk_count(patch, kGradientColumns);
  const Index groups = std::clamp<Index>(kGradientTasks / columns, 1, chunks);
  const Index size = channels * patch;
  packed_grad_.resize(groups * size);
  parallel::for_each(columns * groups, [&](Index task) {
    const Index group = task / columns;
    const Index first_column = task % columns * kGradientColumns;
    const Index last_column = std::min(first_column + kGradientColumns, patch);
    const Index width = last_column - first_column;
    const Index first_chunk = group * chunks / groups;
    const Index last_chunk = (group + 1) * chunks / groups;
    for (Index number = first_chunk; number < last_chunk; ++number) {
      const Index first = number * chunk;
      const Index last = std::min(first + chunk, samples);
      const Index rows = (last - first) * this->out().pixels();
      S* patches = thread_scratch<S>(rows * width);
      gather(x.data(), first, last, first_column, last_column, patches);
      multiply_transposed_a<S>({dy.data() + first * this->out().size(), rows, channels, channels},
                               {patches, rows, width, width},
                               {packed_grad_.data() + group * size + first_column, channels, width, patch},
                               number == first_chunk ? Into::overwrite : Into::accumulate);
    }
  });

  const Index in_channels = this->in().channels;
  const Index area = options_.kernel_height * options_.kernel_width;
  S* weight = grad + weight_;
  parallel::for_each(channels, [&](Index out) {
    for (Index in = 0; in < in_channels; ++in)
      for (Index k = 0; k < area; ++k) {
        const S* source = packed_grad_.data() + out * patch + k * in_channels + in;
        S sum = source[0];
        for (Index group = 1; group < groups; ++group) sum += source[group * size];
        weight[(out * in_channels + in) * area + k] = sum;
      }
  });
}

template class Convolution<float>;
template class Convolution<double>;

}  // namespace gradscape
