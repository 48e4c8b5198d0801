// Dimension scales and descriptions of variables, as netCDF-4 and xarray read them.
#pragma once

#include <string>
#include <vector>

#include "gradscape/file/h5.hpp"

namespace gradscape {

/// Gives variable `name` ("/loss") its unit, its words and, in order, its dimensions' scales ("/step").
void describe(h5::File& file, const std::string& name, const std::string& units, const std::string& long_name,
              const std::vector<std::string>& scales);

/// Declares the dataset `name` ("step") a dimension scale.
void make_scale(h5::File& file, const std::string& name, const std::string& units, const std::string& long_name);

/// A dimension whose places have numbers and names: a scale of the numbers, with the names in its attribute `labels`,
/// joined by commas. They hold no comma.
void write_labels(h5::File& file, const std::string& name, const std::string& long_name,
                  const std::vector<std::int32_t>& numbers, const std::vector<std::string>& labels);

std::vector<std::string> read_labels(const h5::File& file, const std::string& name);

}  // namespace gradscape
