// The kinds of surveys of a run: to add one of steps, write a StepSurvey and add a row to the list in survey_kinds.cpp.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gradscape/landscape/options.hpp"
#include "gradscape/landscape/step_survey.hpp"

namespace gradscape {

struct SurveyKind {
  std::string name;    // of its folder in a run: "sweep", "shift"
  std::string merged;  // of the merged file: "landscape", "shift"
  Table (*schema)();   // as a reader expects it: dimensions without coordinates
  void (*check)(const Table& table, const std::string& where);  // Error where redundant values disagree; may be null
  // Of a survey whose rows are points, not training steps: how the merged file's table is made of them; else null.
  Table (*unfold)(const Table& rows) = nullptr;

  bool of_steps() const { return unfold == nullptr; }
};

/// The sweep is the first.
const std::vector<SurveyKind>& survey_kinds();
const std::vector<std::string>& survey_names();
const SurveyKind& survey_kind(const std::string& name);

/// Those of steps, but for the sweep: what sweep.also may name.
std::vector<std::string> step_survey_names();

/// The kinds that sweep.also names.
std::vector<std::string> surveys_beside(const SweepOptions& options);

/// Settings of an analysis, its steps aside.
struct SurveySettings {
  std::vector<std::string> layers = {};  // names, or numbers from 1 on; empty: all
  std::size_t bins = 0;                  // of histograms; 0: 64
};

/// The settings with which a table was made.
SurveySettings settings_of(const Table& table);

/// `segment`: as for StepProber. `process` must outlive the survey, and its network's scratch is used. UsageError where
/// the run cannot be looked at so.
template <class S>
std::unique_ptr<StepSurvey<S>> open_survey(const std::string& kind, const SweepOptions& options,
                                           const SurveySettings& settings, TrainingProcess<S>& process,
                                           std::int64_t segment);

}  // namespace gradscape
