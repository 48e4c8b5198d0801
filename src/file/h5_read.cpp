// Reading the values of datasets and attributes that were found to be what gradscape writes.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "gradscape/file/h5_objects.hpp"

namespace gradscape::h5 {
namespace {

/// Whether a number of type From keeps its value as a To (integers beyond 2^53 excepted).
template <class From, class To>
constexpr bool fits() {
  return std::is_same_v<From, To> || std::is_same_v<To, double> ||
         (std::is_integral_v<From> && std::is_integral_v<To> && std::is_signed_v<To> && sizeof(From) < sizeof(To));
}

template <class T>
T number_in(const std::string& bytes) {
  T value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace

File::Attribute File::read_attribute(hid_t object, const std::string& object_name, const std::string& name) const {
  const std::string what = fmt::format("cannot read attribute {} of {}", name, object_name);
  const Handle attribute(require(H5Aopen(object, name.c_str(), H5P_DEFAULT), what), H5Aclose);
  const Handle type(require(H5Aget_type(attribute.get()), what), H5Tclose);
  const Handle space(require(H5Aget_space(attribute.get()), what), H5Sclose);
  const hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (count < 0) refuse(what);
  Attribute found{'-', H5Tget_size(type.get()), static_cast<std::size_t>(count)};
  const H5T_class_t kind = H5Tget_class(type.get());
  if (kind == H5T_STRING && H5Tis_variable_str(type.get()) == 0) {
    found.kind = 't';
  } else if ((kind == H5T_INTEGER || kind == H5T_FLOAT) && H5Tget_order(type.get()) == H5T_ORDER_LE) {
    found.kind = kind == H5T_FLOAT ? 'f' : H5Tget_sign(type.get()) == H5T_SGN_NONE ? 'u' : 'i';
  } else {
    return found;
  }
  if (found.size == 0 || found.count > size_ / found.size) refuse(what + ": it is longer than the file");
  found.bytes.resize(found.size * found.count);
  if (found.count > 0) require(H5Aread(attribute.get(), type.get(), found.bytes.data()), what);
  return found;
}

bool File::has_attribute(const std::string& object, const std::string& name) const {
  if (object == "/") return root_attributes().contains(name);
  const Object* found = find(object);
  return found != nullptr && H5Aexists(found->handle.get(), name.c_str()) > 0;
}

File::Attribute File::find_attribute(const std::string& object, const std::string& name) const {
  if (!has_attribute(object, name)) throw Error(path_, fmt::format("has no attribute {} on {}", name, object));
  if (object == "/") return root_attributes().at(name);
  return read_attribute(find(object)->handle.get(), object, name);
}

std::string File::text_attribute(const std::string& object, const std::string& name) const {
  Attribute found = find_attribute(object, name);
  if (found.kind == '-' && origin_ == Origin::anyone && object != "/") {
    if (const auto text = variable_text(find(object)->handle.get(), name)) return *text;
    throw Error(path_, fmt::format("attribute {} of {} is no text that can be read", name, object),
                "write it with a fixed length, in h5py as np.bytes_(\"…\")");
  }
  if (found.kind != 't' || found.count != 1) throw Error(path_, "attribute " + name + " is not a text");
  found.bytes.resize(found.bytes.find_last_not_of('\0') + 1);
  return std::move(found.bytes);
}

/// None where it is of another kind, or damaged.
std::optional<std::string> File::variable_text(hid_t object, const std::string& name) const {
  const std::string what = "cannot read how texts are stored";
  const Handle creation(require(H5Fget_create_plist(file_.get()), what), H5Pclose);
  hsize_t base = 0;
  std::size_t address_size = 0, length_size = 0;
  require(H5Pget_userblock(creation.get(), &base), what);
  require(H5Pget_sizes(creation.get(), &address_size, &length_size), what);
  H5O_info_t info = {};
  require(H5Oget_info(object, &info), what);
  if (address_size != 8 || length_size != 8) return std::nullopt;
  return read_variable_text(path_, base, info.addr, name);
}

std::int64_t File::integer_attribute(const std::string& object, const std::string& name) const {
  const Attribute found = find_attribute(object, name);
  if (found.kind != 'i' || found.bytes.size() != sizeof(std::int64_t))
    throw Error(path_, "attribute " + name + " is not an integer of 64 bits");
  return number_in<std::int64_t>(found.bytes);
}

std::uint64_t File::hash_attribute(const std::string& object, const std::string& name) const {
  const Attribute found = find_attribute(object, name);
  if (found.kind != 'u' || found.bytes.size() != sizeof(std::uint64_t))
    throw Error(path_, "attribute " + name + " is not a hash of 64 bits");
  return number_in<std::uint64_t>(found.bytes);
}

/// Error unless the values lie in the file itself, in a form that gradscape or a user who compresses files writes, and
/// all of them: what was never written would read as zeros.
void File::require_stored(const Object& dataset, const std::string& name) const {
  const hid_t id = dataset.handle.get();
  const std::string what = "cannot read how dataset is stored: " + name;
  const Handle creation(require(H5Dget_create_plist(id), what), H5Pclose);
  const H5D_layout_t layout = H5Pget_layout(creation.get());
  const bool plain = (layout == H5D_COMPACT || layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED) &&
                     H5Pget_external_count(creation.get()) == 0;
  if (!plain) refuse(name + " has its values in other files");
  bool compressed = false;
  const int filters = require(H5Pget_nfilters(creation.get()), what);
  for (int i = 0; i < filters; ++i) {
    unsigned flags = 0, settings = 0;
    std::size_t none = 0;
    const H5Z_filter_t filter = require(
        H5Pget_filter2(creation.get(), static_cast<unsigned>(i), &flags, &none, nullptr, 0, nullptr, &settings), what);
    compressed = compressed || filter == H5Z_FILTER_DEFLATE;
    if (filter != H5Z_FILTER_FLETCHER32 && filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE)
      refuse(fmt::format("{} is stored through an unknown filter {}", name, filter));
  }
  if (layout == H5D_CHUNKED) {
    Shape chunk(dataset.shape.size());
    require(H5Pget_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()), what);
    std::uint64_t room = most_bytes() / dataset.stored_size;
    for (const hsize_t extent : chunk)
      if (extent == 0 || (room /= extent) == 0) refuse(name + " claims chunks larger than the file");
  }
  if (!compressed && H5Dget_storage_size(id) < count_values(dataset.shape) * dataset.stored_size)
    refuse(name + " lacks values that it claims to have");
}

void File::load(const Object& dataset, const std::string& name, void* values) const {
  Fingerprint hash = begin_hash(name, *dataset.element, dataset.shape);
  if (dataset.bytes() > 0) {
    require_stored(dataset, name);
    require(H5Dread(dataset.handle.get(), native_type(*dataset.element), H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
            "cannot read dataset " + name);
    hash.add(values, dataset.bytes());
  }
  require_hash(dataset, name, hash);
}

void File::require_hash(const Object& dataset, const std::string& name, const Fingerprint& hash) const {
  if (dataset.hash && *dataset.hash != hash.value())
    refuse(fmt::format("{} does not hold what was written: its hash is {:016x}, that of its values {:016x}", name,
                       *dataset.hash, hash.value()));
}

template <class T>
void File::read_into(const std::string& name, T* values, std::size_t count) const {
  const Object& from = dataset(name);
  if (count_values(from.shape) != count)
    throw Error(path_, fmt::format("{} holds {} values, {} are wanted", name, count_values(from.shape), count));
  with_element(*from.element, [&]<class Stored>() {
    if constexpr (std::is_same_v<Stored, T>) {
      load(from, name, values);
    } else if constexpr (fits<Stored, T>()) {
      std::vector<Stored> stored(count);
      load(from, name, stored.data());
      std::transform(stored.begin(), stored.end(), values, [](Stored value) { return static_cast<T>(value); });
    } else {
      throw Error(path_, fmt::format("{} is {}, {} is wanted", name, element_name(element_of<Stored>()),
                                     element_name(element_of<T>())));
    }
  });
}

template <class T>
void File::read_slabs(const std::string& name, const std::function<void(std::span<const T>)>& take) const {
  constexpr hsize_t kSlab = 8 << 20;  // bytes, about
  const Object& from = dataset(name);
  with_element(*from.element, [&]<class Stored>() {
    if (!fits<Stored, T>())
      throw Error(path_, fmt::format("{} is {}, {} is wanted", name, element_name(element_of<Stored>()),
                                     element_name(element_of<T>())));
  });
  if (from.shape.empty() || count_values(from.shape) == 0) return;
  require_stored(from, name);
  const hid_t id = from.handle.get();
  const std::string what = "cannot read dataset " + name;
  const Handle creation(require(H5Dget_create_plist(id), what), H5Pclose);
  Shape chunk(from.shape.size(), 1);
  if (H5Pget_layout(creation.get()) == H5D_CHUNKED)
    require(H5Pget_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data()), what);
  const hsize_t rows = from.shape[0], row = count_values(from.shape) / rows;
  const hsize_t chunks = std::max<hsize_t>(1, kSlab / sizeof(T) / std::max<hsize_t>(1, row * chunk[0]));
  const hsize_t at_once = std::min(rows, chunk[0] * chunks);
  const Handle file_space(require(H5Dget_space(id), what), H5Sclose);
  std::vector<T> values(at_once * row);
  const bool as_stored = *from.element == element_of<T>();
  Fingerprint hash = begin_hash(name, *from.element, from.shape);
  for (hsize_t first = 0; first < rows; first += at_once) {
    Shape begin(from.shape.size(), 0), count = from.shape;
    begin[0] = first;
    count[0] = std::min(at_once, rows - first);
    require(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, begin.data(), nullptr, count.data(), nullptr), what);
    const Handle memory(require(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), what),
                        H5Sclose);
    require(H5Dread(id, native_type(element_of<T>()), memory.get(), file_space.get(), H5P_DEFAULT, values.data()),
            what);
    const std::span<const T> slab(values.data(), count[0] * row);
    if (as_stored) hash.add(slab.data(), slab.size_bytes());
    take(slab);
  }
  if (as_stored) require_hash(from, name, hash);
}

template <class T>
std::vector<T> File::read(const std::string& name, Shape* shape) const {
  const Object& from = dataset(name);
  std::vector<T> values(count_values(from.shape));
  read_into(name, values.data(), values.size());
  if (shape != nullptr) *shape = from.shape;
  return values;
}

#define GRADSCAPE_INSTANTIATE(T)                                               \
  template std::vector<T> File::read<T>(const std::string&, Shape*) const;     \
  template void File::read_into<T>(const std::string&, T*, std::size_t) const; \
  template void File::read_slabs<T>(const std::string&, const std::function<void(std::span<const T>)>&) const;
GRADSCAPE_INSTANTIATE(double)
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(std::int64_t)
GRADSCAPE_INSTANTIATE(std::int32_t)
GRADSCAPE_INSTANTIATE(std::int8_t)
GRADSCAPE_INSTANTIATE(std::uint8_t)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape::h5
