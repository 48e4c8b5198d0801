// Arrays for NumPy: numpy.load() reads them by their names.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace gradscape {

/// An array, row-major; an empty shape is a scalar.
struct NpyArray {
  std::string name;
  std::vector<std::size_t> shape;
  std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::uint8_t>> values;
};

/// Writes a file .npz: a zip archive, not compressed, of an .npy for each array. Equal arrays make equal bytes. Error
/// where it cannot be written, or is 2 GiB large or more.
void write_npz(const std::string& path, const std::vector<NpyArray>& arrays);

}  // namespace gradscape
