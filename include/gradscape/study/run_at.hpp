// A checkpoint of a run, as people name it.
#pragma once

#include <cstdint>
#include <string>

#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// A checkpoint of a run.
struct RunAt {
  RunDirectory directory;
  std::int64_t step = 0;
};

/// "RUN", "RUN@STEP" or "RUN@last"; without a step the last one. UsageError where there is no such run or checkpoint.
RunAt find_run_at(const std::string& text);

}  // namespace gradscape
