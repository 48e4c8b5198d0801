// HDF5's handles and errors: what every call of the library goes through.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>

#include "gradscape/core/element.hpp"
#include "gradscape/core/error.hpp"

namespace gradscape::h5 {

/// Before the first call of HDF5.
void prepare_library();

/// What HDF5 says of its last failed call.
struct Failure {
  std::string text;     // the innermost message, of a failed system call the system's alone; may be empty
  bool access = false;  // the system refused a call, or gave no memory: nothing is wrong with the file
};

/// As HDF5's error stack has it, which the next call of the library clears.
Failure last_failure();

/// Throws Error, or AccessError, for the failed call: "what (HDF5's words)".
[[noreturn]] void fail(const std::string& path, const std::string& what, const std::string& hint = "");

/// Returns the result of a call that succeeded, else fails.
template <class Result>
Result checked(Result result, const std::string& path, const std::string& what) {
  if (result < 0) fail(path, what);
  return result;
}

/// An open HDF5 object, closed by the function that belongs to it. A close that fails loses data, as HDF5 writes the
/// last chunks of a dataset there. Destructors cannot throw, so every failure is counted, and a File that is being
/// written asks for the count before it says that it is whole.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  ~Handle() { reset(); }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)), close_(other.close_) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    std::swap(close_, other.close_);
    return *this;
  }
  hid_t get() const { return id_; }
  /// Closes now; negative, and counted, where HDF5 says that this failed.
  herr_t reset();

  /// How many closes have failed since the program began, and HDF5's words about the first.
  static std::uint64_t failed_closes();
  static const std::string& first_failed_close();

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

const char* element_name(Element element);  // "float64"
std::size_t element_size(Element element);  // bytes
hid_t native_type(Element element);

template <class T>
constexpr Element element_of();
template <>
constexpr Element element_of<double>() {
  return Element::float64;
}
template <>
constexpr Element element_of<float>() {
  return Element::float32;
}
template <>
constexpr Element element_of<std::int64_t>() {
  return Element::int64;
}
template <>
constexpr Element element_of<std::int32_t>() {
  return Element::int32;
}
template <>
constexpr Element element_of<std::int8_t>() {
  return Element::int8;
}
template <>
constexpr Element element_of<std::uint8_t>() {
  return Element::uint8;
}

/// Calls use.template operator()<T>() with the C++ type of an element.
template <class Use>
void with_element(Element element, Use&& use) {
  switch (element) {
    case Element::float64:
      return use.template operator()<double>();
    case Element::float32:
      return use.template operator()<float>();
    case Element::int64:
      return use.template operator()<std::int64_t>();
    case Element::int32:
      return use.template operator()<std::int32_t>();
    case Element::int8:
      return use.template operator()<std::int8_t>();
    case Element::uint8:
      return use.template operator()<std::uint8_t>();
  }
}

}  // namespace gradscape::h5
