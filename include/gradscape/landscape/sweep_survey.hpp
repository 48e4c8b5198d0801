// The survey of gradient directions: a row holds a step's cells, their bands, and the batch they were taken on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gradscape/landscape/step_survey.hpp"
#include "gradscape/landscape/sweep.hpp"

namespace gradscape {

/// What a sweep's table has beside its rows. `batch`: samples of the largest batch; `augmented`: whether images are
/// moved.
struct SweepShape {
  std::optional<SweepOptions> options = {};  // none: all that a file may hold, for readers
  std::vector<std::string> layers = {};      // names, where cells tell of layers (sweep.layers)
  std::size_t batch = 0;
  bool augmented = true;
};
Table sweep_schema(const SweepShape& shape = {});

void append_record(const SweepRecord& record, Table& table);
SweepRecord record_at(const Table& table, std::size_t row);

/// Error unless the bands are those of the cells, bit for bit (NaN equals NaN): redundant values of a file must agree.
void check_sweep(const Table& table, const std::string& where);

template <class S>
class SweepSurvey : public StepSurvey<S> {
 public:
  /// `process` must outlive this object; its network's scratch is used. `segment`: as for StepProber.
  SweepSurvey(const SweepOptions& options, TrainingProcess<S>& process, std::int64_t segment);

  Table begin() const override;
  void add(const StepView<S>& step, Table& table) override;
  std::int64_t needs(std::int64_t step) const override { return prober_.missing_floor(step); }
  void prepare(const StepView<S>& step) override { prober_.measure_floor(step); }
  void adopt(const Table& table, std::size_t row) override;

 private:
  SweepOptions options_;
  TrainingProcess<S>& process_;
  StepProber<S> prober_;
};

}  // namespace gradscape
