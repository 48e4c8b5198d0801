// Directions: their lengths, angles and addresses; principal components of known points.
#include <gtest/gtest.h>

#include <Eigen/SVD>
#include <random>

#include "gradscape/core/error.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/landscape/direction.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

/// conv1 [6, 3, 3, 3] with norm, conv2 [4, 6, 1, 1] with bias, fc [10, 7] with bias.
Layout layout_of(bool norms) {
  Layout layout;
  layout.add("conv1", "weight", {6, 3, 3, 3}, Role::weight);
  if (norms) {
    layout.add("bn1", "weight", {6}, Role::scale);
    layout.add("bn1", "bias", {6}, Role::shift);
  } else {
    layout.add("conv1", "bias", {6}, Role::bias);
  }
  layout.add("conv2", "weight", {4, 6, 1, 1}, Role::weight);
  if (norms) {
    layout.add("bn2", "weight", {4}, Role::scale);
    layout.add("bn2", "bias", {4}, Role::shift);
  }
  layout.add("fc", "weight", {10, 7}, Role::weight);
  layout.add("fc", "bias", {10}, Role::bias);
  return layout;
}

template <class S>
Vector<S> weights(Index size) {
  std::mt19937 engine(3);
  std::normal_distribution<double> normal;
  Vector<S> theta(size);
  for (Index i = 0; i < size; ++i) theta[i] = static_cast<S>(normal(engine));
  return theta;
}

const Part& part(const Layout& layout, const std::string& name) {
  return *std::find_if(layout.parts().begin(), layout.parts().end(), [&](const Part& p) { return p.name == name; });
}

template <class S>
double length(const Vector<S>& v, Index first, Index count) {
  return v.segment(first, count).template cast<double>().norm();
}

/// Fault 7: rows of a dense layer that is not square, filters of a convolution: index of dimension 0.
template <class S>
void expect_filter_norms(double tolerance) {
  const Layout layout = layout_of(true);
  const Vector<S> theta = weights<S>(layout.size());
  const Vector<S> x = random_direction(layout, theta, {});
  for (const Part& p : layout.parts()) {
    if (p.shape.size() < 2) {
      EXPECT_EQ(length(x, p.offset, p.size), 0) << p.name;  // fault 8
      continue;
    }
    const Index count = p.size / p.shape[0];
    for (Index o = 0; o < p.shape[0]; ++o)
      EXPECT_NEAR(length(x, p.offset + o * count, count) / length(theta, p.offset + o * count, count), 1, tolerance)
          << p.name << " " << o;
  }
}

TEST(Direction, FilterNormsAreThoseOfTheWeights) {
  expect_filter_norms<float>(1e-6);
  expect_filter_norms<double>(1e-12);
}

TEST(Direction, OtherNormalisations) {
  const Layout layout = layout_of(true);
  const Vector<double> theta = weights<double>(layout.size());
  const auto draw = [&](Normalisation kind) { return random_direction<double>(layout, theta, {1, 0, 0, kind}); };
  const Vector<double> none = draw(Normalisation::none), weight = draw(Normalisation::weight),
                       layer = draw(Normalisation::layer), dlayer = draw(Normalisation::dlayer),
                       dfilter = draw(Normalisation::dfilter);
  const Part& fc = part(layout, "fc.weight");
  EXPECT_NEAR(length(layer, fc.offset, fc.size), length(theta, fc.offset, fc.size), 1e-12);
  EXPECT_NEAR(length(dlayer, fc.offset, fc.size), 1, 1e-12);
  for (Index row = 0; row < 10; ++row) EXPECT_NEAR(length(dfilter, fc.offset + 7 * row, 7), 1, 1e-12);
  for (Index i = 0; i < fc.size; ++i) EXPECT_EQ(weight[fc.offset + i], none[fc.offset + i] * theta[fc.offset + i]);
  EXPECT_NEAR(none.segment(fc.offset, fc.size).squaredNorm() / 70, 1, 0.5);  // as drawn: standard normal
}

/// Fault 6: four pairs, every one orthogonal as a whole and of the filters' lengths at once.
TEST(Direction, SecondAxesAreOrthogonalAndNormalisedAtOnce) {
  const Layout layout = layout_of(true);
  const Vector<double> theta = weights<double>(layout.size());
  for (std::uint32_t repeat = 0; repeat < 4; ++repeat) {
    const Vector<double> x = random_direction<double>(layout, theta, {5, repeat, 0});
    const Vector<double> y = random_direction<double>(layout, theta, {5, repeat, 1}, &x);
    EXPECT_LT(std::abs(x.dot(y)) / (x.norm() * y.norm()), 1e-15) << repeat;
    const Part& conv = part(layout, "conv1.weight");
    for (Index o = 0; o < 6; ++o)
      EXPECT_NEAR(length(y, conv.offset + 27 * o, 27), length(theta, conv.offset + 27 * o, 27), 1e-12);
  }
}

TEST(Direction, SecondAxesAreOrthogonalInEveryNormalisation) {
  using N = Normalisation;
  const Layout layout = layout_of(true);
  const Vector<double> theta = weights<double>(layout.size());
  for (const N kind : {N::filter, N::layer, N::weight, N::dfilter, N::dlayer, N::none}) {
    const Vector<double> x = random_direction<double>(layout, theta, {5, 0, 0, kind});
    const Vector<double> y = random_direction<double>(layout, theta, {5, 0, 1, kind}, &x);
    EXPECT_LT(std::abs(x.dot(y)) / (x.norm() * y.norm()), 1e-15) << static_cast<int>(kind);
  }
}

/// Fault 6, other half: different draws are nowhere near parallel.
TEST(Direction, DrawsDiffer) {
  const Layout layout = layout_of(false);
  const Vector<double> theta = weights<double>(layout.size());
  std::vector<Vector<double>> drawn;
  for (std::uint32_t repeat = 0; repeat < 4; ++repeat)
    for (std::uint32_t axis = 0; axis < 2; ++axis)
      drawn.push_back(random_direction<double>(layout, theta, {5, repeat, axis}));
  for (std::size_t i = 0; i < drawn.size(); ++i)
    for (std::size_t k = 0; k < i; ++k)
      EXPECT_LT(std::abs(drawn[i].dot(drawn[k])) / (drawn[i].norm() * drawn[k].norm()), 0.35);
}

TEST(Direction, NetworksWithAndWithoutNormShareTheWeightsParts) {
  const Layout with = layout_of(true), without = layout_of(false);
  const RandomDirection as_drawn{9, 2, 1, Normalisation::none, false};
  const Vector<double> a = random_direction<double>(with, Vector<double>::Ones(with.size()), as_drawn),
                       b = random_direction<double>(without, Vector<double>::Ones(without.size()), as_drawn);
  for (const char* name : {"conv1.weight", "conv2.weight", "fc.weight", "fc.bias"}) {
    const Part &p = part(with, name), &q = part(without, name);
    EXPECT_EQ(a.segment(p.offset, p.size), b.segment(q.offset, q.size)) << name;
  }
  const Part& scale = part(with, "bn1.weight");
  EXPECT_GT(length(a, scale.offset, scale.size), 0) << "nothing is ignored";
}

TEST(Direction, ZeroFiltersStayZero) {
  const Layout layout = layout_of(true);
  Vector<double> theta = weights<double>(layout.size());
  const Part& conv = part(layout, "conv1.weight");
  theta.segment(conv.offset + 27, 27).setZero();
  const Vector<double> x = random_direction(layout, theta, {});
  EXPECT_EQ(length(x, conv.offset + 27, 27), 0);
  EXPECT_GT(length(x, conv.offset, 27), 0);
}

TEST(Direction, ParallelAxesAreRefused) {
  const Vector<double> x = weights<double>(50);
  Vector<double> y = 2 * x;
  expect_error<UsageError>([&] { make_orthogonal(y, x, "surface.y"); }, {"surface.y", "same direction"});
}

/// Five points in 4 dimensions, against Eigen's SVD of the centred rows.
TEST(Direction, PrincipalComponentsAreSingularVectors) {
  Eigen::MatrixXd rows(5, 4);
  rows << 0, 0, 0, 0, 1, 2, 0, 1, 2, 3, 1, 1, 3, 5, 1, 3, 4, 5, 3, 2;
  const Eigen::MatrixXd gram = rows * rows.transpose();
  std::vector<double> flat;
  for (Index i = 0; i < 5; ++i)
    for (Index k = 0; k < 5; ++k) flat.push_back(gram(i, k));
  const PrincipalComponents found = principal_components(flat, 5, "here");
  const Eigen::MatrixXd centred = rows.rowwise() - rows.colwise().mean();
  const Eigen::JacobiSVD<Eigen::MatrixXd> svd(centred, Eigen::ComputeThinV);
  for (int k = 0; k < 2; ++k) {
    Vector<double> v = Vector<double>::Zero(4);
    for (Index t = 0; t < 5; ++t)
      v += found.weights[static_cast<std::size_t>(k)][static_cast<std::size_t>(t)] * rows.row(t).transpose();
    fix_sign(v);
    Vector<double> expected = svd.matrixV().col(k);
    fix_sign(expected);
    EXPECT_LT((v - expected).norm(), 1e-12);
    EXPECT_NEAR(found.explained[static_cast<std::size_t>(k)],
                std::pow(svd.singularValues()[k], 2) / svd.singularValues().squaredNorm(), 1e-12);
  }
  expect_error<UsageError>(
      [&] {
        (void)principal_components({1, 0, 0, 1}, 2, "surface.trajectory");
      },
      {"surface.trajectory", "2 checkpoints"});
  expect_error<UsageError>([&] { (void)principal_components(std::vector<double>(9, 1.0), 3, "there"); },
                           {"there", "lie on a line"});
}

TEST(Direction, TheElementOfLargestMagnitudeIsPositive) {
  Vector<double> d(4);
  d << 1, -3, 3, 2;
  fix_sign(d);
  EXPECT_EQ(d[1], 3) << "the first of equals";
}

/// Fault 9: oblique axes of other lengths than 1.
TEST(Direction, PlacesOnObliqueAxesAreRecovered) {
  const Vector<double> x = 3 * weights<double>(20);
  Vector<double> y = Vector<double>::LinSpaced(20, -1, 2) + 0.5 * x;
  const Vector<double> p = 0.25 * x - 1.75 * y;
  const PlanePlace place = place_on_plane({x.dot(x), x.dot(y), y.dot(y)}, p.dot(x), p.dot(y));
  EXPECT_NEAR(place.a, 0.25, 1e-13);
  EXPECT_NEAR(place.b, -1.75, 1e-13);
  EXPECT_EQ(place_on_plane({4, 0, 0}, 6, 0).a, 1.5);
}

}  // namespace
}  // namespace gradscape::testing
