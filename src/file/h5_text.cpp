// Texts of variable length, as h5py writes them. HDF5 1.10 follows sizes and numbers of a damaged heap of such texts
// without looking at them, so these are read from the file's bytes ("HDF5 File Format Specification", version 3: object
// headers IV.A, attribute message IV.A.2.m, global heap III.E).
#include <algorithm>
#include <fstream>
#include <vector>

#include "gradscape/file/h5_objects.hpp"

namespace gradscape::h5 {
namespace {

constexpr std::size_t kLongestPiece = 1 << 20;  // bytes of a header's block, or of a heap
constexpr std::size_t kMostBlocks = 64;

/// The bytes are not there, or not what the format says.
struct Malformed {};

void require_that(bool condition) {
  if (!condition) throw Malformed();
}

/// Bytes of a file; what lies beyond their end is an error.
class Piece {
 public:
  Piece(std::ifstream& file, std::uint64_t at, std::uint64_t size) {
    require_that(size <= kLongestPiece && at < (std::uint64_t{1} << 62));
    bytes_.resize(size);
    file.clear();
    file.seekg(static_cast<std::streamoff>(at));
    file.read(bytes_.data(), static_cast<std::streamsize>(size));
    require_that(file.gcount() == static_cast<std::streamsize>(size));
  }

  std::size_t size() const { return bytes_.size(); }
  /// A number of `count` bytes, little-endian.
  std::uint64_t number(std::size_t at, std::size_t count) const {
    const std::string part = text(at, count);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= std::uint64_t{static_cast<unsigned char>(part[i])} << (8 * i);
    return value;
  }
  std::string text(std::size_t at, std::size_t count) const {
    require_that(at <= size() && count <= size() - at);
    return bytes_.substr(at, count);
  }

 private:
  std::string bytes_;
};

std::size_t padded(std::size_t size) {
  return (size + 7) & ~std::size_t{7};
}

struct Range {
  std::uint64_t at;
  std::uint64_t size;
};

/// Where an attribute of variable length has its value: what lies in its message.
struct HeapPlace {
  std::uint64_t length;
  std::uint64_t address;
  std::uint64_t number;
};

/// The value of an attribute message that begins at `at`; none where it is of another name.
std::optional<HeapPlace> read_attribute_message(const Piece& block, std::size_t at, const std::string& name) {
  constexpr std::uint64_t kVariableLength = 9;  // class of a type
  const std::uint64_t version = block.number(at, 1);
  require_that(version >= 1 && version <= 3);
  const auto align = [&](std::size_t size) { return version == 1 ? padded(size) : size; };
  const std::size_t name_size = block.number(at + 2, 2), type_size = block.number(at + 4, 2),
                    space_size = block.number(at + 6, 2);
  at += version == 3 ? 9 : 8;
  if (name != block.text(at, name_size).c_str()) return std::nullopt;
  at += align(name_size);
  require_that((block.number(at, 1) & 15) == kVariableLength);
  at += align(type_size) + align(space_size);
  return HeapPlace{block.number(at, 4), block.number(at + 4, 8), block.number(at + 12, 4)};
}

/// Goes through the messages of an object's header.
HeapPlace find_attribute(std::ifstream& file, std::uint64_t base, std::uint64_t header, const std::string& name) {
  constexpr std::uint64_t kAttribute = 12, kContinuation = 16;  // kinds of messages
  std::vector<Range> blocks;
  const bool is_new = Piece(file, base + header, 4).text(0, 4) == "OHDR";
  std::size_t number_size = 2, message_head = 8;
  if (is_new) {
    const std::uint64_t flags = Piece(file, base + header, 6).number(5, 1);
    const std::size_t at = 6 + ((flags & 0x20) != 0 ? 16 : 0) + ((flags & 0x10) != 0 ? 4 : 0);
    const std::size_t width = std::size_t{1} << (flags & 3);
    number_size = 1;
    message_head = (flags & 4) != 0 ? 6 : 4;
    blocks.push_back({header + at + width, Piece(file, base + header + at, width).number(0, width)});
  } else {
    const Piece head(file, base + header, 16);
    require_that(head.number(0, 1) == 1);
    blocks.push_back({header + 16, head.number(8, 4)});
  }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    require_that(blocks.size() <= kMostBlocks);
    const Piece block(file, base + blocks[i].at, blocks[i].size);
    for (std::size_t at = 0; at + message_head <= block.size();) {
      const std::uint64_t kind = block.number(at, number_size), size = block.number(at + number_size, 2);
      const std::size_t data = at + message_head;
      if (kind == kContinuation) {
        Range next{block.number(data, 8), block.number(data + 8, 8)};
        if (is_new) {  // between a signature and a checksum
          require_that(next.size >= 8);
          next = {next.at + 4, next.size - 8};
        }
        blocks.push_back(next);
      }
      if (kind == kAttribute)
        if (const auto found = read_attribute_message(block, data, name)) return *found;
      at = data + size;
    }
  }
  throw Malformed();
}

std::string read_heap(std::ifstream& file, std::uint64_t base, const HeapPlace& place) {
  constexpr std::size_t kHead = 16;  // of a heap, and of each object in it
  const Piece head(file, base + place.address, kHead);
  require_that(head.text(0, 5) == std::string("GCOL\1"));
  const Piece heap(file, base + place.address, head.number(8, 8));
  for (std::size_t at = kHead; at + kHead <= heap.size();) {
    const std::uint64_t number = heap.number(at, 2), size = heap.number(at + 8, 8);
    require_that(number != 0 && size <= heap.size());
    if (number == place.number) return heap.text(at + kHead, std::min(size, place.length));
    at += kHead + padded(size);
  }
  throw Malformed();
}

}  // namespace

std::optional<std::string> read_variable_text(const std::string& path, std::uint64_t base, std::uint64_t header,
                                              const std::string& name) {
  try {
    std::ifstream file(path, std::ios::binary);
    std::string text = read_heap(file, base, find_attribute(file, base, header, name));
    return std::string(text.c_str());  // up to a zero byte
  } catch (const Malformed&) {
    return std::nullopt;
  }
}

}  // namespace gradscape::h5
