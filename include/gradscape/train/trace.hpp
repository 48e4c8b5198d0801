#pragma once

#include <cstdint>
#include <vector>

namespace gradscape {

/// What is kept of every training step. Norms are over all parameters, in double.
struct TraceRecord {
  std::int64_t step = 0;
  double loss = 0;      // of the step's batch, at the weights before the update
  double accuracy = 0;  // fraction of the batch
  double lr = 0;
  double grad_norm = 0;    // ‖∇L‖₂
  double theta_norm = 0;   // ‖theta‖₂ before the update
  double update_norm = 0;  // ‖theta_{t+1} − theta_t‖₂
  double seconds = 0;      // wall time of the step, probes not counted
};

/// Loss and accuracy on the test images, in evaluation mode, after `step` updates.
struct TestRecord {
  std::int64_t step = 0;
  double loss = 0;
  double accuracy = 0;
};

struct Trace {
  std::vector<TraceRecord> steps;
  std::vector<TestRecord> tests;
};

}  // namespace gradscape
