// Files of named tensors as PyTorch's users exchange them: 8 bytes N, little-endian; a header of N bytes of JSON;
// values, row-major and little-endian.
#pragma once

#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// A tensor as a file's header describes it.
struct StoredTensor {
  std::string name;          // UTF-8 without control characters
  std::string type;          // one that the format knows, as it writes them: "F32", "BF16", "I64" …
  std::vector<Index> shape;  // empty: a single number
  std::uint64_t begin = 0;   // where its values lie, in bytes behind the header
  std::uint64_t end = 0;
};

/// A file open for reading. Files come from anywhere: the whole header is checked at opening, and no memory is taken
/// for what the file only claims to hold. Errors name the file and the tensor or byte; AccessError where the system
/// refuses.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  const std::string& path() const { return path_; }
  /// In the order of their values in the file, which fill it without gap or overlap.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Null where there is none of this name.
  const StoredTensor* find(const std::string& name) const;

  /// The values of a tensor of type F64, F32, F16 or BF16, row-major: exact, but that a signalling NaN becomes quiet.
  /// Error for any other type.
  std::vector<double> read(const std::string& name) const;
  /// The values of a tensor of type I64: counters such as num_batches_tracked. Error for any other type.
  std::vector<std::int64_t> read_counts(const std::string& name) const;

 private:
  const StoredTensor& at(const std::string& name) const;
  void read_bytes(std::uint64_t from, void* to, std::size_t count) const;

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::uint64_t data_ = 0;  // where values begin
  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, std::size_t> places_;  // in tensors_
};

/// A tensor to be written: F32, F64 or I64 by the type of its values.
struct TensorValues {
  std::string name;
  std::vector<Index> shape;
  std::variant<std::span<const float>, std::span<const double>, std::span<const std::int64_t>> values;  // row-major
};

/// Writes a file of the same bytes for the same arguments. Values of 8 bytes come first, else the order is the given
/// one: so every value is aligned, which PyTorch's reader needs. Nothing is synced or renamed: that is the caller's.
/// Error where the file cannot be written, or where a name or metadata is not UTF-8.
void write_safetensors(const std::string& path, std::vector<TensorValues> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace gradscape
