// The per-channel part of batch normalisation, shared by the layer BatchNorm and by convolutions that carry one.
#pragma once

#include <string>
#include <vector>

#include "gradscape/nn/layer.hpp"
#include "gradscape/nn/tensors.hpp"

namespace gradscape {

struct BatchNormOptions {
  double eps = 1e-5;      // added to the variance
  double momentum = 0.1;  // running ← (1 − momentum)·running + momentum·batch
  bool affine = true;     // learn γ (weight) and β (bias)
  bool track = true;      // keep running statistics; without them evaluation uses the batch's own
};

/// Normalises channels over all rows of an activation (Ioffe and Szegedy 2015): y = γ·(x − mean)/√(var + eps) + β, with
/// the biased batch variance in train mode and the running values in evaluation mode; running_var takes the unbiased
/// variance, as torch.nn.BatchNorm2d does. The caller passes over the rows; this class knows what to do per channel.
template <class S>
class ChannelNorm {
 public:
  /// Adds NAME.weight, NAME.bias to `parameters` and NAME.running_mean, NAME.running_var, NAME.num_batches_tracked to
  /// `buffers`.
  ChannelNorm(Layout& parameters, Layout& buffers, const std::string& name, Index channels,
              const BatchNormOptions& options);

  const BatchNormOptions& options() const { return options_; }

  void initialise(S* theta) const;
  void initialise_buffers(S* buffers) const;

  bool uses_batch_statistics(const Pass& pass) const { return pass.mode == Mode::train || !options_.track; }

  /// Before the input of a batch is there: sign() becomes 1, 0 or −1 as γ is.
  void prepare(const LayerInputs<S>& inputs);
  const S* sign() const { return sign_.data(); }

  /// Before the statistics of a batch are taken. Error where `rows`, the values per channel, are fewer than two.
  void require_rows(Index rows) const;
  /// Takes the batch's mean and Σ (x − mean)², per channel, over `rows` rows, and updates the running statistics.
  void take_batch(const LayerInputs<S>& inputs, const std::vector<double>& mean, const std::vector<double>& squares,
                  Index rows);
  /// Takes the running statistics.
  void take_running(const LayerInputs<S>& inputs);

  /// Forward, after a take: y = (x − mean)·scale + shift.
  const S* mean() const { return mean_.data(); }
  const S* scale() const { return scale_.data(); }
  const S* shift() const { return shift_.data(); }
  double exact_mean(Index channel) const { return exact_mean_[static_cast<std::size_t>(channel)]; }

  /// From Σ dy and Σ dy·(x − mean) per channel, one after the other in `sums`: writes ∂L/∂γ and ∂L/∂β to `grad` and
  /// sets what the backward pass takes: dx = scale·(dy − centre − (x − mean)·slope).
  void take_gradient(const LayerInputs<S>& inputs, const std::vector<double>& sums, Index rows, S* grad);
  const S* centre() const { return centre_.data(); }
  const S* slope() const { return slope_.data(); }

 private:
  void take(const LayerInputs<S>& inputs);

  std::string name_;
  Index channels_;
  BatchNormOptions options_;
  ChannelAffine affine_;
  RunningTensors running_;
  std::vector<double> exact_mean_;  // used by the last forward
  std::vector<double> inv_std_;     // 1/√(var + eps), likewise
  Vector<S> sign_, mean_, scale_, shift_, centre_, slope_;
};

}  // namespace gradscape
