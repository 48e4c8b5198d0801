#pragma once

#include <string>
#include <vector>

namespace gradscape {

/// Names in a folder, hidden ones too, sorted; none where it is no folder. AccessError where it cannot be listed.
/// (libstdc++'s directory iterators end the program where memory runs out.)
std::vector<std::string> names_in(const std::string& folder);

/// Regular files with a name that ends in `suffix` below a folder, at any depth, sorted by their paths, which begin
/// with `folder`. Hidden files and what lies behind links are left out.
std::vector<std::string> files_below(const std::string& folder, const std::string& suffix);

}  // namespace gradscape
