#pragma once

#include <memory>

#include "gradscape/landscape/step_survey.hpp"

namespace gradscape {

/// Summary statistics of a set of values.
struct Statistics {
  double low = 0;  // of the finite ones; NaN where there are none
  double high = 0;
  double mean = 0;
  double variance = 0;  // of the population
  double skewness = 0;  // NaN where the variance is 0
  double kurtosis = 0;  // of a normal distribution: 3
  double non_finite = 0;
  std::vector<double> count;  // in equal bins from low to high
};

/// Statistics of all values of a matrix. Summed in double, in fixed order.
template <class S>
Statistics describe_values(ConstRows<S> values, std::size_t bins);

/// The table of a run's distributions over these layers, without rows.
Table distributions_schema(const Dimension& layer = layer_dimension(), std::size_t bins = 0);

/// Histograms and moments of activations and weights over training, and how far activations drift in a step (Santurkar
/// et al. 2018, figures 1, 2, 8, 9). An activation is what goes to the non-linearity: of a convolution or dense layer,
/// after its norm and noise, in train mode on the step's batch, all samples, pixels and units together. Drift: each
/// unit's mean and variance at theta_{t+1} less those at theta_t, on the same batch (noise, if any, of its own step);
/// the root of the mean square over units.
template <class S>
class DistributionAnalysis : public StepSurvey<S> {
 public:
  /// `layers`: names of blocks; empty: all. `process` must outlive this object.
  DistributionAnalysis(TrainingProcess<S>& process, const std::vector<std::string>& layers, std::size_t bins);

  Table begin() const override;
  void add(const StepView<S>& step, Table& table) override;

 private:
  /// Mean and variance of a layer's units.
  struct Units {
    std::vector<double> mean, variance;
  };
  void evaluate(const StepView<S>& step, const Vector<S>& theta, std::uint32_t number, std::vector<Units>& units,
                Table* table);

  TrainingProcess<S>& process_;
  std::unique_ptr<Network<S>> network_;  // every module a layer of its own
  std::vector<std::size_t> chosen_;
  std::size_t bins_;
};

}  // namespace gradscape
