#pragma once

#include "gradscape/landscape/series.hpp"
#include "gradscape/store/sources.hpp"

namespace gradscape {

/// Writes a series as a file of type series.kind: a dimension scale for each dimension, float64 for each variable
/// (docs/format.md). `sources`: what it was made of.
void write_series(const std::string& path, const Provenance& provenance, const Series& series, const Sources& sources);

/// Reads the values of what `begun` names, which is without steps; Error where the file holds other dimensions or
/// variables.
Series read_series(const std::string& path, const Series& begun);

}  // namespace gradscape
