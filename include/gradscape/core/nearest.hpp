// What a mistyped name was meant to be.
#pragma once

#include <string>
#include <vector>

namespace gradscape {

/// The nearest of `names` to a mistyped one, or an empty text where none is near.
std::string nearest(const std::string& typed, const std::vector<std::string>& names);

}  // namespace gradscape
