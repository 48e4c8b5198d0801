// The header of a safetensors file, apart from its values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gradscape/file/safetensors.hpp"

namespace gradscape {

inline constexpr std::uint64_t kHeaderLength = 8;  // bytes that say how long it is
inline constexpr std::string_view kMetadata = "__metadata__";
inline constexpr const char* kIncomplete =
    "it is damaged or was not copied to its end: copy, download or export it again";

/// A type of values.
struct TensorType {
  std::string_view name;
  unsigned bits;
  bool quantised = false;
};

/// Null where the format has none of this name.
const TensorType* find_type(std::string_view name);

/// A name, and a tensor, as messages show them.
std::string quote(std::string_view name);
std::string describe(const StoredTensor& tensor);

/// Makes tensors, in the order of their values, and metadata of a header's text. Error (naming tensor or byte) where it
/// is none, and unless the tensors fill the `size` bytes of values without gap or overlap.
void parse_header(const std::string& path, const std::string& header, std::uint64_t size,
                  std::vector<StoredTensor>& tensors, std::map<std::string, std::string>& metadata);

}  // namespace gradscape
