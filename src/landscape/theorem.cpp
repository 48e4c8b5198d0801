#include "gradscape/landscape/theorem.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/same_value.hpp"
#include "gradscape/nn/batch_norm.hpp"

namespace gradscape {
namespace {

struct SideVariable {
  const char* name;
  const char* units;
  const char* long_name;
  double TheoremSides::*value;
};
constexpr SideVariable kSides[] = {
    {"lhs", "loss^2/activation^2", "squared norm of the gradient of the norm's input", &TheoremSides::lhs},
    {"rhs", "loss^2/activation^2", "its bound by theorem 4.1", &TheoremSides::rhs},
    {"factor", "1/activation^2", "gamma^2/sigma^2", &TheoremSides::factor},
    {"removed", "1", "share of the squared norm of the output's gradient that the two projections remove",
     &TheoremSides::removed},
    {"gap", "loss^2/activation^2", "rhs - lhs", &TheoremSides::gap},
    {"gap_expected", "loss^2/activation^2", "what eps makes the gap", &TheoremSides::gap_expected},
};

/// The block's batch norm; null of one with another norm, or none.
const BatchNorm<double>* find_norm(const Network<double>& network, const LayerBlock& block) {
  return block.norm ? dynamic_cast<const BatchNorm<double>*>(network.layers()[*block.norm].get()) : nullptr;
}

std::vector<std::size_t> choose_norms(const Network<double>& network, const std::vector<std::string>& layers) {
  const std::vector<LayerBlock>& blocks = network.blocks();
  const auto has_none = [&](std::size_t i) { return find_norm(network, blocks[i]) == nullptr; };
  std::vector<std::size_t> chosen = choose_blocks(blocks, layers, "--layers");
  std::erase_if(chosen, has_none);
  if (!chosen.empty()) return chosen;
  chosen = choose_blocks(blocks, {}, "--layers");
  if (std::all_of(chosen.begin(), chosen.end(), has_none))
    throw UsageError("theorem", "theorem 4.1 is about batch norm, and no layer of this run has one behind it",
                     "name a run with model.norm = \"batch\", or with norm batch in model.layers");
  throw UsageError("--layers", "none of these layers has a batch norm behind it");
}

}  // namespace

Table theorem_schema(const Dimension& layer, const std::vector<double>& unit_layers) {
  const Dimension unit = counted_dimension("unit", "a unit (channel) of a batch norm", unit_layers.size());
  Table table{"theorem", {}, {step_dimension(), unit, layer}, {}};
  table.variables.push_back(
      {"unit_layer", "1", "the unit's layer, as a place of the dimension layer", {"unit"}, unit_layers});
  for (const auto& side : kSides) table.variables.push_back({side.name, side.units, side.long_name, {"step", "unit"}});
  return table;
}

void check_theorem(const Table& table, const std::string& where) {
  const auto &lhs = table.variable("lhs").values, &rhs = table.variable("rhs").values,
             &gap = table.variable("gap").values;
  for (std::size_t i = 0; i < gap.size(); ++i)
    if (!same_value(gap[i], rhs[i] - lhs[i]))
      throw Error(where, fmt::format("gap is {} where rhs and lhs are {} and {}", gap[i], rhs[i], lhs[i]));
}

TheoremSides theorem_sides(ConstRows<double> y, ConstRows<double> dz, ConstRows<double> dy, Index unit, double gamma,
                           double eps) {
  const auto m = static_cast<double>(y.rows());
  double mean = 0, variance = 0;
  for (Index row = 0; row < y.rows(); ++row) mean += y(row, unit);
  mean /= m;
  for (Index row = 0; row < y.rows(); ++row) variance += (y(row, unit) - mean) * (y(row, unit) - mean);
  variance /= m;
  const double sigma = std::sqrt(variance + eps);
  double squares = 0, sum = 0, along = 0, lhs = 0;
  for (Index row = 0; row < y.rows(); ++row) {
    const double g = dz(row, unit);
    squares += g * g;
    sum += g;
    along += g * (y(row, unit) - mean) / sigma;
    lhs += dy(row, unit) * dy(row, unit);
  }
  TheoremSides sides;
  sides.lhs = lhs;
  sides.factor = gamma * gamma / (sigma * sigma);
  sides.removed = (sum * sum + along * along) / (m * squares);
  sides.rhs = sides.factor * (squares - sum * sum / m - along * along / m);
  sides.gap = sides.rhs - lhs;
  sides.gap_expected = sides.factor * along * along / m * eps / (sigma * sigma);
  return sides;
}

template <class S>
TheoremAnalysis<S>::TheoremAnalysis(TrainingProcess<S>& process, const std::vector<std::string>& layers)
    : network_(make_network<double>(process.model(), process.dataset().train.shape, process.dataset().train.classes,
                                    Engine::direct, Fusion::off)),
      chosen_(choose_norms(*network_, layers)) {}

template <class S>
Table TheoremAnalysis<S>::begin() const {
  std::vector<double> layers;
  for (std::size_t i = 0; i < chosen_.size(); ++i)
    layers.insert(layers.end(), static_cast<std::size_t>(network_->layers()[*block(i).norm]->out().channels),
                  static_cast<double>(i));
  return theorem_schema(layer_dimension(network_->blocks(), chosen_), layers);
}

template <class S>
void TheoremAnalysis<S>::add(const StepView<S>& step, Table& table) {
  table.dimensions.front().values.push_back(static_cast<double>(step.record.step));
  const StepInDouble exact = in_double(step);
  std::vector<std::vector<TheoremSides>> found(chosen_.size());
  LayerWatch<double> watch;
  watch.backward = [&](std::size_t layer, ConstRows<double> y, ConstRows<double> dz, ConstRows<double> dy) {
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      if (block(i).norm != layer) continue;
      const Index units = y.cols();
      found[i].resize(static_cast<std::size_t>(units));
      const double eps = find_norm(*network_, block(i))->options().eps;
      const Part* scale = network_->find(block(i), Role::scale);
      parallel::for_each(units, [&](Index unit) {
        const double gamma = scale != nullptr ? exact.theta[scale->offset + unit] : 1.0;
        found[i][static_cast<std::size_t>(unit)] = theorem_sides(y, dz, dy, unit, gamma, eps);
      });
    }
  };
  Vector<double> grad;
  network_->evaluate(exact.theta, exact.buffers, exact.batch, step.pass, {.grad = &grad, .watch = &watch});
  for (const auto& sides : found)
    for (const TheoremSides& unit : sides) {
      for (const auto& side : kSides) table.variable(side.name).values.push_back(unit.*side.value);
      // What the bound would be without the projections; where it is 0, so are all the rest.
      const double whole = unit.rhs / (1.0 - unit.removed);
      if (whole > 0) worst_ = std::max(worst_, std::abs(unit.gap - unit.gap_expected) / whole);
    }
}

template <class S>
std::string TheoremAnalysis<S>::remark() const {
  return fmt::format(
      "the sides of theorem 4.1 differ by the term of eps, to {:.2g} of the bound (of what was computed "
      "now)",
      worst_);
}

template class TheoremAnalysis<float>;
template class TheoremAnalysis<double>;

}  // namespace gradscape
