// The directions of a surface, tensor by tensor: directions-NAME.h5 (docs/format.md).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "gradscape/nn/layout.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {

/// What is known of the directions beside their elements.
struct DirectionFacts {
  std::int64_t repeats = 1;
  bool plane = false;                                  // there is a y
  std::map<std::string, std::string> attributes;       // texts: kinds, fingerprints, limits that suit
  std::map<std::string, std::vector<double>> numbers;  // x_norm [repeats], …
  std::vector<std::string> points;                     // names of the networks that a plane goes through
};

/// Makes the directions of a repeat.
template <class S>
struct DirectionPair {
  Vector<S> x;
  Vector<S> y;  // empty: a line
};

/// Writes /x/REPEAT/NAME and /y/REPEAT/NAME for each tensor. `make(repeat)` is called once for each, in order;
/// `facts()` after the last.
template <class S>
void write_directions(const std::string& path, const Provenance& provenance, const Layout& layout, std::int64_t repeats,
                      const std::function<DirectionPair<S>(std::int64_t)>& make,
                      const std::function<DirectionFacts()>& facts);

/// ForeignFile where the file holds directions of another layout (the first tensor that differs is named).
DirectionFacts read_direction_facts(const h5::File& file);
template <class S>
DirectionPair<S> read_directions(const h5::File& file, const DirectionFacts& facts, const Layout& layout,
                                 std::int64_t repeat);

}  // namespace gradscape
