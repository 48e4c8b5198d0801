#include "gradscape/store/h5.hpp"

#include <fmt/format.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "gradscape/core/error.hpp"

namespace gradscape::h5 {
namespace {

/// Keeps HDF5 from printing its error stack (it goes into our errors instead), and from writing once more at exit to a
/// file that a full disk has already refused: that crashes.
void silence() {
  static const bool done = H5dont_atexit() >= 0 && H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  (void)done;
}

/// The innermost message of HDF5's error stack, the nearest it has to a cause: of the system's words about a failed
/// call only those words, without its lists of addresses and times.
std::string take_cause() {
  std::string text;
  H5Ewalk2(
      H5E_DEFAULT, H5E_WALK_UPWARD,
      [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
        auto& message = *static_cast<std::string*>(out);
        if (message.empty() && error->desc != nullptr) message = error->desc;
        return 0;
      },
      &text);
  H5Eclear2(H5E_DEFAULT);
  const std::string marker = "error message = '";
  if (const std::size_t start = text.find(marker); start != std::string::npos) {
    text.erase(0, start + marker.size());
    text.resize(std::min(text.find('\''), text.size()));
  }
  return text.empty() ? "" : " (" + text + ")";
}

/// Throws what HDF5 says of a failed call that does not belong to an open file.
template <class Result>
Result checked(Result result, const std::string& path, const char* what) {
  if (result < 0) throw Error(path, what + take_cause());
  return result;
}

std::atomic<std::uint64_t> g_failed_closes = 0;
std::string g_first_failed_close;  // in HDF5's words

template <class T>
hid_t native_type();
template <>
hid_t native_type<double>() {
  return H5T_NATIVE_DOUBLE;
}
template <>
hid_t native_type<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t native_type<std::int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
hid_t native_type<std::int32_t>() {
  return H5T_NATIVE_INT32;
}
template <>
hid_t native_type<std::int8_t>() {
  return H5T_NATIVE_INT8;
}
template <>
hid_t native_type<std::uint8_t>() {
  return H5T_NATIVE_UINT8;
}

/// Chunk extents of about 1 MiB: the trailing dimensions whole as far as they fit.
Shape chunk_shape(const Shape& shape, std::size_t element_size) {
  hsize_t left = std::max<hsize_t>(1, (1u << 20) / element_size);
  Shape chunk(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    chunk[axis] = std::clamp<hsize_t>(shape[axis], 1, left);
    left = std::max<hsize_t>(1, left / chunk[axis]);
  }
  return chunk;
}

bool is_empty(const Shape& shape) {
  return std::any_of(shape.begin(), shape.end(), [](hsize_t extent) { return extent == 0; });
}

}  // namespace

std::int64_t stored_bytes(const Shape& shape, std::size_t element_size) {
  const Shape chunk = chunk_shape(shape, element_size);
  hsize_t elements = 1;
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    elements *= (shape[axis] + chunk[axis] - 1) / chunk[axis] * chunk[axis];
  return static_cast<std::int64_t>(elements * element_size);
}

herr_t Handle::reset() {
  const hid_t id = std::exchange(id_, H5I_INVALID_HID);
  if (id < 0 || close_ == nullptr) return 0;
  const herr_t result = close_(id);
  if (result < 0 && g_failed_closes++ == 0) try {
      g_first_failed_close = take_cause();
    } catch (const std::bad_alloc&) {  // then without its words
    }
  return result;
}

std::uint64_t Handle::failed_closes() {
  return g_failed_closes;
}

void File::fail(const std::string& what) const {
  throw Error(path_, what + take_cause());
}

File File::create(const std::string& path) {
  silence();
  const char* const what = "cannot create the file";
  const Handle access(checked(H5Pcreate(H5P_FILE_ACCESS), path, what), H5Pclose);
  // Format of HDF5 1.10: there a checksum guards the metadata too, down to the index of the chunks.
  checked(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), path, what);
  checked(H5Pset_fclose_degree(access.get(), H5F_CLOSE_SEMI), path, what);
  const Handle creation(checked(H5Pcreate(H5P_FILE_CREATE), path, what), H5Pclose);
  checked(H5Pset_link_creation_order(creation.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED), path, what);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get());
  if (id < 0) throw Error(path, what + take_cause(), "is the directory writable?");
  return {path, Handle(id, H5Fclose)};
}

File File::open(const std::string& path) {
  silence();
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0)
    throw Error(
        path, "cannot be read as an HDF5 file" + take_cause(),
        "it is missing, damaged or not made by gradscape; a damaged file of a run can be deleted and made again");
  return {path, Handle(id, H5Fclose)};
}

/// Makes the groups on the way to an object.
void File::create_groups(const std::string& name) {
  for (std::size_t slash = name.find('/', 1); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string group = name.substr(0, slash);
    if (require(H5Lexists(file_.get(), group.c_str(), H5P_DEFAULT), "cannot look for " + group) > 0) continue;
    Handle made(require(H5Gcreate2(file_.get(), group.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                        "cannot create group " + group),
                H5Gclose);
    require(made.reset(), "cannot write group " + group);
  }
}

template <class T>
Handle File::create_dataset(const std::string& name, const Shape& shape, Shape* chunk, std::size_t single) {
  const auto rank = static_cast<int>(shape.size());
  const std::string what = "cannot create dataset " + name;
  create_groups(name);
  const Handle space(require(rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, shape.data(), nullptr), what),
                     H5Sclose);
  const Handle creation(require(H5Pcreate(H5P_DATASET_CREATE), what), H5Pclose);
  *chunk = chunk_shape(shape, sizeof(T));
  std::fill_n(chunk->begin(), single, 1);
  if (rank == 0) require(H5Pset_layout(creation.get(), H5D_COMPACT), what);  // inside the checksummed header
  if (rank > 0 && !is_empty(shape)) {
    require(H5Pset_chunk(creation.get(), rank, chunk->data()), what);
    require(H5Pset_fletcher32(creation.get()), what);
  }
  return {require(H5Dcreate2(file_.get(), name.c_str(), native_type<T>(), space.get(), H5P_DEFAULT, creation.get(),
                             H5P_DEFAULT),
                  what),
          H5Dclose};
}

template <class T>
void File::write(const std::string& name, const T* data, const Shape& shape) {
  Shape chunk;
  const std::string what = "cannot write dataset " + name;
  Handle dataset = create_dataset<T>(name, shape, &chunk);
  if (!is_empty(shape)) require(H5Dwrite(dataset.get(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, data), what);
  require(dataset.reset(), what);
}

template <class T>
RowWriter<T>::RowWriter(File& file, std::string name, const Shape& shape, std::size_t axis)
    : file_(&file), name_(std::move(name)), shape_(shape), axis_(axis) {
  check(axis <= 1 && shape.size() > axis, "rows need a dimension");
  Shape chunk;
  dataset_ = file.create_dataset<T>(name_, shape, &chunk, axis);
  for (std::size_t i = axis + 1; i < shape.size(); ++i) row_size_ *= shape[i];
  block_size_ = std::max<std::size_t>(1, chunk[axis] * row_size_);
  room_ = shape[axis] * row_size_;
}

template <class T>
void RowWriter<T>::write_block() {
  const std::size_t rows = block_.size() / row_size_;
  check(block_.size() % row_size_ == 0 && block_.size() <= room_ && written_ + rows <= total_rows(),
        "values fit the dataset");
  Shape start(shape_.size()), extent = shape_;
  start[axis_] = written_ % shape_[axis_];
  extent[axis_] = rows;
  if (axis_ == 1) {
    start[0] = written_ / shape_[1];
    extent[0] = 1;
  }
  const std::string what = "cannot write dataset " + name_;
  const Handle memory(file_->require(H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), what),
                      H5Sclose);
  const Handle space(file_->require(H5Dget_space(dataset_.get()), what), H5Sclose);
  file_->require(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr), what);
  file_->require(H5Dwrite(dataset_.get(), native_type<T>(), memory.get(), space.get(), H5P_DEFAULT, block_.data()),
                 what);
  written_ += rows;
  room_ -= block_.size();
  if (room_ == 0) room_ = shape_[axis_] * row_size_;
  block_.clear();
}

template <class T>
void RowWriter<T>::finish() {
  if (!block_.empty()) write_block();
  check(is_empty(shape_) || written_ == total_rows(), "all rows were written");
  file_->require(dataset_.reset(), "cannot write dataset " + name_);
}

Shape File::shape(const std::string& name) const {
  const Handle dataset = open_dataset(name);
  const Handle space(require(H5Dget_space(dataset.get()), "no dataspace of " + name), H5Sclose);
  Shape shape(static_cast<std::size_t>(std::max(H5Sget_simple_extent_ndims(space.get()), 0)));
  H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr);
  return shape;
}

template <class T>
void File::read_into(const std::string& name, T* values, std::size_t count) const {
  const Handle dataset = open_dataset(name);
  const Handle space(require(H5Dget_space(dataset.get()), "no dataspace of " + name), H5Sclose);
  const hssize_t stored = H5Sget_simple_extent_npoints(space.get());
  if (stored < 0 || static_cast<std::size_t>(stored) != count)
    throw Error(path_, fmt::format("{} holds {} values, {} are wanted", name, stored, count));
  if (count > 0)
    require(H5Dread(dataset.get(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
            "cannot read dataset " + name);
}

template <class T>
std::vector<T> File::read(const std::string& name, Shape* shape) const {
  const Shape stored = this->shape(name);
  std::size_t count = 1;
  for (const hsize_t extent : stored) count *= extent;
  std::vector<T> values(count);
  read_into(name, values.data(), count);
  if (shape != nullptr) *shape = stored;
  return values;
}

bool File::exists(const std::string& name) const {
  // H5Lexists wants every group on the way to exist.
  for (std::size_t slash = name.find('/', 1); slash != std::string::npos; slash = name.find('/', slash + 1))
    if (H5Lexists(file_.get(), name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
  return H5Lexists(file_.get(), name.c_str(), H5P_DEFAULT) > 0;
}

bool File::is_group(const std::string& name) const {
  return H5Iget_type(open_object(name).get()) == H5I_GROUP;
}

std::vector<std::string> File::members(const std::string& group) const {
  std::vector<std::string> names;
  if (group != "/" && !exists(group)) return names;
  const Handle object = open_object(group);
  require(H5Literate(
              object.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr,
              [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
                static_cast<std::vector<std::string>*>(out)->emplace_back(name);
                return 0;
              },
              &names),
          "cannot list " + group);
  return names;
}

std::string File::type_name(const std::string& name) const {
  const Handle dataset = open_dataset(name);
  const Handle type(require(H5Dget_type(dataset.get()), "no type of " + name), H5Tclose);
  const auto bits = 8 * H5Tget_size(type.get());
  if (H5Tget_class(type.get()) == H5T_FLOAT) return fmt::format("float{}", bits);
  if (H5Tget_class(type.get()) == H5T_INTEGER)
    return fmt::format("{}int{}", H5Tget_sign(type.get()) == H5T_SGN_NONE ? "u" : "", bits);
  return "other";
}

Handle File::open_object(const std::string& name) const {
  return {require(H5Oopen(file_.get(), name.c_str(), H5P_DEFAULT), "has no object " + name), H5Oclose};
}

Handle File::open_dataset(const std::string& name) const {
  return {require(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), "has no dataset " + name), H5Dclose};
}

Handle File::open_attribute(const std::string& object, const std::string& name) const {
  return {require(H5Aopen_by_name(file_.get(), object.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
                  fmt::format("has no attribute {} on {}", name, object)),
          H5Aclose};
}

void File::write_attribute(const std::string& object, const std::string& name, hid_t type, const Shape& shape,
                           const void* value) {
  const std::string what = fmt::format("cannot write attribute {} of {}", name, object);
  Handle target = open_object(object);
  const Handle space(require(shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, shape.data(), nullptr), what),
                     H5Sclose);
  Handle attribute(require(H5Acreate2(target.get(), name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT), what),
                   H5Aclose);
  require(H5Awrite(attribute.get(), type, value), what);
  require(attribute.reset(), what);
  require(target.reset(), what);
}

void File::set_attribute(const std::string& object, const std::string& name, const std::string& value) {
  const std::string what = "no type for attribute " + name;
  const Handle type(require(H5Tcopy(H5T_C_S1), what), H5Tclose);
  require(H5Tset_size(type.get(), std::max<std::size_t>(value.size(), 1)), what);
  require(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), what);
  require(H5Tset_cset(type.get(), H5T_CSET_UTF8), what);
  write_attribute(object, name, type.get(), {}, value.c_str());  // an empty text is one zero
}

void File::set_attribute(const std::string& object, const std::string& name, const std::vector<double>& value) {
  write_attribute(object, name, H5T_NATIVE_DOUBLE, {value.size()}, value.data());
}

void File::set_attribute(const std::string& object, const std::string& name, std::int64_t value) {
  write_attribute(object, name, H5T_NATIVE_INT64, {}, &value);
}

void File::set_attribute(const std::string& object, const std::string& name, std::uint64_t value) {
  write_attribute(object, name, H5T_NATIVE_UINT64, {}, &value);
}

void File::set_attribute(const std::string& object, const std::string& name, const std::vector<std::uint8_t>& value) {
  write_attribute(object, name, H5T_NATIVE_UINT8, {value.size()}, value.data());
}

bool File::has_attribute(const std::string& object, const std::string& name) const {
  return require(H5Aexists_by_name(file_.get(), object.c_str(), name.c_str(), H5P_DEFAULT),
                 "cannot look for attribute " + name) > 0;
}

std::string File::text_attribute(const std::string& object, const std::string& name) const {
  const Handle attribute = open_attribute(object, name);
  const Handle type(require(H5Aget_type(attribute.get()), "no type of attribute " + name), H5Tclose);
  if (H5Tget_class(type.get()) != H5T_STRING || H5Tis_variable_str(type.get()) > 0)
    fail("attribute " + name + " is not a text");
  std::string value(H5Tget_size(type.get()), '\0');
  require(H5Aread(attribute.get(), type.get(), value.data()), "cannot read attribute " + name);
  value.resize(value.find_last_not_of('\0') + 1);
  return value;
}

std::int64_t File::integer_attribute(const std::string& object, const std::string& name) const {
  const Handle attribute = open_attribute(object, name);
  std::int64_t value = 0;
  require(H5Aread(attribute.get(), H5T_NATIVE_INT64, &value), "cannot read attribute " + name);
  return value;
}

std::uint64_t File::hash_attribute(const std::string& object, const std::string& name) const {
  const Handle attribute = open_attribute(object, name);
  std::uint64_t value = 0;
  require(H5Aread(attribute.get(), H5T_NATIVE_UINT64, &value), "cannot read attribute " + name);
  return value;
}

void File::make_scale(const std::string& name, const std::string& label) {
  const std::string what = "cannot make a dimension scale of " + name;
  Handle dataset = open_dataset(name);
  require(H5DSset_scale(dataset.get(), label.c_str()), what);
  require(dataset.reset(), what);
}

void File::attach_scale(const std::string& name, const std::string& scale, unsigned axis) {
  const std::string what = fmt::format("cannot attach scale {} to {}", scale, name);
  Handle dataset = open_dataset(name);
  Handle target = open_dataset(scale);
  require(H5DSattach_scale(dataset.get(), target.get(), axis), what);
  require(target.reset(), what);
  require(dataset.reset(), what);
}

void File::require_closed() const {
  if (Handle::failed_closes() != failed_before_)
    throw Error(path_, "cannot be written: closing an object failed" + g_first_failed_close);
}

void File::flush() {
  require(H5Fflush(file_.get(), H5F_SCOPE_LOCAL), "cannot write the file");
  require_closed();
}

void File::close() {
  require(file_.reset(), "cannot close the file");
  require_closed();
}

#define GRADSCAPE_INSTANTIATE(T)                                               \
  template void File::write<T>(const std::string&, const T*, const Shape&);    \
  template std::vector<T> File::read<T>(const std::string&, Shape*) const;     \
  template void File::read_into<T>(const std::string&, T*, std::size_t) const; \
  template class RowWriter<T>;
GRADSCAPE_INSTANTIATE(double)
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(std::int64_t)
GRADSCAPE_INSTANTIATE(std::int32_t)
GRADSCAPE_INSTANTIATE(std::int8_t)
GRADSCAPE_INSTANTIATE(std::uint8_t)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape::h5
