// Writing safetensors files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/file/safetensors_header.hpp"

namespace gradscape {
namespace {

std::span<const std::byte> bytes_of(const TensorValues& tensor) {
  return std::visit([](const auto& values) { return std::as_bytes(values); }, tensor.values);
}

bool is_wide(const TensorValues& tensor) {
  return !std::holds_alternative<std::span<const float>>(tensor.values);
}

/// The header's text, padded so that values begin at a multiple of 8.
std::string header_of(const std::vector<TensorValues>& tensors, const std::map<std::string, std::string>& metadata) {
  constexpr const char* kNames[] = {"F32", "F64", "I64"};  // by the variant's alternatives
  const auto text = [](const std::string& value) { return nlohmann::json(value).dump(); };
  std::vector<std::string> entries;
  if (!metadata.empty()) entries.push_back(fmt::format("\"{}\":{}", kMetadata, nlohmann::json(metadata).dump()));
  std::set<std::string_view> names = {kMetadata};
  std::size_t begin = 0;
  for (const TensorValues& tensor : tensors) {
    const std::size_t end = begin + bytes_of(tensor).size();
    std::size_t count = is_wide(tensor) ? sizeof(double) : sizeof(float);
    for (const Index extent : tensor.shape) count *= static_cast<std::size_t>(extent);
    check(count == end - begin, "a tensor's values do not fill its shape");
    check(names.insert(tensor.name).second, "two tensors have the same name");
    entries.push_back(fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", text(tensor.name),
                                  kNames[tensor.values.index()], fmt::join(tensor.shape, ","), begin, end));
    begin = end;
  }
  std::string header = fmt::format("{{{}}}", fmt::join(entries, ","));
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

}  // namespace

void write_safetensors(const std::string& path, std::vector<TensorValues> tensors,
                       const std::map<std::string, std::string>& metadata) try {
  std::stable_partition(tensors.begin(), tensors.end(), is_wide);
  const std::string header = header_of(tensors, metadata);
  const std::uint64_t length = header.size();
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(&length), sizeof length);
  file << header;
  for (const TensorValues& tensor : tensors) {
    const auto bytes = bytes_of(tensor);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  file.close();
  if (!file) throw Error(path, std::string("cannot be written: ") + std::strerror(errno));
} catch (const nlohmann::json::exception&) {
  throw Error(path, "cannot be written: a tensor's name or metadata is not UTF-8");
}

}  // namespace gradscape
