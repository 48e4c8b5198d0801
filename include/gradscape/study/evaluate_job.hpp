// A run's network at one of its checkpoints, evaluated or given away.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gradscape/config/experiment.hpp"
#include "gradscape/study/evaluate_file.hpp"
#include "gradscape/study/run_at.hpp"

namespace gradscape {

struct EvaluateRequest {
  std::string images;  // a safetensors file; empty: the run's test images
  Mode mode = Mode::evaluation;
  std::optional<std::string> precision;  // "float", "double"; not given: the run's
  std::string to;                        // a safetensors file for the logits; empty: none
};

/// Evaluates the network on the images of a file, as evaluate_file() does, or on the run's test images, in batches of
/// train.batch_size, weighted by their sizes. In train mode batch norm takes each batch's statistics; dropout and noise
/// are off in both modes.
EvaluateResult evaluate_run(const RunAt& at, const Experiment& experiment, const EvaluateRequest& request);

/// Writes theta and buffers of the checkpoint as a safetensors file.
void export_run(const RunAt& at, const Experiment& experiment, const std::string& to);

}  // namespace gradscape
