#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "gradscape/config/experiment.hpp"

namespace gradscape {

/// Prints each different network of the experiments as a table: layer, what it is, output shape, parameters,
/// multiply-adds per image, and with which layer it is computed. Where a data set whose images' shape is not known
/// otherwise is not there, says so instead.
void print_networks(const std::vector<Experiment>& experiments);

/// The same as a list: variants, input, outputs, parameters, multiply_adds per image, layers (name, kind, output,
/// parameters, multiply_adds, fused_into), text for model.layers. Null where the images' shape is not known.
nlohmann::ordered_json network_members(const std::vector<Experiment>& experiments);

/// Prints each of them as text for model.layers instead, behind a comment that says whose it is where there are
/// several.
void print_network_texts(const std::vector<Experiment>& experiments);

}  // namespace gradscape
