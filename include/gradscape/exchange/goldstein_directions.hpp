// Directions of tomgoldstein/loss-landscape (Li et al. 2018), which cannot be drawn again: they depend on what PyTorch
// drew before them.
#pragma once

#include <string>

#include "gradscape/store/directions_file.hpp"

namespace gradscape {

/// The tensors xdirection/0, xdirection/1, … and, of a plane, ydirection/… in the order of a network's parameters, or
/// of parameters and buffers layer by layer (dir_type states), of which the buffers are left out. Error where they are
/// of another network: the first tensor of another shape is named.
template <class S>
DirectionPair<S> read_goldstein_directions(const std::string& path, const Layout& parameters, const Layout& buffers);

}  // namespace gradscape
