#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace gradscape {

/// A document as it is printed. JSON holds UTF-8 only: invalid bytes in a path become U+FFFD.
template <class Json>
std::string json_text(const Json& document) {
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace gradscape
