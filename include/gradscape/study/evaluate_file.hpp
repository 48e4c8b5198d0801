// A network evaluated on the images of a file, beside what another program says of them.
#pragma once

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gradscape/nn/network.hpp"

namespace gradscape {

/// What was found. A value of the file that ours is compared with is named as the file names it.
struct EvaluateResult {
  Index images = 0;
  double loss = std::numeric_limits<double>::quiet_NaN();      // without labels
  double accuracy = std::numeric_limits<double>::quiet_NaN();  // likewise
  std::vector<std::pair<std::string, double>> differences;  // ‖ours − file's‖/‖file's‖ of what the file has
};

/// Evaluates a network on images that a safetensors file holds as the network sees them, `images` [N, C, H, W] and, if
/// there, `labels` [N] (I64): one batch. Compares with what tools/from_pytorch.py writes: `logits.MODE`, `loss.MODE`,
/// `grad_norm.MODE` and the gradient of all parameters, `grad.NAME` or `grad_evaluation.NAME`; in evaluation mode also
/// with `logits` and `loss`. Afterwards network.logits() are those of the images. Error where images do not fit the
/// network, or labels are out of range.
template <class S>
EvaluateResult evaluate_file(Network<S>& network, const Vector<S>& theta, const Vector<S>& buffers, const Pass& pass,
                             const std::string& path);

}  // namespace gradscape
