#include "gradscape/file/npz.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <limits>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// Little-endian, as this program's machines are.
template <class T>
void put(std::string& to, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  to.append(bytes, sizeof value);
}

/// "(3,)", "(3, 5)", "()": a tuple of Python.
std::string tuple_of(const std::vector<std::size_t>& shape) {
  return fmt::format("({}{})", fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
}

/// The array as a file .npy of version 1.0.
std::string npy_of(const NpyArray& array) {
  constexpr const char* kTypes[] = {"<f8", "<i8", "|u1"};  // by the variant's alternatives
  constexpr std::size_t kBeforeHeader = 10, kAlignment = 64;
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': {}, }}",
                                   kTypes[array.values.index()], tuple_of(array.shape));
  const std::size_t length = kBeforeHeader + header.size() + 1;
  header.append((length + kAlignment - 1) / kAlignment * kAlignment - length, ' ');
  header += '\n';
  std::string npy("\x93NUMPY\x01\0", 8);
  put(npy, static_cast<std::uint16_t>(header.size()));
  npy += header;
  std::visit(
      [&](const auto& values) {
        std::size_t count = 1;
        for (const std::size_t extent : array.shape) count *= extent;
        check(count == values.size(), "an array's values fill its shape");
        npy.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof values[0]);
      },
      array.values);
  return npy;
}

/// What a member's two headers share: version needed, flags, method (stored), time, date (1 January 1980, the first
/// that an archive knows), checksum, sizes, length of the name, of more.
std::string member_fields(const std::string& name, const std::string& content) {
  std::string fields;
  for (const int value : {20, 0, 0, 0, 33}) put(fields, static_cast<std::uint16_t>(value));
  const auto* bytes = reinterpret_cast<const Bytef*>(content.data());
  put(fields, static_cast<std::uint32_t>(crc32_z(crc32_z(0, nullptr, 0), bytes, content.size())));
  for (int i = 0; i < 2; ++i) put(fields, static_cast<std::uint32_t>(content.size()));
  put(fields, static_cast<std::uint16_t>(name.size()));
  put(fields, std::uint16_t{0});
  return fields;
}

}  // namespace

void write_npz(const std::string& path, const std::vector<NpyArray>& arrays) {
  std::ofstream file(path, std::ios::binary);
  std::string directory;
  std::uint64_t place = 0;
  for (const NpyArray& array : arrays) {
    const std::string name = array.name + ".npy", content = npy_of(array);
    if (place + content.size() > std::numeric_limits<std::uint32_t>::max() / 2)
      throw Error(path, "does not become an .npz: the arrays are too large", "write csv or vtk");
    const std::string fields = member_fields(name, content), begin = "PK\x03\x04" + fields + name;
    directory += "PK\x01\x02";
    put(directory, std::uint16_t{20});
    directory += fields;
    // Comment, disk, kind of content, attributes.
    for (int i = 0; i < 3; ++i) put(directory, std::uint16_t{0});
    put(directory, std::uint32_t{0});
    put(directory, static_cast<std::uint32_t>(place));
    directory += name;
    file << begin << content;
    place += begin.size() + content.size();
  }
  std::string end = "PK\x05\x06";
  put(end, std::uint32_t{0});
  for (int i = 0; i < 2; ++i) put(end, static_cast<std::uint16_t>(arrays.size()));
  put(end, static_cast<std::uint32_t>(directory.size()));
  put(end, static_cast<std::uint32_t>(place));
  put(end, std::uint16_t{0});
  file << directory << end;
  file.close();
  if (!file) throw Error(path, std::string("cannot be written: ") + std::strerror(errno));
}

}  // namespace gradscape
