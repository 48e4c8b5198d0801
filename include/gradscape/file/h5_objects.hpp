// What h5::File keeps of the objects that it has looked at. For its own sources.
#pragma once

#include <optional>
#include <string>

#include "gradscape/file/h5.hpp"

namespace gradscape::h5 {

/// Bytes of values for each byte of a file: some are compressed by their users.
inline constexpr std::uint64_t kMostExpansion = 8;

/// The same of files of anyone, and what a small one may hold in any case.
inline constexpr std::uint64_t kMostExpansionOfAnyone = 64;
inline constexpr std::uint64_t kAlwaysAdmitted = 16 << 20;

/// A text and the zero behind it, so that two of them cannot pass for others.
inline void add_text(Fingerprint& hash, const std::string& text) {
  hash.add(text.c_str(), text.size() + 1);
}

/// The text of variable length that attribute `name` holds, of the object whose header lies at `header`; both addresses
/// count from `base`, which is where HDF5 begins in the file. None where there is none, or it is damaged.
std::optional<std::string> read_variable_text(const std::string& path, std::uint64_t base, std::uint64_t header,
                                              const std::string& name);

struct File::Attribute {
  char kind = '-';  // t: text, i: signed integers, u: unsigned ones, f: floating-point numbers, -: anything else
  std::size_t size = 0;
  std::size_t count = 0;
  std::string bytes = {};  // size · count, little-endian; none of anything else

  void add_to(Fingerprint& hash) const {
    hash.add(&kind, 1);
    hash.add(static_cast<std::uint64_t>(size));
    hash.add(static_cast<std::uint64_t>(count));
    hash.add(bytes);
  }
};

struct File::Object {
  Handle handle;
  std::optional<Element> element;  // none: a group
  Shape shape = {};
  std::optional<std::uint64_t> hash = {};
  std::size_t stored_size = 0;  // bytes of a value in the file

  std::uint64_t bytes() const { return count_values(shape) * element_size(*element); }
};

}  // namespace gradscape::h5
