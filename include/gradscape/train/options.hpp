#pragma once

#include <cstdint>
#include <string>

namespace gradscape {

/// Stands for "auto" in a whole number's place.
inline constexpr std::int64_t kAutomatic = 0;

/// Section [train].
struct TrainOptions {
  std::string optimizer = "sgd";
  double lr = 0.1;
  std::string schedule = "constant";
  std::int64_t schedule_step = 0;  // step: multiply the rate every so many steps
  double schedule_gamma = 0.1;     // step: by this
  double lr_min = 0.0;             // cosine: the rate at the last step
  std::int64_t warmup_steps = 0;   // before any schedule but onecycle: the rate rises linearly to the schedule's first
  double warmup_factor = 1.0 / 3;  // from this part of it
  double cycle_rise = 0.3;         // onecycle: the part of the steps in which the rate rises to lr
  double cycle_first = 25;         // onecycle: lr is so many times the first rate
  double cycle_last = 1e4;         // onecycle: and that so many times the last
  double momentum = 0.0;           // sgd, sam, rmsprop
  bool nesterov = false;           // sgd, sam
  double weight_decay = 0.0;       // L2: adds weight_decay·theta to the gradient before the update; adamw: decoupled
  double beta1 = 0.9;              // adam, adamw
  double beta2 = 0.999;            // adam, adamw
  double rms_decay = 0.99;         // rmsprop: of the mean of squares (PyTorch's alpha)
  bool rms_centered = false;       // rmsprop
  double sam_rho = 0.05;           // sam: distance at which the second gradient is taken
  double eps = 1e-8;               // adam, adamw, rmsprop
  std::int64_t batch_size = 128;
  std::int64_t steps = 0;  // 0: counted in epochs
  std::int64_t epochs = 0;
  std::int64_t checkpoint_every = 500;    // kAutomatic until the run's length and the checkpoint's size are known
  std::int64_t checkpoint_segments = 16;  // where checkpoint_every is "auto": pieces of the run, one for each task
  double checkpoint_gb = 4;               // and what all checkpoints of the run may take, in 10⁹ bytes
  std::int64_t test_every = 0;            // 0: at the end only
  std::int64_t seed = 1;
  std::string precision = "float";
  std::string engine = "auto";  // of convolutions; "auto": the precision's own, winograd in float, direct in double
  std::string from_weights;     // fingerprint of the weights that training began with (--from); empty: initial ones
  bool imported = false;        // the checkpoints are snapshots of another program's training: steps are their numbers
};

/// The engine's real name: "auto" resolved.
std::string engine_name(const TrainOptions& options);

}  // namespace gradscape
