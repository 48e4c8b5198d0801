#include "gradscape/file/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>

#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kLongestHeader = 1 << 20;
constexpr std::size_t kBlock = 4 << 20;  // bytes read at a time

/// The header's dictionary, {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }, in the form that NumPy writes.
class HeaderText {
 public:
  HeaderText(const std::string& path, std::string text) : path_(path), text_(std::move(text)) {}

  struct Fields {
    std::optional<std::string> descr;
    std::optional<bool> fortran_order;
    std::optional<std::vector<std::uint64_t>> shape;
  };

  Fields read() {
    Fields fields;
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !fields.descr) {
        fields.descr = descr();
      } else if (key == "fortran_order" && !fields.fortran_order) {
        fields.fortran_order = truth();
      } else if (key == "shape" && !fields.shape) {
        fields.shape = extents();
      } else {
        refuse(fmt::format("an entry \"{}\"", abridge(key)));
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip();
    if (at_ != text_.size()) refuse("more behind its }");
    if (!fields.descr || !fields.fortran_order || !fields.shape) refuse("no descr, fortran_order or shape");
    return fields;
  }

 private:
  [[noreturn]] void refuse(const std::string& found) const {
    throw Error(path_, fmt::format("is damaged: its header has {}", found), "write it again with np.save");
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char wanted) {
    skip();
    if (at_ >= text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted) {
    if (!accept(wanted)) refuse(fmt::format("no {} at byte {}", wanted, at_));
  }
  std::string quoted() {
    expect('\'');
    const std::size_t end = text_.find('\'', at_);
    if (end == std::string::npos) refuse("a text without an end");
    std::string value = text_.substr(at_, end - at_);
    at_ = end + 1;
    return value;
  }
  std::string descr() {
    if (accept('[')) throw Error(path_, "holds records of several fields", "np.save each field as an array of its own");
    return quoted();
  }
  bool truth() {
    skip();
    for (const bool value : {false, true}) {
      const std::string word = value ? "True" : "False";
      if (text_.compare(at_, word.size(), word) != 0) continue;
      at_ += word.size();
      return value;
    }
    refuse("a fortran_order that is neither True nor False");
  }
  std::vector<std::uint64_t> extents() {
    std::vector<std::uint64_t> shape;
    expect('(');
    while (!accept(')')) {
      skip();
      std::uint64_t extent = 0;
      const auto [end, code] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), extent);
      if (code != std::errc()) refuse("a shape that is no list of numbers");
      at_ = static_cast<std::size_t>(end - text_.data());
      shape.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  const std::string& path_;
  std::string text_;
  std::size_t at_ = 0;
};

}  // namespace

NpyFile::NpyFile(std::string path) : path_(std::move(path)) {
  require_regular_file(path_);
  read_header();
}

void NpyFile::read_header() {
  std::error_code code;
  const std::uintmax_t stored = std::filesystem::file_size(path_, code);
  std::ifstream stream(path_, std::ios::binary);
  if (code || !stream) throw Error(path_, "cannot be read");
  std::array<unsigned char, 12> head = {};
  stream.read(reinterpret_cast<char*>(head.data()), head.size());
  const auto got = static_cast<std::size_t>(stream.gcount());
  if (got >= 4 && std::memcmp(head.data(), "PK\3\4", 4) == 0)
    throw Error(path_, "is an NPZ archive, not an NPY file", "tools/from_arrays.py makes an HDF5 file of it");
  if (got < head.size() || std::memcmp(head.data(), "\x93NUMPY", 6) != 0)
    throw Error(path_, "is no NPY file: it does not begin with \\x93NUMPY", "np.save writes one");
  const int version = head[6];
  if (version < 1 || version > 3)
    throw Error(path_, fmt::format("is of NPY version {}.{}, and 1.0 to 3.0 are read", version, head[7]));
  std::size_t length = head[8] + 256u * head[9];
  std::size_t at = 10;
  if (version > 1) {
    length += (static_cast<std::size_t>(head[10]) << 16) + (static_cast<std::size_t>(head[11]) << 24);
    at = 12;
  }
  begin_ = at + length;
  if (length > kLongestHeader || begin_ > stored)
    throw Error(path_, fmt::format("is damaged: its header of {} bytes does not fit into its {}", length, stored));
  std::string text(length, '\0');
  stream.clear();
  stream.seekg(static_cast<std::streamoff>(at));
  if (!stream.read(text.data(), static_cast<std::streamsize>(length))) throw Error(path_, "cannot be read");
  auto fields = HeaderText(path_, std::move(text)).read();
  take_type(*fields.descr);
  fortran_order_ = *fields.fortran_order;
  shape_ = std::move(*fields.shape);
  std::uint64_t bytes = size_;
  for (const std::uint64_t extent : shape_) {
    count_ *= extent;
    if (__builtin_mul_overflow(bytes, extent, &bytes))
      throw Error(path_, "is damaged: the extents in its header multiply to more than 2^64 bytes");
  }
  if (stored - begin_ != bytes)
    throw Error(path_, fmt::format("is truncated, damaged or too long: expected {} bytes, found {} bytes",
                                   begin_ + bytes, stored));
}

void NpyFile::take_type(const std::string& descr) {
  if (descr.find('O') != std::string::npos)
    throw Error(path_, "holds Python objects, which only a pickle can: they are not read",
                "make it an array of numbers, as by np.stack or astype(np.float32)");
  const bool formed = descr.size() == 3 && std::strchr("<>|=", descr[0]) != nullptr;
  const char kind = formed ? descr[1] : '-';
  const std::size_t size = formed && descr[2] >= '1' && descr[2] <= '8' ? static_cast<std::size_t>(descr[2] - '0') : 0;
  const bool whole = (kind == 'u' || kind == 'i') && std::has_single_bit(size);
  const bool real = kind == 'f' && (size == 4 || size == 8);
  if (!whole && !real)
    throw Error(path_,
                fmt::format("holds values of type \"{}\", and uint8, float32, float64 and whole numbers are read",
                            abridge(descr)),
                "astype(np.float32), astype(np.uint8) or astype(np.int64)");
  kind_ = kind;
  size_ = size;
  big_endian_ = descr[0] == '>';
  element_ = real ? (size == 4 ? Element::float32 : Element::float64)
                  : (kind == 'u' && size == 1 ? Element::uint8 : Element::int64);
}

template <class T>
void NpyFile::read_slabs(const std::function<void(std::span<const T>)>& take) const {
  const auto decode = [this](const unsigned char* bytes) {
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < size_; ++i)
      bits |= static_cast<std::uint64_t>(bytes[big_endian_ ? size_ - 1 - i : i]) << (8 * i);
    if (kind_ == 'f')
      return static_cast<T>(size_ == 4 ? std::bit_cast<float>(static_cast<std::uint32_t>(bits))
                                       : std::bit_cast<double>(bits));
    if (kind_ == 'i') {
      const auto shift = static_cast<int>(64 - 8 * size_);
      return static_cast<T>(static_cast<std::int64_t>(bits << shift) >> shift);
    }
    return static_cast<T>(std::min<std::uint64_t>(bits, std::numeric_limits<std::int64_t>::max()));
  };
  std::ifstream stream(path_, std::ios::binary);
  stream.seekg(static_cast<std::streamoff>(begin_));
  std::vector<unsigned char> block(kBlock);
  std::vector<T> values(kBlock / size_);
  for (std::uint64_t done = 0; done < count_;) {
    const auto some = static_cast<std::size_t>(std::min<std::uint64_t>(values.size(), count_ - done));
    if (!stream.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(some * size_)))
      throw Error(path_, "cannot be read to its end");
    for (std::size_t i = 0; i < some; ++i) values[i] = decode(block.data() + i * size_);
    take(std::span<const T>(values.data(), some));
    done += some;
  }
}

template void NpyFile::read_slabs(const std::function<void(std::span<const std::uint8_t>)>&) const;
template void NpyFile::read_slabs(const std::function<void(std::span<const float>)>&) const;
template void NpyFile::read_slabs(const std::function<void(std::span<const double>)>&) const;
template void NpyFile::read_slabs(const std::function<void(std::span<const std::int64_t>)>&) const;

}  // namespace gradscape
