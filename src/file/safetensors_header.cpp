#include "gradscape/file/safetensors_header.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// All that the format knows: a file may hold what nobody reads, but sizes are to be checked.
constexpr TensorType kTypes[] = {{"F64", 64},          {"F32", 32},          {"F16", 16},          {"BF16", 16},
                                 {"I64", 64},          {"U64", 64},          {"C64", 64},          {"I32", 32},
                                 {"U32", 32},          {"I16", 16},          {"U16", 16},          {"BOOL", 8},
                                 {"I8", 8, true},      {"U8", 8, true},      {"F8_E4M3", 8, true}, {"F8_E5M2", 8, true},
                                 {"F8_E8M0", 8, true}, {"F6_E2M3", 6, true}, {"F6_E3M2", 6, true}, {"F4", 4, true}};

}  // namespace

const TensorType* find_type(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const TensorType& t) { return t.name == name; });
  return found == std::end(kTypes) ? nullptr : found;
}

std::string quote(std::string_view name) {
  return "\"" + abridge(name) + "\"";
}

std::string describe(const StoredTensor& tensor) {
  return fmt::format("tensor {}: {} [{}]", quote(tensor.name), tensor.type,
                     abridge(fmt::format("{}", fmt::join(tensor.shape, ", "))));
}

namespace {

/// Error unless the offsets of one tensor are as far apart as its type and shape say.
void require_size(const std::string& path, const StoredTensor& tensor) {
  const auto refuse = [&](const std::string& what) { throw Error(path, describe(tensor) + " " + what, kIncomplete); };
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
                  kIncomplete);
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      metadata_[field_] = std::move(text);
    } else if (place_ == Place::tensor && field_ == "dtype") {
      const TensorType* type = find_type(text);
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
          throw Error(path_, fmt::format("tensor {} has no {}", quote(name_), field), kIncomplete);
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
    throw Error(path_, fmt::format("its header is not JSON at byte {}: {}", kHeaderLength + position - 1, text),
                kIncomplete);
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
    throw Error(path_, what, kIncomplete);
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
                  kIncomplete);
    if (tensors[i].begin < end)
      throw Error(path, fmt::format("tensors {} and {} overlap", quote(tensors[i - 1].name), quote(tensors[i].name)),
                  kIncomplete);
  }
  if (end > size)
    throw Error(path, fmt::format("is truncated: its tensors take {} bytes, {} are there", end, size), kIncomplete);
  if (end < size)
    throw Error(path, fmt::format("is too long: its tensors take {} bytes, {} are there", end, size), kIncomplete);
}

}  // namespace

void parse_header(const std::string& path, const std::string& header, std::uint64_t size,
                  std::vector<StoredTensor>& tensors, std::map<std::string, std::string>& metadata) {
  HeaderParser parser(path, tensors, metadata);
  nlohmann::json::sax_parse(header, &parser);
  require_filled(path, tensors, size);
}

}  // namespace gradscape
