#include "gradscape/file/safetensors.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>

#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"

namespace gradscape {
namespace {

constexpr std::uint64_t kLength = 8;  // bytes of the header's length
constexpr std::uint64_t kMostHeader = 100'000'000;
constexpr std::string_view kMetadata = "__metadata__";
constexpr const char* kWanted =
    "tensors are read from safetensors files; tools/from_pytorch.py makes them from PyTorch's";
constexpr const char* kDamaged = "it is damaged or was not copied to its end: copy, download or export it again";

struct Type {
  std::string_view name;
  unsigned bits;
  bool quantised = false;
};

/// All that the format knows: a file may hold what nobody reads, but sizes are to be checked.
constexpr Type kTypes[] = {{"F64", 64},          {"F32", 32},          {"F16", 16},          {"BF16", 16},
                           {"I64", 64},          {"U64", 64},          {"C64", 64},          {"I32", 32},
                           {"U32", 32},          {"I16", 16},          {"U16", 16},          {"BOOL", 8},
                           {"I8", 8, true},      {"U8", 8, true},      {"F8_E4M3", 8, true}, {"F8_E5M2", 8, true},
                           {"F8_E8M0", 8, true}, {"F6_E2M3", 6, true}, {"F6_E3M2", 6, true}, {"F4", 4, true}};

const Type* find_type(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTypes), std::end(kTypes), [&](const Type& t) { return t.name == name; });
  return found == std::end(kTypes) ? nullptr : found;
}

std::string quote(std::string_view name) {
  return "\"" + abridge(name) + "\"";
}

std::string describe(const StoredTensor& tensor) {
  return fmt::format("tensor {}: {} [{}]", quote(tensor.name), tensor.type,
                     abridge(fmt::format("{}", fmt::join(tensor.shape, ", "))));
}

/// Error unless the offsets of one tensor are as far apart as its type and shape say.
void require_size(const std::string& path, const StoredTensor& tensor) {
  const auto refuse = [&](const std::string& what) { throw Error(path, describe(tensor) + " " + what, kDamaged); };
  std::uint64_t bits = find_type(tensor.type)->bits;
  bool overflow = false;
  for (const Index extent : tensor.shape)
    overflow |= __builtin_mul_overflow(bits, static_cast<std::uint64_t>(extent), &bits);
  if (overflow) refuse("is larger than any file");
  if (bits % 8 != 0) refuse("does not fill a whole number of bytes");
  if (tensor.end < tensor.begin || tensor.end - tensor.begin != bits / 8)
    refuse(fmt::format("takes {} bytes, its data_offsets are {} and {}", bits / 8, tensor.begin, tensor.end));
}

/// Makes tensors and metadata of a header as it is parsed, and refuses whatever is not one: so what lies deeper than a
/// header goes, and keys that are there twice, are seen, which a document would hide.
class HeaderParser : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderParser(const std::string& path, std::vector<StoredTensor>& tensors,
               std::map<std::string, std::string>& metadata)
      : path_(path), tensors_(tensors), metadata_(metadata) {}

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::header;
    } else if (place_ == Place::header) {
      place_ = name_ == kMetadata ? Place::metadata : Place::tensor;
      fields_.clear();
      if (place_ == Place::tensor) tensors_.push_back({name_, {}, {}});
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(std::string& key) override {
    const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    if (std::any_of(key.begin(), key.end(), is_control))
      throw Error(path_, "has a name with a control character in it", "export it with other names");
    bool is_new = true;
    if (place_ == Place::header) {
      is_new = names_.insert(key).second;
      name_ = key;
    } else if (place_ == Place::metadata) {
      is_new = metadata_.emplace(key, "").second;
      field_ = key;
    } else {
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        throw Error(path_,
                    fmt::format("tensor {} has a field {}, which this program does not know", quote(name_), quote(key)),
                    "export it again as plain tensors");
      is_new = fields_.insert(key).second;
      field_ = key;
    }
    if (!is_new)
      throw Error(path_,
                  place_ == Place::header ? fmt::format("tensor {} is there twice", quote(key))
                                          : fmt::format("{} has {} twice", whose(), quote(key)),
                  kDamaged);
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      metadata_[field_] = std::move(text);
    } else if (place_ == Place::tensor && field_ == "dtype") {
      const Type* type = find_type(text);
      if (type == nullptr)
        throw Error(path_, fmt::format("tensor {} is of a type that this program does not know", quote(name_)),
                    "export it as F32 or F64");
      tensors_.back().type = type->name;
    } else {
      refuse("a text");
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || field_ == "dtype") refuse("a list");
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    offsets_.clear();
    return true;
  }

  bool number_unsigned(std::uint64_t number) override {
    if (place_ == Place::shape && number <= static_cast<std::uint64_t>(std::numeric_limits<Index>::max())) {
      tensors_.back().shape.push_back(static_cast<Index>(number));
    } else if (place_ == Place::offsets && offsets_.size() < 2) {
      offsets_.push_back(number);
    } else {
      refuse(std::to_string(number));
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets) {
      if (offsets_.size() < 2) refuse(fmt::format("{} numbers", offsets_.size()));
      tensors_.back().begin = offsets_[0];
      tensors_.back().end = offsets_[1];
    }
    place_ = Place::tensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"})
        if (!fields_.contains(field))
          throw Error(path_, fmt::format("tensor {} has no {}", quote(name_), field), kDamaged);
      require_size(path_, tensors_.back());
    }
    place_ = place_ == Place::header ? Place::outside : Place::header;
    return true;
  }

  bool null() override { return refuse("null"); }
  bool boolean(bool value) override { return refuse(value ? "true" : "false"); }
  bool number_integer(std::int64_t number) override { return refuse(std::to_string(number)); }
  bool number_float(double, const std::string& text) override { return refuse(abridge(text)); }
  bool binary(nlohmann::json::binary_t&) override { return refuse("binary"); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    std::string_view text = error.what();  // "[json.exception.…] parse error at line 1, column 3: WHAT; last read: …"
    if (const auto begin = text.find(": "); begin != text.npos) text.remove_prefix(begin + 2);
    text = text.substr(0, text.find("; last read"));
    throw Error(path_, fmt::format("its header is not JSON at byte {}: {}", kLength + position - 1, text), kDamaged);
  }

 private:
  enum class Place { outside, header, metadata, tensor, shape, offsets };

  std::string whose() const {
    return place_ == Place::metadata || name_ == kMetadata ? std::string(kMetadata) : "tensor " + quote(name_);
  }

  /// Error for a value that has no business where it is.
  [[noreturn]] bool refuse(const std::string& found) const {
    std::string what;
    if (place_ == Place::outside)
      what = "its header is " + found + ", expected an object of tensors";
    else if (place_ == Place::header)
      what = fmt::format("{} is {}, expected an object{}", whose(), found,
                         name_ == kMetadata ? " of texts" : " of dtype, shape and data_offsets");
    else if (place_ == Place::metadata)
      what = fmt::format("{} holds {} as {}, expected a text", whose(), found, quote(field_));
    else if (field_ == "dtype")
      what = fmt::format("{} has {} as dtype, expected a text", whose(), found);
    else
      what =
          fmt::format("{} has {} {} {}, expected {}", whose(), found, place_ == Place::tensor ? "as" : "in", field_,
                      field_ == "shape" ? "a list of unsigned integers below 2^63" : "a list of two unsigned integers");
    throw Error(path_, what, kDamaged);
  }

  const std::string& path_;
  std::vector<StoredTensor>& tensors_;
  std::map<std::string, std::string>& metadata_;
  Place place_ = Place::outside;
  std::string name_;   // of the tensor that is read
  std::string field_;  // of it, or of the metadata
  std::set<std::string> names_;
  std::set<std::string> fields_;
  std::vector<std::uint64_t> offsets_;
};

/// Sorts tensors by their values' places. Error unless they fill `size` bytes without gap or overlap.
void require_filled(const std::string& path, std::vector<StoredTensor>& tensors, std::uint64_t size) {
  const auto place = [](const StoredTensor& tensor) { return std::tuple(tensor.begin, tensor.end); };
  std::stable_sort(tensors.begin(), tensors.end(),
                   [&](const StoredTensor& a, const StoredTensor& b) { return place(a) < place(b); });
  std::uint64_t end = 0;
  for (std::size_t i = 0; i < tensors.size(); end = tensors[i++].end) {
    if (tensors[i].begin > end)
      throw Error(path,
                  fmt::format("there is a gap: data_offsets {} to {}, before tensor {}, belong to no tensor", end,
                              tensors[i].begin, quote(tensors[i].name)),
                  kDamaged);
    if (tensors[i].begin < end)
      throw Error(path, fmt::format("tensors {} and {} overlap", quote(tensors[i - 1].name), quote(tensors[i].name)),
                  kDamaged);
  }
  if (end > size)
    throw Error(path, fmt::format("is truncated: its tensors take {} bytes, {} are there", end, size), kDamaged);
  if (end < size)
    throw Error(path, fmt::format("is too long: its tensors take {} bytes, {} are there", end, size), kDamaged);
}

/// Error naming what a file is instead, by its first bytes; no safetensors file begins so and has { as its ninth byte.
void refuse_other_formats(const std::string& path, std::string_view head) {
  const auto is_pickle = [&] { return head.size() > 1 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5; };
  const auto is_text = [](unsigned char c) { return c >= 0x20 ? c != 0x7f && c < 0xf8 : c >= '\t' && c <= '\r'; };
  if (head.empty()) throw Error(path, "is empty", kDamaged);
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
  if (size >= kLength) std::memcpy(&length, head.data(), kLength);
  if (size <= kLength || length > kMostHeader || head[kLength] != '{') refuse_other_formats(path, head);
  if (size < kLength)
    throw Error(path, fmt::format("is no safetensors file: it has {} bytes, and the header's length takes 8", size),
                kDamaged);
  if (length > kMostHeader)
    throw Error(path,
                fmt::format("is no safetensors file: its first 8 bytes announce a header of {} bytes, at most {} "
                            "are allowed",
                            length, kMostHeader),
                kWanted);
  if (length > size - kLength)
    throw Error(path, fmt::format("is truncated: its header takes {} bytes, {} are there", length, size - kLength),
                kDamaged);
  data_ = kLength + length;

  std::string header(length, '\0');
  read_bytes(kLength, header.data(), header.size());
  // The parser takes a byte order mark for nothing, and a zero byte for the end.
  if (!header.starts_with('{')) throw Error(path, "its header does not begin with { at byte 8", kDamaged);
  if (const auto zero = header.find('\0'); zero != header.npos)
    throw Error(path, fmt::format("its header is not JSON at byte {}: a zero byte", kLength + zero), kDamaged);
  HeaderParser parser(path_, tensors_, metadata_);
  nlohmann::json::sax_parse(header, &parser);
  require_filled(path, tensors_, size - data_);
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
  const Type& type = *find_type(tensor.type);
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
