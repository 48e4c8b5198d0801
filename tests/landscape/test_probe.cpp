// The probe on a quadratic, where every number it gives has a closed form.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "gradscape/landscape/probe.hpp"
#include "support/bits.hpp"
#include "support/hash_values.hpp"

namespace gradscape::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kTolerance = 1e-12;  // relative
const std::vector<double> kMultipliers = {0.25, 0.5, 1.0, 2.0, 4.0};

/// L(theta) = ½ (theta − c)ᵀ H (theta − c), H = Q diag(λ) Qᵀ dense. The objective multiplies by H; the expectations
/// below are written in the eigenbasis, where theta − c = Q z, so neither is computed from the other.
class Quadratic : public Objective<double> {
 public:
  explicit Quadratic(const Vector<double>& eigenvalues)
      : centre_(hash_values<double>(eigenvalues.size(), 1)), basis_(orthogonal(eigenvalues.size())) {
    hessian_ = basis_ * eigenvalues.asDiagonal() * basis_.transpose();
  }

  Index size() const override { return centre_.size(); }

  Evaluation evaluate(const Point<double>& point, Vector<double>* grad) override {
    const Vector<double>& theta = points.emplace_back(point.value());
    const Vector<double> hx = hessian_ * (theta - centre_);
    if (grad != nullptr) *grad = hx;
    return {0.5 * (theta - centre_).dot(hx), kNan};
  }

  /// theta and direction vectors from their coordinates in the eigenbasis.
  Vector<double> point(const Vector<double>& z) const { return centre_ + basis_ * z; }
  Vector<double> direction(const Vector<double>& z) const { return basis_ * z; }
  Vector<double> gradient(const Vector<double>& theta) const { return hessian_ * (theta - centre_); }

  std::vector<Vector<double>> points;  // where it was evaluated

 private:
  /// A product of two reflections.
  static Matrix<double> orthogonal(Index size) {
    Matrix<double> q = Matrix<double>::Identity(size, size);
    for (const std::uint32_t seed : {2u, 3u}) {
      const Vector<double> v = hash_values<double>(size, seed).normalized();
      q = (q - 2.0 * (q * v) * v.transpose()).eval();
    }
    return q;
  }

  Vector<double> centre_;
  Matrix<double> basis_;
  Matrix<double> hessian_;
};

/// What a cell at theta + s (in eigencoordinates z and s) must hold.
struct Expected {
  double loss, grad_norm, grad_diff, grad_cos, distance, beta;
};

Expected closed_form(const Vector<double>& eigenvalues, const Vector<double>& z, const Vector<double>& s) {
  long double loss = 0, there = 0, here = 0, both = 0, difference = 0, length = 0;
  for (Index i = 0; i < z.size(); ++i) {
    const long double lambda = eigenvalues[i], at = z[i], to = z[i] + static_cast<long double>(s[i]);
    loss += lambda * to * to / 2;
    there += lambda * to * lambda * to;
    here += lambda * at * lambda * at;
    both += lambda * at * lambda * to;
    difference += lambda * s[i] * lambda * s[i];
    length += static_cast<long double>(s[i]) * s[i];
  }
  return {static_cast<double>(loss),
          static_cast<double>(std::sqrt(there)),
          static_cast<double>(std::sqrt(difference)),
          static_cast<double>(both / std::sqrt(there * here)),
          static_cast<double>(std::sqrt(length)),
          static_cast<double>(std::sqrt(difference / length))};
}

void expect_cell(const Cell& cell, const Expected& expected) {
  const auto near = [](double found, double wanted, double scale) {
    EXPECT_NEAR(found, wanted, kTolerance * std::abs(scale));
  };
  near(cell.loss, expected.loss, expected.loss);
  near(cell.grad_norm, expected.grad_norm, expected.grad_norm);
  near(cell.grad_diff, expected.grad_diff, expected.grad_diff);
  near(cell.grad_cos, expected.grad_cos, 1.0);  // a cosine may be near 0: its unit is 1
  near(cell.distance, expected.distance, expected.distance);
  near(cell.beta, expected.beta, expected.beta);
  EXPECT_EQ(cell.status, CellStatus::ok);
  EXPECT_TRUE(std::isnan(cell.accuracy)) << "what the objective gave";
}

const Vector<double> kEigenvalues{{0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.5, 8.0, 10.0}};
constexpr double kLr = 0.1;

TEST(Probe, GradientDirectionOnAQuadratic) {
  Quadratic objective(kEigenvalues);
  const Vector<double> z = hash_values<double>(kEigenvalues.size(), 5);
  const Vector<double> theta = objective.point(z);
  const Vector<double> grad = objective.gradient(theta);
  const auto cells = probe<double>(objective, theta, grad, {grad, -kLr}, kMultipliers);
  ASSERT_EQ(cells.size(), kMultipliers.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    SCOPED_TRACE(kMultipliers[i]);
    const Vector<double> step = -kMultipliers[i] * kLr * kEigenvalues.cwiseProduct(z);  // −m·lr·g
    expect_cell(cells[i], closed_form(kEigenvalues, z, step));
  }
}

TEST(Probe, UpdateDirectionOnAQuadratic) {
  Quadratic objective(kEigenvalues);
  const Vector<double> z = hash_values<double>(kEigenvalues.size(), 5);
  const Vector<double> w = 0.125 * hash_values<double>(kEigenvalues.size(), 6);
  const Vector<double> theta = objective.point(z);
  const Vector<double> update = objective.direction(w);
  const auto cells = probe<double>(objective, theta, objective.gradient(theta), {update, 1.0}, kMultipliers);
  ASSERT_EQ(cells.size(), kMultipliers.size());
  for (std::size_t i = 0; i < cells.size(); ++i) {
    SCOPED_TRACE(kMultipliers[i]);
    expect_cell(cells[i], closed_form(kEigenvalues, z, kMultipliers[i] * w));
  }
}

TEST(Probe, BetaIsAtMostTheLargestEigenvalue) {
  Quadratic objective(kEigenvalues);
  for (std::uint32_t seed = 10; seed < 30; ++seed) {
    const Vector<double> theta = objective.point(hash_values<double>(kEigenvalues.size(), seed));
    const Vector<double> grad = objective.gradient(theta);
    for (const Cell& cell : probe<double>(objective, theta, grad, {grad, -kLr}, kMultipliers)) {
      EXPECT_LE(cell.beta, 10.0 * (1 + kTolerance));
      EXPECT_GT(cell.beta, 0.1);
    }
  }
}

TEST(Probe, BetaAlongAnEigenvectorIsItsEigenvalue) {
  Quadratic objective(kEigenvalues);
  for (Index k = 0; k < kEigenvalues.size(); ++k) {
    Vector<double> z = Vector<double>::Zero(kEigenvalues.size());
    z[k] = 3.0;
    const Vector<double> theta = objective.point(z);
    const Vector<double> grad = objective.gradient(theta);
    // With so small an eigenvalue as 0.1 a step of lr moves the gradient by 1 %: 1e-12 of the difference is then 1e-14
    // of the gradient, below what H's rounding leaves. A step of 1/λ keeps the conditions equal.
    for (const Cell& cell : probe<double>(objective, theta, grad, {grad, -0.3 / kEigenvalues[k]}, kMultipliers))
      EXPECT_NEAR(cell.beta, kEigenvalues[k], kTolerance * 10.0 /* ‖H‖ */) << k;
  }
}

TEST(Probe, EvaluatesAtTheDisplacedPointsAndLeavesItsArgumentsAlone) {
  Quadratic objective(kEigenvalues);
  const Vector<double> theta = objective.point(hash_values<double>(kEigenvalues.size(), 5));
  const Vector<double> grad = objective.gradient(theta);
  const Vector<double> theta_before = theta, grad_before = grad;
  probe<double>(objective, theta, grad, {grad, -kLr}, kMultipliers);
  EXPECT_TRUE(same_bits(theta, theta_before));
  EXPECT_TRUE(same_bits(grad, grad_before));
  ASSERT_EQ(objective.points.size(), kMultipliers.size()) << "one evaluation per multiplier";
  for (std::size_t k = 0; k < kMultipliers.size(); ++k)
    for (Index i = 0; i < theta.size(); ++i)
      EXPECT_EQ(objective.points[k][i], theta[i] + (kMultipliers[k] * -kLr) * grad[i]);
}

// Each prober computes the same function: who works out which cell does not show.
TEST(Probe, CellsDoNotDependOnTheNumberOfProbers) {
  const Vector<double> eigenvalues = hash_values<double>(40, 6, 1.0, 1.5);
  Quadratic alone(eigenvalues);
  const Vector<double> theta = hash_values<double>(40, 4), grad = alone.gradient(theta);
  const auto expected = probe<double>(alone, theta, grad, {grad, -kLr}, kMultipliers);
  for (const std::size_t count : {2u, 3u, 5u, 8u}) {
    std::vector<Quadratic> objectives(count, Quadratic(eigenvalues));
    std::vector<Prober<double>> probers(count);
    for (std::size_t i = 0; i < count; ++i) probers[i].objective = &objectives[i];
    const auto cells = probe<double>(probers, theta, grad, {grad, -kLr}, kMultipliers);
    ASSERT_EQ(cells.size(), expected.size());
    for (std::size_t k = 0; k < cells.size(); ++k) {
      EXPECT_TRUE(same_bits(cells[k].loss, expected[k].loss));
      EXPECT_TRUE(same_bits(cells[k].grad_diff, expected[k].grad_diff));
      EXPECT_TRUE(same_bits(cells[k].beta, expected[k].beta));
    }
    for (std::size_t i = 0; i < count; ++i)  // shared out in turn; three too many have nothing to do
      EXPECT_EQ(objectives[i].points.size(), (kMultipliers.size() + count - 1 - i) / count) << i << " of " << count;
  }
}

/// Always the same gradient: 4096, 1, 1, … A float sum of its squares stands still at 4096² = 2²⁴.
class Constant : public Objective<float> {
 public:
  explicit Constant(Index size) : grad_(Vector<float>::Ones(size)) { grad_[0] = 4096; }
  Index size() const override { return grad_.size(); }
  Evaluation evaluate(const Point<float>&, Vector<float>* grad) override {
    *grad = grad_;
    return {1.5, 0.5};
  }
  const Vector<float>& gradient() const { return grad_; }

 private:
  Vector<float> grad_;
};

TEST(Probe, FloatNormsAreSummedInDouble) {
  constexpr Index kSize = 1001;
  Constant objective(kSize);
  const Vector<float> theta = Vector<float>::Zero(kSize);
  const Vector<float> grad = 2.0f * objective.gradient();
  const auto cells = probe<float>(objective, theta, grad, {grad, -0.5}, {1.0});
  ASSERT_EQ(cells.size(), 1u);
  const double length = std::sqrt(0x1p24 + 1000);
  EXPECT_DOUBLE_EQ(cells[0].grad_norm, length);
  EXPECT_DOUBLE_EQ(cells[0].grad_diff, length);  // ‖g − 2g‖
  EXPECT_DOUBLE_EQ(cells[0].grad_cos, 1.0);
  EXPECT_DOUBLE_EQ(cells[0].distance, length);  // 0.5 · ‖2g‖
  EXPECT_DOUBLE_EQ(cells[0].beta, 1.0);
  EXPECT_EQ(cells[0].loss, 1.5);
  EXPECT_EQ(cells[0].accuracy, 0.5);
}

/// Gives at theta = k the k-th of the outcomes.
class Script : public Objective<double> {
 public:
  struct Outcome {
    double loss;
    double grad;
  };
  explicit Script(std::vector<Outcome> outcomes) : outcomes_(std::move(outcomes)) {}
  Index size() const override { return 1; }
  Evaluation evaluate(const Point<double>& theta, Vector<double>* grad) override {
    const Outcome& outcome = outcomes_.at(static_cast<std::size_t>(theta[0]));
    *grad = Vector<double>::Constant(1, outcome.grad);
    return {outcome.loss, 0.25};
  }

 private:
  std::vector<Outcome> outcomes_;
};

TEST(Probe, NonFiniteCellsAreMarkedAndKeepTheirValues) {
  Script objective({{0, 0}, {2, 3}, {kInfinity, 3}, {2, kInfinity}, {kNan, kNan}, {-kInfinity, -3}, {7, 4}});
  const Vector<double> theta = Vector<double>::Zero(1);
  const Vector<double> grad = Vector<double>::Constant(1, -1.0);
  const auto cells = probe<double>(objective, theta, grad, {grad, -1.0}, {1, 2, 3, 4, 5, 6});
  ASSERT_EQ(cells.size(), 6u) << "nothing is dropped, nothing aborts";
  const std::vector<CellStatus> status = {CellStatus::ok,         CellStatus::non_finite, CellStatus::non_finite,
                                          CellStatus::non_finite, CellStatus::non_finite, CellStatus::ok};
  for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(cells[i].status, status[i]) << i;
  EXPECT_EQ(cells[1].loss, kInfinity);
  EXPECT_EQ(cells[1].grad_norm, 3);
  EXPECT_EQ(cells[1].grad_diff, 4);
  EXPECT_EQ(cells[1].beta, 2);  // 4 over the distance 2·1
  EXPECT_EQ(cells[2].loss, 2);
  EXPECT_EQ(cells[2].grad_norm, kInfinity);
  EXPECT_EQ(cells[2].grad_diff, kInfinity);
  EXPECT_EQ(cells[2].beta, kInfinity);
  EXPECT_TRUE(std::isnan(cells[3].loss) && std::isnan(cells[3].grad_norm) && std::isnan(cells[3].beta));
  EXPECT_EQ(cells[4].loss, -kInfinity);
  EXPECT_EQ(cells[5].grad_norm, 4) << "a finite cell behind non-finite ones is as good as any";
  for (const Cell& cell : cells) EXPECT_EQ(cell.accuracy, 0.25);
}

Cell cell(double loss, double grad_diff, double beta, CellStatus status = CellStatus::ok) {
  Cell made;
  made.loss = loss;
  made.grad_norm = made.grad_diff = grad_diff;
  made.beta = beta;
  made.status = status;
  return made;
}

/// All of them in front of theta.
Bands bands_of(const std::vector<Cell>& cells, double grad_norm) {
  return make_bands(cells, std::vector<double>(cells.size(), 1.0), grad_norm);
}

TEST(Bands, AreTheExtremesOverTheCells) {
  const Bands bands = bands_of({cell(2, 30, 7), cell(1, 10, 9), cell(3, 20, 8)}, 1.0);
  EXPECT_EQ(bands.loss_min, 1);
  EXPECT_EQ(bands.loss_max, 3);
  EXPECT_EQ(bands.grad_diff_min, 10);
  EXPECT_EQ(bands.grad_diff_max, 30);
  EXPECT_EQ(bands.beta_max, 9);
}

TEST(Bands, SkipNanAndKeepInfinity) {
  const auto bad = CellStatus::non_finite;
  const Bands bands = bands_of({cell(kNan, kNan, kNan, bad), cell(2, 5, 1), cell(kInfinity, kInfinity, kInfinity, bad),
                                cell(-kInfinity, 4, kNan, bad), cell(kNan, 6, 2, bad)},
                               1.0);
  EXPECT_EQ(bands.loss_min, -kInfinity);
  EXPECT_EQ(bands.loss_max, kInfinity);
  EXPECT_EQ(bands.grad_diff_min, 4);
  EXPECT_EQ(bands.grad_diff_max, kInfinity);
  EXPECT_EQ(bands.beta_max, kInfinity);
}

TEST(Bands, OfTheGradientsNorm) {
  std::vector<Cell> cells = {cell(2, 30, 7), cell(1, 10, 9)};
  cells[0].grad_norm = 0.5;
  cells[1].grad_norm = 4;
  const Bands bands = bands_of(cells, 1.0);
  EXPECT_EQ(bands.grad_norm_min, 0.5);
  EXPECT_EQ(bands.grad_norm_max, 4);
}

TEST(Bands, LeaveOutWhatLiesBehindTheta) {
  const Bands bands = make_bands({cell(9, 90, 99), cell(2, 5, 1), cell(1, 4, 3)}, {-1, 0.5, 1}, 1.0);
  EXPECT_EQ(bands.loss_max, 2);
  EXPECT_EQ(bands.grad_diff_max, 5);
  EXPECT_EQ(bands.beta_max, 3);
}

void expect_all_nan(const Bands& bands) {
  for (const double value : {bands.loss_min, bands.loss_max, bands.grad_norm_min, bands.grad_norm_max,
                             bands.grad_diff_min, bands.grad_diff_max, bands.beta_max})
    EXPECT_TRUE(std::isnan(value)) << value;
}

TEST(Bands, AreNanWhereThereIsNothingToBound) {
  const auto bad = CellStatus::non_finite;
  expect_all_nan(bands_of({cell(kNan, kNan, kNan, bad), cell(kNan, kNan, kNan, bad)}, 1.0));
  expect_all_nan(bands_of({cell(2, 5, 1), cell(3, 6, 2)}, 0.0));  // ‖g‖ = 0
  expect_all_nan(bands_of({}, 1.0));
}

TEST(Bands, LeaveOutCellsThatWereNotDone) {
  const auto not_done = CellStatus::not_done;
  const Bands bands = bands_of({cell(0, 0, 99, not_done), cell(2, 5, 1), cell(9, 9, 99, not_done)}, 1.0);
  EXPECT_EQ(bands.loss_min, 2);
  EXPECT_EQ(bands.loss_max, 2);
  EXPECT_EQ(bands.grad_diff_max, 5);
  EXPECT_EQ(bands.beta_max, 1);
}

TEST(Bands, LeaveOutCellsBelowNoise) {
  const auto noise = CellStatus::below_noise;
  const Bands bands = bands_of({cell(0, 0, 99, noise), cell(2, 5, 1), cell(9, 9, 99, noise)}, 1.0);
  EXPECT_EQ(bands.loss_min, 2);
  EXPECT_EQ(bands.loss_max, 2);
  EXPECT_EQ(bands.grad_diff_min, 5);
  EXPECT_EQ(bands.grad_diff_max, 5);
  EXPECT_EQ(bands.beta_max, 1);
  expect_all_nan(bands_of({cell(1, 2, 3, noise)}, 1.0));
}

// grad_diff/‖g‖ < 10·floor: here ‖g‖ = 4 and the floor 1/8, so below 5.
TEST(MarkNoise, MarksFiniteCellsBelowTenFloors) {
  const auto bad = CellStatus::non_finite;
  std::vector<Cell> cells = {cell(1, 0, 0), cell(1, 4.99, 1),      cell(1, 5, 1),
                             cell(1, 6, 1), cell(kNan, 1, 1, bad), cell(1, 1, 1, CellStatus::not_done)};
  const std::vector<Cell> before = cells;
  const auto noise = CellStatus::below_noise, ok = CellStatus::ok;
  mark_noise(cells, 4, 0.125);
  const std::vector<CellStatus> expected = {noise, noise, ok, ok, bad, CellStatus::not_done};
  for (std::size_t i = 0; i < cells.size(); ++i) {
    EXPECT_EQ(cells[i].status, expected[i]) << i;
    EXPECT_EQ(cells[i].grad_diff, before[i].grad_diff) << "values stay";
    EXPECT_EQ(cells[i].beta, before[i].beta);
  }
  for (const auto& [norm, floor] : {std::pair{4.0, 0.0}, {4.0, kNan}, {kNan, 0.125}, {0.0, kNan}}) {
    cells = before;
    mark_noise(cells, norm, floor);
    for (std::size_t i = 0; i < cells.size(); ++i) EXPECT_EQ(cells[i].status, before[i].status) << norm << " " << floor;
  }
}

}  // namespace
}  // namespace gradscape::testing
