#include "gradscape/file/safetensors.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"
#include "gradscape/file/safetensors_header.hpp"

namespace gradscape {
namespace {

constexpr std::uint64_t kMostHeader = 100'000'000;
constexpr const char* kWanted =
    "tensors are read from safetensors files; tools/from_pytorch.py makes them from PyTorch's";

/// Error naming what a file is instead, by its first bytes; no safetensors file begins so and has { as its ninth byte.
void refuse_other_formats(const std::string& path, std::string_view head) {
  const auto is_pickle = [&] { return head.size() > 1 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5; };
  const auto is_text = [](unsigned char c) { return c >= 0x20 ? c != 0x7f && c < 0xf8 : c >= '\t' && c <= '\r'; };
  if (head.empty()) throw Error(path, "is empty", kIncomplete);
  if (head.starts_with("PK\x03\x04") || is_pickle())
    throw Error(path, "is PyTorch's own format (a pickle)", "tools/from_pytorch.py turns it into safetensors");
  if (head.starts_with("\x89HDF\r\n\x1a\n")) throw Error(path, "is an HDF5 file, not safetensors", kWanted);
  if (head.starts_with("version https://git-lfs"))
    throw Error(path, "is a pointer of Git LFS, not the file that it stands for", "`git lfs pull` fetches the file");
  if (std::all_of(head.begin(), head.end(), is_text)) throw Error(path, "is a text file, not safetensors", kWanted);
}

double float_value(float value) {
  return value;
}

double half_value(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 0x1fu, fraction = bits & 0x3ffu;
  if (exponent == 0) return (sign != 0 ? -0x1p-24 : 0x1p-24) * fraction;
  const std::uint32_t wide = exponent == 0x1f ? 0xff : exponent + 127 - 15;
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

double bfloat_value(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// Values may lie at any byte.
template <class Stored>
void widen(const char* from, std::span<double> to, double (*value_of)(Stored)) {
  for (double& value : to) {
    Stored stored = 0;
    std::memcpy(&stored, from, sizeof stored);
    value = value_of(stored);
    from += sizeof stored;
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path), file_(nullptr, std::fclose) {
  require_regular_file(path);
  file_.reset(std::fopen(path.c_str(), "rbe"));
  struct stat found = {};
  if (!file_ || ::fstat(::fileno(file_.get()), &found) != 0)
    throw AccessError(path, std::string("cannot be opened: ") + std::strerror(errno));
  const auto size = static_cast<std::uint64_t>(found.st_size);

  std::string head(std::min<std::uint64_t>(size, 512), '\0');
  read_bytes(0, head.data(), head.size());
  std::uint64_t length = 0;
  if (size >= kHeaderLength) std::memcpy(&length, head.data(), kHeaderLength);
  if (size <= kHeaderLength || length > kMostHeader || head[kHeaderLength] != '{') refuse_other_formats(path, head);
  if (size < kHeaderLength)
    throw Error(path, fmt::format("is no safetensors file: it has {} bytes, and the header's length takes 8", size),
                kIncomplete);
  if (length > kMostHeader)
    throw Error(path,
                fmt::format("is no safetensors file: its first 8 bytes announce a header of {} bytes, at most {} "
                            "are allowed",
                            length, kMostHeader),
                kWanted);
  if (length > size - kHeaderLength)
    throw Error(path,
                fmt::format("is truncated: its header takes {} bytes, {} are there", length, size - kHeaderLength),
                kIncomplete);
  data_ = kHeaderLength + length;

  std::string header(length, '\0');
  read_bytes(kHeaderLength, header.data(), header.size());
  // The parser takes a byte order mark for nothing, and a zero byte for the end.
  if (!header.starts_with('{')) throw Error(path, "its header does not begin with { at byte 8", kIncomplete);
  if (const auto zero = header.find('\0'); zero != header.npos)
    throw Error(path, fmt::format("its header is not JSON at byte {}: a zero byte", kHeaderLength + zero), kIncomplete);
  parse_header(path_, header, size - data_, tensors_, metadata_);
  for (std::size_t i = 0; i < tensors_.size(); ++i) places_.emplace(tensors_[i].name, i);
}

const StoredTensor* SafetensorsFile::find(const std::string& name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &tensors_[found->second];
}

const StoredTensor& SafetensorsFile::at(const std::string& name) const {
  const StoredTensor* found = find(name);
  if (found == nullptr) throw Error(path_, fmt::format("has no tensor {}", quote(name)));
  return *found;
}

void SafetensorsFile::read_bytes(std::uint64_t from, void* to, std::size_t count) const {
  for (auto* place = static_cast<char*>(to); count > 0;) {
    const ssize_t got = ::pread(::fileno(file_.get()), place, count, static_cast<off_t>(from));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw AccessError(path_, std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) throw Error(path_, fmt::format("ends at byte {}: it was changed while it was read", from));
    place += got;
    from += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
}

std::vector<double> SafetensorsFile::read(const std::string& name) const {
  const StoredTensor& tensor = at(name);
  const TensorType& type = *find_type(tensor.type);
  const bool is_float = tensor.type == "F64" || tensor.type == "F32" || tensor.type == "F16" || tensor.type == "BF16";
  if (!is_float)
    throw Error(path_,
                describe(tensor) + (type.quantised ? ": quantised weights cannot be analysed"
                                                   : " does not hold floating-point numbers"),
                "weights are F64, F32, F16 or BF16: export them in one of these types");
  const std::size_t size = type.bits / 8;
  std::vector<double> values((tensor.end - tensor.begin) / size);
  if (tensor.type == "F64") {
    read_bytes(data_ + tensor.begin, values.data(), tensor.end - tensor.begin);
    return values;
  }
  std::array<char, 1 << 16> block;
  for (std::size_t done = 0; done < values.size();) {
    const std::size_t count = std::min(values.size() - done, block.size() / size);
    read_bytes(data_ + tensor.begin + done * size, block.data(), count * size);
    const std::span<double> to = std::span(values).subspan(done, count);
    if (tensor.type == "F32") widen(block.data(), to, float_value);
    if (tensor.type == "F16") widen(block.data(), to, half_value);
    if (tensor.type == "BF16") widen(block.data(), to, bfloat_value);
    done += count;
  }
  return values;
}

std::vector<std::int64_t> SafetensorsFile::read_counts(const std::string& name) const {
  const StoredTensor& tensor = at(name);
  if (tensor.type != "I64") throw Error(path_, describe(tensor) + " does not hold counts, which are I64");
  std::vector<std::int64_t> values((tensor.end - tensor.begin) / sizeof(std::int64_t));
  read_bytes(data_ + tensor.begin, values.data(), tensor.end - tensor.begin);
  return values;
}

}  // namespace gradscape
