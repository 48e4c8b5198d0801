#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "gradscape/core/element.hpp"

namespace gradscape {

/// An array as NumPy's np.save writes it, versions 1.0 to 3.0, of either byte order. Errors name the file: no NPY file,
/// damaged, of another size than its header says, of a type without a place here (objects are pickles: never read).
class NpyFile {
 public:
  explicit NpyFile(std::string path);

  const std::vector<std::uint64_t>& shape() const { return shape_; }
  /// uint8, float32, float64; int64 for all other whole numbers.
  Element element() const { return element_; }
  /// Whether the first index is the one that runs fastest.
  bool fortran_order() const { return fortran_order_; }

  /// Calls take() with the values in the file's order, some at a time. T is uint8, float (of arrays of that type), or
  /// std::int64_t (of whole numbers; beyond its range: its largest) or double (of all).
  template <class T>
  void read_slabs(const std::function<void(std::span<const T>)>& take) const;

 private:
  void read_header();
  void take_type(const std::string& descr);

  std::string path_;
  std::vector<std::uint64_t> shape_;
  Element element_ = Element::uint8;
  char kind_ = 'u';       // u, i, f
  std::size_t size_ = 1;  // bytes of a value
  bool big_endian_ = false;
  bool fortran_order_ = false;
  std::size_t begin_ = 0;  // of the values in the file
  std::uint64_t count_ = 1;
};

}  // namespace gradscape
