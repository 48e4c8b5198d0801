// A run's network at one of its checkpoints, evaluated or given away.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gradscape/config/experiment.hpp"
#include "gradscape/nn/layer.hpp"
#include "gradscape/study/run_at.hpp"

namespace gradscape {

struct EvaluateRequest {
  std::string images;  // a safetensors file; empty: the run's test images
  Mode mode = Mode::evaluation;
  std::optional<std::string> precision;  // "float", "double"; not given: the run's
  std::string to;                        // a safetensors file for the logits; empty: none
};

/// What was found. A value of the file that ours is compared with is named as the file names it.
struct EvaluateResult {
  Index images = 0;
  double loss = 0;                                          // NaN without labels
  double accuracy = 0;                                      // likewise
  std::vector<std::pair<std::string, double>> differences;  // ‖ours − file's‖/‖file's‖ of what the file has
};

/// Evaluates the network on images that a safetensors file holds as the network sees them, `images` [N, C, H, W] and,
/// if there, `labels` [N] (I64): one batch. Or on the run's test images, in batches of train.batch_size, weighted by
/// their sizes. In train mode batch norm takes each batch's statistics; dropout and noise are off in both modes.
/// Compares with what tools/from_pytorch.py writes: `logits.MODE`, `loss.MODE`, `grad_norm.MODE` and the gradient of
/// all parameters, `grad.NAME` or `grad_evaluation.NAME`; in evaluation mode also with `logits` and `loss`. Error where
/// images do not fit the network, or labels are out of range.
EvaluateResult evaluate_run(const RunAt& at, const Experiment& experiment, const EvaluateRequest& request);

/// Writes theta and buffers of the checkpoint as a safetensors file.
void export_run(const RunAt& at, const Experiment& experiment, const std::string& to);

}  // namespace gradscape
