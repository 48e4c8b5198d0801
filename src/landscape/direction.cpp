#include "gradscape/landscape/direction.hpp"

#include <fmt/format.h>

#include <Eigen/Eigenvalues>
#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/core/named_table.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"
#include "gradscape/core/vector_math.hpp"

namespace gradscape {
namespace {

const NamedTable<Normalisation>& normalisations() {
  static const NamedTable<Normalisation> table("normalisation", {{"filter", Normalisation::filter},
                                                                 {"layer", Normalisation::layer},
                                                                 {"weight", Normalisation::weight},
                                                                 {"dfilter", Normalisation::dfilter},
                                                                 {"dlayer", Normalisation::dlayer},
                                                                 {"none", Normalisation::none}});
  return table;
}

/// The scalar product of `count` elements, in double and in order: a filter is small.
template <class S>
double product(const S* a, const S* b, Index count) {
  double sum = 0;
  for (Index i = 0; i < count; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

template <class S>
void scale(S* d, Index count, double factor) {
  for (Index i = 0; i < count; ++i) d[i] = static_cast<S>(factor * static_cast<double>(d[i]));
}

template <class S>
void subtract(S* d, Index count, double factor, const S* axis) {
  for (Index i = 0; i < count; ++i)
    d[i] = static_cast<S>(static_cast<double>(d[i]) - factor * static_cast<double>(axis[i]));
}

/// One filter or tensor of a direction: made orthogonal to that of `beside`, then of the length that is asked for.
template <class S>
void shape_unit(S* d, const S* theta, const S* beside, Index count, bool as_theta) {
  if (beside != nullptr && count > 1)
    for (int pass = 0; pass < 2; ++pass)  // the second takes away what rounding has left
      if (const double square = product(beside, beside, count); square > 0)
        subtract(d, count, product(beside, d, count) / square, beside);
  const double own = std::sqrt(product(d, d, count));
  const double wanted = as_theta ? std::sqrt(product(theta, theta, count)) : 1.0;
  scale(d, count, own > 0 ? wanted / own : 0.0);
}

template <class S>
void draw(const Layout& layout, const RandomDirection& options, Vector<S>& d) {
  std::uint32_t linear = 0, norms = 0;
  std::string layer;
  for (const Part& part : layout.parts()) {
    if (part.layer != layer) {
      layer = part.layer;
      ++(part.role == Role::weight ? linear : norms);
    }
    if (options.ignore_vectors && part.shape.size() < 2) continue;
    const bool of_norm = part.role == Role::scale || part.role == Role::shift;
    const std::uint32_t stream = (of_norm ? norms : linear) * 4 + static_cast<std::uint32_t>(part.role);
    const RandomSource random(options.seed, Purpose::surface, stream, options.repeat * 2 + options.axis);
    S* values = d.data() + part.offset;
    parallel::for_chunks(part.size, parallel::kElementwiseChunk, [&](Index first, Index last, Index) {
      for (Index i = first; i < last; ++i) values[i] = static_cast<S>(random.normal(static_cast<std::uint64_t>(i)));
    });
  }
}

}  // namespace

const std::vector<std::string>& normalisation_names() {
  return normalisations().names();
}

Normalisation normalisation_from_name(const std::string& name) {
  return normalisations().find(name);
}

template <class S>
Vector<S> random_direction(const Layout& layout, const Vector<S>& theta, const RandomDirection& options,
                           const Vector<S>* beside) {
  using N = Normalisation;
  const N kind = options.normalisation;
  Vector<S> d = Vector<S>::Zero(layout.size());
  draw(layout, options, d);
  if (kind == N::weight)
    for (Index i = 0; i < d.size(); ++i) d[i] *= theta[i];
  if (kind == N::weight || kind == N::none) {
    if (beside != nullptr) make_orthogonal(d, *beside, "surface.y");
    return d;
  }
  for (const Part& part : layout.parts()) {
    if (options.ignore_vectors && part.shape.size() < 2) continue;
    const bool filters = (kind == N::filter || kind == N::dfilter) && part.shape.size() > 1;
    const Index units = filters ? part.shape.front() : 1, count = part.size / units;
    parallel::for_each(units, [&](Index unit) {
      const Index at = part.offset + unit * count;
      shape_unit(d.data() + at, theta.data() + at, beside == nullptr ? nullptr : beside->data() + at, count,
                 kind == N::filter || kind == N::layer);
    });
  }
  return d;
}

template <class S>
void make_orthogonal(Vector<S>& d, const Vector<S>& axis, const std::string& where) {
  const double before = norm(d), square = dot(axis, axis);
  if (square > 0)
    for (int pass = 0; pass < 2; ++pass) add_scaled(d, -dot(axis, d) / square, axis, d);
  if (!(norm(d) > 1e-5 * before))
    throw UsageError(where, "is the same direction as the first axis, or none at all",
                     "a plane needs two directions; without a second one it is a line");
}

PrincipalComponents principal_components(const std::vector<double>& gram, std::size_t rows, const std::string& where) {
  if (rows < 3)
    throw UsageError(where, fmt::format("principal components of {} checkpoints say nothing", rows),
                     "three or more: surface.trajectory chooses them");
  const auto size = static_cast<Index>(rows);
  const Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> given(gram.data(),
                                                                                                       size, size);
  Eigen::MatrixXd centred = given;
  const Eigen::VectorXd mean = centred.rowwise().mean();
  const double all = mean.mean();
  for (Index i = 0; i < size; ++i)
    for (Index k = 0; k < size; ++k) centred(i, k) = given(i, k) - mean[i] - mean[k] + all;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(centred);
  double sum = 0;
  for (Index i = 0; i < size; ++i) sum += std::max(0.0, solver.eigenvalues()[i]);
  PrincipalComponents found;
  for (Index i = size; i-- > 0;) {
    const double value = solver.eigenvalues()[i];
    found.explained.push_back(sum > 0 ? std::max(0.0, value) / sum : 0.0);
    if (found.weights.size() == 2) continue;
    if (!(value > 1e-12 * sum))
      throw UsageError(where, "the checkpoints lie on a line or in a point, so they have no two principal components");
    // Of the rows as they are: Σ u_t (row_t − mean) = Σ (u_t − mean of u) row_t.
    const Eigen::VectorXd u = solver.eigenvectors().col(i) / std::sqrt(value);
    const double middle = u.mean();
    std::vector<double> weights;
    for (Index t = 0; t < size; ++t) weights.push_back(u[t] - middle);
    found.weights.push_back(weights);
  }
  return found;
}

template <class S>
double fix_sign(Vector<S>& d) {
  Index largest = 0;
  for (Index i = 1; i < d.size(); ++i)
    if (std::abs(d[i]) > std::abs(d[largest])) largest = i;
  if (!(d[largest] < 0)) return 1;
  d = -d;
  return -1;
}

PlanePlace place_on_plane(const AxisProducts& axes, double px, double py) {
  if (axes.yy == 0) return {px / axes.xx, 0};
  const double determinant = axes.xx * axes.yy - axes.xy * axes.xy;
  return {(axes.yy * px - axes.xy * py) / determinant, (axes.xx * py - axes.xy * px) / determinant};
}

#define GRADSCAPE_INSTANTIATE(S)                                                                                     \
  template Vector<S> random_direction<S>(const Layout&, const Vector<S>&, const RandomDirection&, const Vector<S>*); \
  template void make_orthogonal<S>(Vector<S>&, const Vector<S>&, const std::string&);                                \
  template double fix_sign<S>(Vector<S>&);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
