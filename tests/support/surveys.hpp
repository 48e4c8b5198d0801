#pragma once

#include <string>

#include "gradscape/store/run_directory.hpp"

namespace gradscape::testing {

inline SurveyId sweep_id(const std::string& name) {
  return {"sweep", name};
}

}  // namespace gradscape::testing
