#include "gradscape/file/h5_handle.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

namespace gradscape::h5 {
namespace {

struct ElementType {
  const char* name;
  std::size_t size;
  hid_t (*native)();
};

/// In the order of Element.
constexpr ElementType kElements[] = {
    {"float64", 8, [] { return H5T_NATIVE_DOUBLE; }}, {"float32", 4, [] { return H5T_NATIVE_FLOAT; }},
    {"int64", 8, [] { return H5T_NATIVE_INT64; }},    {"int32", 4, [] { return H5T_NATIVE_INT32; }},
    {"int8", 1, [] { return H5T_NATIVE_INT8; }},      {"uint8", 1, [] { return H5T_NATIVE_UINT8; }},
};

const ElementType& type_of(Element element) {
  return kElements[static_cast<std::size_t>(element)];
}

std::atomic<std::uint64_t> g_failed_closes = 0;
std::string g_first_failed_close;

}  // namespace

void prepare_library() {
  static const bool done = [] {
    // A file has one writer, and appears by a rename when it is whole: locks would add nothing, and many file systems
    // refuse them. HDF5 asks this variable before anything that a program sets.
    ::setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    // HDF5's error stack goes into our errors, not to stderr. Writing once more at exit to a file that a full disk has
    // already refused crashes.
    return H5dont_atexit() >= 0 && H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  }();
  (void)done;
}

Failure last_failure() {
  Failure failure;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& found = *static_cast<Failure*>(out);
        if (error->maj_num == H5E_RESOURCE && error->min_num == H5E_NOSPACE) found.access = true;
        if (error->desc == nullptr) return 0;
        try {
          if (found.text.empty()) found.text = error->desc;
        } catch (const std::bad_alloc&) {  // the library is no place to throw through
        }
        return 0;
      },
      &failure);
  // "file read failed: time = …, errno = 5, error message = 'Input/output error', buf = 0x…"
  const std::string marker = "error message = '";
  if (const std::size_t start = failure.text.find(marker); start != std::string::npos) {
    failure.access = true;
    failure.text.erase(0, start + marker.size());
    failure.text.resize(std::min(failure.text.find('\''), failure.text.size()));
  }
  return failure;
}

void fail(const std::string& path, const std::string& what, const std::string& hint) {
  const Failure failure = last_failure();
  const std::string text = failure.text.empty() ? what : what + " (" + failure.text + ")";
  if (failure.access) throw AccessError(path, text);
  throw Error(path, text, hint);
}

herr_t Handle::reset() {
  const hid_t id = std::exchange(id_, H5I_INVALID_HID);
  if (id < 0 || close_ == nullptr) return 0;
  const herr_t result = close_(id);
  if (result < 0 && g_failed_closes++ == 0) try {
      g_first_failed_close = last_failure().text;
    } catch (const std::bad_alloc&) {  // then without its words
    }
  return result;
}

std::uint64_t Handle::failed_closes() {
  return g_failed_closes;
}

const std::string& Handle::first_failed_close() {
  return g_first_failed_close;
}

const char* element_name(Element element) {
  return type_of(element).name;
}

std::size_t element_size(Element element) {
  return type_of(element).size;
}

hid_t native_type(Element element) {
  return type_of(element).native();
}

}  // namespace gradscape::h5
