// What a configuration costs on this machine: times, and how they compare with what its cores can do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gradscape/config/experiment.hpp"
#include "gradscape/cost/fma_peak.hpp"
#include "gradscape/host/cpu_info.hpp"

namespace gradscape {

struct BenchRequest {
  int repetitions = 5;  // timed ones; a warm-up comes first
  bool layers = false;  // time each layer too
};

/// Seconds over the repetitions.
struct Timing {
  double median = 0;
  double min = 0;
  double max = 0;
};

/// The extremes and the median (of an even number the mean of the middle two). `seconds` is not empty.
Timing make_timing(std::vector<double> seconds);

/// One kind of work. flops: floating-point operations per repetition by direct count, whatever the method of
/// computation: two per multiply-add of convolutions and dense layers, padding counted as data, forward once and
/// backward twice (the first layer's gradient of the images included, as is customary); 0 where there are none.
struct BenchRow {
  std::string name;
  double flops = 0;
  Timing seconds;

  double gflops() const { return flops / seconds.median / 1e9; }
};

struct BenchLayer {
  std::string name;
  BenchRow forward;
  BenchRow backward;
};

struct BenchResult {
  CpuInfo cpu;
  int threads = 0;
  double load_before = 0;          // the system's load average over the last minute; -1: unknown
  std::vector<FmaPeak> peaks;      // in the run's precision
  std::int64_t parameters = 0;     // of the network
  double forward_flops = 0;        // per image
  BenchRow forward;                // train mode, no gradient
  BenchRow forward_backward;       // loss and gradient
  BenchRow probed_step;            // the sum of the three below
  BenchRow training_step;          // batch, loss and gradient, norms, update
  BenchRow probes;                 // all multipliers: weights, loss and gradient there, norms, cosine
  BenchRow storing;                // the step's record written as a shard of its own
  std::vector<BenchLayer> layers;  // of forward_backward, in order, the loss last; empty unless asked for
};

/// Measures the experiment's network, optimiser and probes on synthetic images made for it: one batch of 32×32 pixels
/// and 3 channels. [data] source and numbers, the length of training and the selection of steps have no influence.
/// Every repetition does each kind of work once. The shard goes to a temporary folder, synced to disk and renamed as
/// every file: a run stores as much once per checkpoint interval, so this is its upper bound. On Ctrl-C throws Error
/// with ExitCode::interrupted.
BenchResult bench(const Experiment& experiment, const BenchRequest& request);

}  // namespace gradscape
