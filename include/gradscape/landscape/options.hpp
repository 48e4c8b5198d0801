#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gradscape {

/// Training steps first, first + every, … up to last, inclusive. last −1: the end of the run, the step after the last
/// update included.
struct StepRange {
  std::int64_t first = 0;
  std::int64_t last = -1;
  std::int64_t every = 1;
  bool operator==(const StepRange&) const = default;
};

/// Section [sweep]: which steps are probed, and how.
struct SweepOptions {
  std::string kind = "direction";  // "runs": no probes; the band is across runs, one for each learning rate
  std::int64_t every = 1;
  std::int64_t first = 0;
  std::int64_t last = -1;  // inclusive; -1: the end of the run, the step after the last update included
  std::string steps;       // ranges of them, as in "0:20:1,40:400:20"; empty: first, last and every say which
  std::string also;  // kinds of surveys, separated by commas, that `run` makes of the same steps, as in "shift,theorem"
  std::vector<double> multipliers = {0.5, 1.0, 2.0, 4.0};  // of the learning rate (Santurkar et al. 2018, VGG)
  std::vector<double> step_sizes;                          // in place of multipliers: step sizes as they are
  std::string direction = "gradient";
  bool layers = false;               // what each layer contributes to gradient difference and beta
  std::string noise = "step";        // of model.noise: "fresh": each cell has a draw of its own
  std::string precision = "native";  // "double": gradient and cells in double, also where the run is in float
  std::string on = "batch";          // "train", "test": the loss of a fixed set of images too, at each point
  std::string mode = "train";        // of that loss: batch statistics, dropout; "evaluation": running statistics
  std::int64_t on_images = 1000;     // of the set; 0: all
  bool on_gradients = false;         // the set's gradients too

  /// The columns of a grid: multiples of the learning rate or of the update, or step sizes. Those below 0 lie behind
  /// theta; they are in no band.
  const std::vector<double>& points() const { return step_sizes.empty() ? multipliers : step_sizes; }
};

/// Section [surface]: the loss on a line or a plane through a checkpoint (Li et al. 2018; docs/guide/surfaces.md).
struct SurfaceOptions {
  std::string at = "last";   // the step of theta_c, the centre
  std::string x = "random";  // direction: landscape/surface.hpp
  std::string y;             // empty: a line
  std::string through;       // three networks, separated by commas, whose plane it is, in place of x and y
  std::string directions;    // a directions file to take x and y from
  std::string xlim;          // "first:last:points"; empty: as suits the directions
  std::string ylim;
  std::string normalise = "filter";  // of random directions
  std::string ignore = "biasbn";     // of random directions: zeros in biases and norms; "none": random there too
  std::int64_t random_seed = 1;      // of random directions
  std::int64_t repeats = 1;          // how often random directions are drawn
  std::int64_t images = 1000;        // training images, evenly spaced; 0: all
  std::int64_t test_images = -1;     // test images likewise; -1: none
  std::int64_t images_at_once = 0;   // in a batch; 0: train.batch_size
  std::string batch_norm = "auto";   // which statistics batch norm takes
  bool grad_norm = false;            // the norm of the gradient in each cell too
  std::string trajectory;            // checkpoints drawn in the plane: "all", "none", ranges; empty: all with pca
};

}  // namespace gradscape
