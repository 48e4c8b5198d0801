// What the parts of training, sweeping and merging cost here, from a short timing of the run's own objects.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

/// base + each·n.
struct LinearCost {
  double base = 0;
  double each = 0;

  double of(double n) const { return base + each * n; }
};

/// What a survey of the run's steps costs beside training. CPU seconds as below.
struct SurveyCosts {
  std::string kind;     // as in survey_kinds.hpp
  double row = 0;       // what is made of a step: of a sweep, all multipliers
  bool floors = false;  // whether it measures noise floors, one for a segment
  double floor = 0;
  LinearCost write = {}, read = {}, bytes = {};  // of a file, by its rows
  std::int64_t memory_bytes = 0;
};

/// CPU seconds (of all threads, user and system) unless the name says bytes.
struct UnitCosts {
  double load = 0;   // the data set
  double setup = 0;  // fingerprint of the data, network
  double init = 0;   // initial weights
  double step = 0;   // of training
  double test = 0;   // on all test images
  double checkpoint_write = 0;
  double checkpoint_read = 0;
  LinearCost trace_write, trace_read;  // of a file, by its steps
  std::int64_t checkpoint_bytes = 0;
  LinearCost trace_bytes;
  std::int64_t train_memory_bytes = 0;
  std::int64_t total_steps = 0;
  std::int64_t checkpoint_every = 0;  // what "auto" comes to; else as configured
  std::vector<SurveyCosts> surveys;   // the sweep, then the kinds of sweep.also

  /// What the arithmetic of steps, probes and tests costs where it takes `factor` times as long.
  UnitCosts with_arithmetic(double factor) const;
};

/// Trains and surveys a few steps of the run in memory, and writes and reads its kinds of files in a temporary folder.
/// Takes some seconds, more only where single steps do; `working` is called now and then. On Ctrl-C throws Error with
/// ExitCode::interrupted.
UnitCosts measure_unit_costs(const Experiment& experiment, const std::function<void()>& working);

}  // namespace gradscape
