// The band across runs with several learning rates (the course exercise's "loss landscape").
#pragma once

#include <string>
#include <vector>

#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// Unites the traces of a variant's runs, which differ in train.lr alone, in the file runs.h5 of `folder`, whose path
/// is returned: loss and accuracy over (lr, step), test loss and accuracy over (lr, test_step), and the least and
/// largest training loss over the rates at each step, NaN left out. Error where runs differ in more, or have not all
/// the same steps.
std::string unite_rates(const std::string& folder, const std::vector<RunDirectory>& runs);

}  // namespace gradscape
