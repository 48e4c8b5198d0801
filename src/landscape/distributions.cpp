#include "gradscape/landscape/distributions.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gradscape/core/parallel.hpp"
#include "gradscape/kernel/row_sums.hpp"

namespace gradscape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Extent {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  double sum = 0;
  Index finite = 0;
  Extent& operator+=(const Extent& other) {
    low = std::min(low, other.low);
    high = std::max(high, other.high);
    sum += other.sum;
    finite += other.finite;
    return *this;
  }
};

/// Sums of powers of differences from the mean, and a histogram.
struct Shape {
  double second = 0;
  double third = 0;
  double fourth = 0;
  std::vector<double> count = {};
  Shape& operator+=(const Shape& other) {
    second += other.second;
    third += other.third;
    fourth += other.fourth;
    count.resize(std::max(count.size(), other.count.size()));
    for (std::size_t i = 0; i < other.count.size(); ++i) count[i] += other.count[i];
    return *this;
  }
};

struct StatisticsVariable {
  const char* name;
  const char* long_name;
  double Statistics::*value;
};
constexpr StatisticsVariable kStatistics[] = {
    {"low", "smallest finite value: the histogram's lower edge", &Statistics::low},
    {"high", "largest finite value: the histogram's upper edge", &Statistics::high},
    {"mean", "mean", &Statistics::mean},
    {"variance", "variance of the population", &Statistics::variance},
    {"skewness", "third standardised moment", &Statistics::skewness},
    {"kurtosis", "fourth standardised moment; 3 of a normal distribution", &Statistics::kurtosis},
    {"non_finite", "how many values are not finite; all else is of the others", &Statistics::non_finite},
};
constexpr const char* kKinds[] = {"activation", "weight"};

void append(const Statistics& statistics, const std::string& kind, Table& table) {
  for (const auto& variable : kStatistics)
    table.variable(kind + "_" + variable.name).values.push_back(statistics.*variable.value);
  auto& count = table.variable(kind + "_count").values;
  count.insert(count.end(), statistics.count.begin(), statistics.count.end());
}

double root_mean_square(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum / static_cast<double>(a.size()));
}

}  // namespace

Table distributions_schema(const Dimension& layer, std::size_t bins) {
  const Dimension bin = counted_dimension("bin", "bin of a histogram: equal parts from low to high", bins);
  Table table{"distributions", {}, {step_dimension(), layer, bin}, {}};
  for (const std::string kind : kKinds) {
    for (const auto& variable : kStatistics)
      table.variables.push_back(
          {kind + "_" + variable.name, "1", std::string(variable.long_name) + ", of " + kind + "s", {"step", "layer"}});
    table.variables.push_back({kind + "_count", "1", "histogram of " + kind + "s", {"step", "layer", "bin"}});
  }
  const std::string drift = " from theta_t to theta_{t+1}, root mean square over units";
  table.variables.push_back({"drift_mean", "1", "change of a unit's mean activation" + drift, {"step", "layer"}});
  table.variables.push_back(
      {"drift_variance", "1", "change of a unit's activation variance" + drift, {"step", "layer"}});
  return table;
}

template <class S>
Statistics describe_values(ConstRows<S> values, std::size_t bins) {
  const S* x = values.data();
  const auto extent = parallel::sum_chunks(values.size(), parallel::kElementwiseChunk, [&](Index first, Index last) {
    Extent part;
    for (Index i = first; i < last; ++i) {
      const auto value = static_cast<double>(x[i]);
      if (!std::isfinite(value)) continue;
      part += {value, value, value, 1};
    }
    return part;
  });
  Statistics found{kNan,
                   kNan,
                   kNan,
                   kNan,
                   kNan,
                   kNan,
                   static_cast<double>(values.size() - extent.finite),
                   std::vector<double>(bins)};
  if (extent.finite == 0) return found;
  const auto count = static_cast<double>(extent.finite);
  const double mean = extent.sum / count;
  const double scale = extent.high > extent.low ? static_cast<double>(bins) / (extent.high - extent.low) : 0.0;
  const auto shape = parallel::sum_chunks(values.size(), parallel::kElementwiseChunk, [&](Index first, Index last) {
    Shape part;
    part.count.resize(bins);
    for (Index i = first; i < last; ++i) {
      const auto value = static_cast<double>(x[i]);
      if (!std::isfinite(value)) continue;
      const double d = value - mean, square = d * d;
      part.second += square;
      part.third += square * d;
      part.fourth += square * square;
      part.count[std::min(bins - 1, static_cast<std::size_t>((value - extent.low) * scale))] += 1;
    }
    return part;
  });
  const double variance = shape.second / count;
  found = {extent.low, extent.high, mean, variance, kNan, kNan, found.non_finite, shape.count};
  if (variance > 0) {
    found.skewness = shape.third / count / (variance * std::sqrt(variance));
    found.kurtosis = shape.fourth / count / (variance * variance);
  }
  return found;
}

template <class S>
DistributionAnalysis<S>::DistributionAnalysis(TrainingProcess<S>& process, const std::vector<std::string>& layers,
                                              std::size_t bins)
    : process_(process),
      network_(make_network<S>(process.model(), process.dataset().train.shape, process.dataset().train.classes,
                               process.engine(), Fusion::off)),
      chosen_(choose_blocks(network_->blocks(), layers, "--layers")),
      bins_(bins) {}

template <class S>
Table DistributionAnalysis<S>::begin() const {
  return distributions_schema(layer_dimension(network_->blocks(), chosen_), bins_);
}

/// Runs the step's batch through the network at `theta`, its noise that of step `number`; appends the activations'
/// statistics to `table` unless that is null.
template <class S>
void DistributionAnalysis<S>::evaluate(const StepView<S>& step, const Vector<S>& theta, std::uint32_t number,
                                       std::vector<Units>& units, Table* table) {
  units.assign(chosen_.size(), {});
  const auto see = [&](std::size_t layer, ConstRows<S> y) {
    for (std::size_t i = 0; i < chosen_.size(); ++i) {
      if (network_->blocks()[chosen_[i]].output != layer) continue;
      if (table != nullptr) append(describe_values<S>(y, bins_), "activation", *table);
      auto& [mean, variance] = units[i];
      column_sums(y, mean);
      const auto rows = static_cast<double>(y.rows());
      for (double& value : mean) value /= rows;
      sum_over_rows(y.rows(), y.cols(), variance, [&](Index first, Index last, double* slot) {
        for (Index row = first; row < last; ++row)
          for (Index c = 0; c < y.cols(); ++c) {
            const double d = static_cast<double>(y(row, c)) - mean[static_cast<std::size_t>(c)];
            slot[c] += d * d;
          }
      });
      for (double& value : variance) value /= rows;
    }
  };
  const LayerWatch<S> watch{see, {}};
  Pass pass = step.pass;
  pass.step = number;
  network_->evaluate(theta, step.buffers, step.batch, pass, {.watch = &watch});
}

template <class S>
void DistributionAnalysis<S>::add(const StepView<S>& step, Table& table) {
  table.dimensions.front().values.push_back(static_cast<double>(step.record.step));
  std::vector<Units> now, next;
  evaluate(step, step.theta, step.pass.step, now, &table);
  const bool drifts = !process_.imported();  // else the next weights are not known
  if (drifts) evaluate(step, step.theta_next, step.pass.step + 1, next, nullptr);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < chosen_.size(); ++i) {
    table.variable("drift_mean").values.push_back(drifts ? root_mean_square(next[i].mean, now[i].mean) : kNan);
    table.variable("drift_variance")
        .values.push_back(drifts ? root_mean_square(next[i].variance, now[i].variance) : kNan);
    const Part& weight = *network_->find(network_->blocks()[chosen_[i]], Role::weight);
    append(describe_values<S>({step.theta.data() + weight.offset, weight.size, 1}, bins_), "weight", table);
  }
}

template Statistics describe_values<float>(ConstRows<float>, std::size_t);
template Statistics describe_values<double>(ConstRows<double>, std::size_t);
template class DistributionAnalysis<float>;
template class DistributionAnalysis<double>;

}  // namespace gradscape
