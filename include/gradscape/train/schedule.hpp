#pragma once

#include <string>
#include <vector>

#include "gradscape/core/types.hpp"
#include "gradscape/train/options.hpp"

namespace gradscape {

const std::vector<std::string>& schedule_names();

/// Number of training steps that the options ask for.
std::int64_t total_steps(const TrainOptions& options, Index steps_per_epoch);

/// Learning rate of `step` of `total` steps.
/// constant: lr; step: lr·schedule_gamma^⌊step/schedule_step⌋; cosine (Loshchilov and Hutter 2017, no restart):
/// lr_min + (lr − lr_min)·(1 + cos(π·step/total))/2; onecycle (Smith and Topin 2018, as torch's OneCycleLR with
/// cosines): from lr/cycle_first up to lr in the part cycle_rise of the steps, down to lr/(cycle_first·cycle_last). The
/// first warmup_steps rise linearly to the schedule's first rate, from warmup_factor times that; the schedule begins
/// after them (torch's SequentialLR of LinearLR and the schedule).
double learning_rate(const TrainOptions& options, std::int64_t step, std::int64_t total);

/// Whether the rate of a step depends on how many steps there will be: then `steps` is part of a run's identity.
bool depends_on_total(const std::string& schedule);

}  // namespace gradscape
