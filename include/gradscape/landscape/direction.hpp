// Directions in the space of parameters: random ones, scaled as a network's weights are (Li et al. 2018, section 4).
#pragma once

#include <string>
#include <vector>

#include "gradscape/nn/layout.hpp"

namespace gradscape {

/// Lengths of a random direction d, tensor by tensor, beside those of theta. filter: each filter, the weights that make
/// one output (index of dimension 0 of a weight), has the norm of theta's filter; layer: each tensor that of theta's;
/// weight: d∘theta; dfilter, dlayer: norm 1 of each filter, each tensor; none: as drawn.
enum class Normalisation { filter, layer, weight, dfilter, dlayer, none };

const std::vector<std::string>& normalisation_names();
Normalisation normalisation_from_name(const std::string& name);

/// How a random direction is made.
struct RandomDirection {
  std::uint64_t seed = 1;
  std::uint32_t repeat = 0;  // which of several
  std::uint32_t axis = 0;    // 0: x, 1: y
  Normalisation normalisation = Normalisation::filter;
  bool ignore_vectors = true;  // zeros in tensors of one dimension or none: biases, scale and shift of norms
};

/// A Gaussian direction, normalised against theta. An element is a function of (seed, repeat, axis, ordinal of its
/// layer among convolutions and dense layers or among norms, role, place in the tensor), so that networks with and
/// without norms share the weights' parts. `beside`, unless null, is a direction to which each filter (filter,
/// dfilter), tensor (layer, dlayer) or the whole (weight, none) becomes orthogonal before its length is set; filters of
/// one element stay as they are. A filter of theta, or of the draw, that is zero gives zero. Tensors of one dimension,
/// where they are not ignored, count as one filter.
template <class S>
Vector<S> random_direction(const Layout& layout, const Vector<S>& theta, const RandomDirection& options,
                           const Vector<S>* beside = nullptr);

/// d less its part along `axis`: Gram and Schmidt. Error (where "direction") where nothing but rounding is left.
template <class S>
void make_orthogonal(Vector<S>& d, const Vector<S>& axis, const std::string& where);

/// The first two principal components of rows, given by the Gram matrix of their scalar products: the rows are centred
/// by their mean, as in Li et al. 2018, section 7.
struct PrincipalComponents {
  std::vector<std::vector<double>> weights;  // of each component: of unit length is Σ weights[t]·row t
  std::vector<double> explained;             // each component's share of the variance, of all components
};

/// `gram` [T, T], row-major. UsageError (where `where`) for fewer than three rows, or where all rows are equal.
PrincipalComponents principal_components(const std::vector<double>& gram, std::size_t rows, const std::string& where);

/// The element of largest magnitude, the first of equals, becomes positive. Returns the factor, 1 or −1.
template <class S>
double fix_sign(Vector<S>& d);

/// Where a point lies on the plane of x and y: argmin ‖p − a·x − b·y‖, by their scalar products. With y a line's: b =
/// 0.
struct PlanePlace {
  double a = 0;
  double b = 0;
};
struct AxisProducts {
  double xx = 0;
  double xy = 0;
  double yy = 0;  // 0: a line
};
PlanePlace place_on_plane(const AxisProducts& axes, double px, double py);

}  // namespace gradscape
