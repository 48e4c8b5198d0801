// Writing: every result that can carry an error is checked, as nothing would show later that data are missing.
#include <fmt/format.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <limits>

#include "gradscape/file/h5.hpp"

namespace gradscape::h5 {
namespace {

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

/// Links and attributes lie in the header of their object, whose checksum guards them, up to a number that no file of
/// gradscape has: HDF5 would make an index of its own for more than eight.
constexpr unsigned kMostInHeader = 4096;

/// For the creation of a group, or of the root.
herr_t set_compact_links(hid_t creation) {
  return H5Pset_link_phase_change(creation, kMostInHeader, kMostInHeader / 2);
}

/// For the creation of any object. Times would make equal files differ.
herr_t set_object_defaults(hid_t creation) {
  const herr_t times = H5Pset_obj_track_times(creation, false);
  return times < 0 ? times : H5Pset_attr_phase_change(creation, kMostInHeader, kMostInHeader / 2);
}

}  // namespace

std::int64_t stored_bytes(const Shape& shape, std::size_t element_size) {
  const Shape chunk = chunk_shape(shape, element_size);
  hsize_t elements = 1;
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    elements *= (shape[axis] + chunk[axis] - 1) / chunk[axis] * chunk[axis];
  return static_cast<std::int64_t>(elements * element_size);
}

File File::create(const std::string& path) {
  prepare_library();
  const char* const what = "cannot create the file";
  const Handle access(checked(H5Pcreate(H5P_FILE_ACCESS), path, what), H5Pclose);
  // Format of HDF5 1.10: there a checksum guards the metadata too, down to the index of the chunks.
  checked(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), path, what);
  const Handle creation(checked(H5Pcreate(H5P_FILE_CREATE), path, what), H5Pclose);
  checked(H5Pset_link_creation_order(creation.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED), path, what);
  checked(set_compact_links(creation.get()), path, what);
  checked(set_object_defaults(creation.get()), path, what);
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get()), H5Fclose);
  if (file.get() < 0) h5::fail(path, what, "is the directory writable?");
  return {path, std::move(file), std::numeric_limits<std::uint64_t>::max() / 16, Origin::gradscape};
}

/// Makes the groups on the way to an object.
void File::create_groups(const std::string& name) {
  for (std::size_t slash = name.find('/', 1); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string group = name.substr(0, slash), what = "cannot create group " + group;
    if (require(H5Lexists(file_.get(), group.c_str(), H5P_DEFAULT), what) > 0) continue;
    const Handle creation(require(H5Pcreate(H5P_GROUP_CREATE), what), H5Pclose);
    require(set_compact_links(creation.get()), what);
    require(set_object_defaults(creation.get()), what);
    Handle made(require(H5Gcreate2(file_.get(), group.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), what),
                H5Gclose);
    require(made.reset(), what);
  }
}

template <class T>
Handle File::create_dataset(const std::string& name, const Shape& shape, Shape* chunk, std::size_t single) {
  const auto rank = static_cast<int>(shape.size());
  const std::string what = "cannot create dataset " + name;
  forget();
  create_groups(name);
  const Handle space(require(rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(rank, shape.data(), nullptr), what),
                     H5Sclose);
  const Handle creation(require(H5Pcreate(H5P_DATASET_CREATE), what), H5Pclose);
  require(set_object_defaults(creation.get()), what);
  *chunk = chunk_shape(shape, sizeof(T));
  std::fill_n(chunk->begin(), single, 1);
  if (rank == 0) require(H5Pset_layout(creation.get(), H5D_COMPACT), what);  // inside the checksummed header
  if (rank > 0 && !is_empty(shape)) {
    require(H5Pset_chunk(creation.get(), rank, chunk->data()), what);
    require(H5Pset_fletcher32(creation.get()), what);
  }
  Handle dataset(require(H5Dcreate2(file_.get(), name.c_str(), native_type(element_of<T>()), space.get(), H5P_DEFAULT,
                                    creation.get(), H5P_DEFAULT),
                         what),
                 H5Dclose);
  // Its place is taken now: the first attributes lie in the block of the header that HDF5 reads first.
  const std::uint64_t unknown = 0;
  write_attribute(dataset.get(), name, kHash, H5T_NATIVE_UINT64, {}, &unknown);
  return dataset;
}

void File::write_text(const std::string& name, const std::string& text) {
  const std::string what = "cannot write dataset " + name;
  forget();
  create_groups(name);
  const Handle type(require(H5Tcopy(H5T_C_S1), what), H5Tclose);
  require(H5Tset_size(type.get(), text.size() + 1), what);
  require(H5Tset_cset(type.get(), H5T_CSET_UTF8), what);
  const Handle space(require(H5Screate(H5S_SCALAR), what), H5Sclose);
  const Handle creation(require(H5Pcreate(H5P_DATASET_CREATE), what), H5Pclose);
  require(set_object_defaults(creation.get()), what);
  Handle dataset(
      require(H5Dcreate2(file_.get(), name.c_str(), type.get(), space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
              what),
      H5Dclose);
  require(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()), what);
  require(dataset.reset(), what);
}

void File::finish_dataset(Handle& dataset, const std::string& name, const Fingerprint& hash) {
  const std::string what = "cannot write dataset " + name;
  const std::uint64_t value = hash.value();
  Handle attribute(require(H5Aopen(dataset.get(), kHash, H5P_DEFAULT), what), H5Aclose);
  require(H5Awrite(attribute.get(), H5T_NATIVE_UINT64, &value), what);
  require(attribute.reset(), what);
  require(dataset.reset(), what);
}

template <class T>
void File::write(const std::string& name, const T* data, const Shape& shape) {
  Shape chunk;
  Handle dataset = create_dataset<T>(name, shape, &chunk);
  Fingerprint hash = begin_hash(name, element_of<T>(), shape);
  if (!is_empty(shape)) {
    require(H5Dwrite(dataset.get(), native_type(element_of<T>()), H5S_ALL, H5S_ALL, H5P_DEFAULT, data),
            "cannot write dataset " + name);
    hash.add(data, count_values(shape) * sizeof(T));
  }
  finish_dataset(dataset, name, hash);
}

template <class T>
RowWriter<T>::RowWriter(File& file, std::string name, const Shape& shape, std::size_t axis)
    : file_(&file),
      name_(std::move(name)),
      shape_(shape),
      hash_(begin_hash(name_, element_of<T>(), shape)),
      axis_(axis) {
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
  file_->require(
      H5Dwrite(dataset_.get(), native_type(element_of<T>()), memory.get(), space.get(), H5P_DEFAULT, block_.data()),
      what);
  hash_.add(block_.data(), block_.size() * sizeof(T));
  written_ += rows;
  room_ -= block_.size();
  if (room_ == 0) room_ = shape_[axis_] * row_size_;
  block_.clear();
}

template <class T>
void RowWriter<T>::finish() {
  if (!block_.empty()) write_block();
  check(is_empty(shape_) || written_ == total_rows(), "all rows were written");
  file_->finish_dataset(dataset_, name_, hash_);
}

void File::write_attribute(hid_t object, const std::string& object_name, const std::string& name, hid_t type,
                           const Shape& shape, const void* value) {
  const std::string what = fmt::format("cannot write attribute {} of {}", name, object_name);
  const Handle space(require(shape.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, shape.data(), nullptr), what),
                     H5Sclose);
  Handle attribute(require(H5Acreate2(object, name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT), what),
                   H5Aclose);
  require(H5Awrite(attribute.get(), type, value), what);
  require(attribute.reset(), what);
}

void File::write_attribute(const std::string& object, const std::string& name, hid_t type, const Shape& shape,
                           const void* value) {
  forget();
  Handle target = open_object(object);
  write_attribute(target.get(), object, name, type, shape, value);
  require(target.reset(), "cannot write attributes of " + object);
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

void File::make_scale(const std::string& name, const std::string& label) {
  const std::string what = "cannot make a dimension scale of " + name;
  forget();
  Handle dataset = open_dataset(name);
  require(H5DSset_scale(dataset.get(), label.c_str()), what);
  require(dataset.reset(), what);
}

void File::attach_scale(const std::string& name, const std::string& scale, unsigned axis) {
  const std::string what = fmt::format("cannot attach scale {} to {}", scale, name);
  forget();
  Handle dataset = open_dataset(name);
  Handle target = open_dataset(scale);
  require(H5DSattach_scale(dataset.get(), target.get(), axis), what);
  require(target.reset(), what);
  require(dataset.reset(), what);
}

void File::require_closed() const {
  if (Handle::failed_closes() != failed_before_)
    throw Error(path_, fmt::format("cannot be written: closing an object failed ({})", Handle::first_failed_close()));
}

void File::flush() {
  require(H5Fflush(file_.get(), H5F_SCOPE_LOCAL), "cannot write the file");
  require_closed();
}

void File::close() {
  forget();
  constexpr unsigned kObjects = H5F_OBJ_DATASET | H5F_OBJ_GROUP | H5F_OBJ_DATATYPE | H5F_OBJ_ATTR | H5F_OBJ_LOCAL;
  check(H5Fget_obj_count(file_.get(), kObjects) == 0, "every object is closed before its file");
  require(file_.reset(), "cannot close the file");
  require_closed();
}

#define GRADSCAPE_INSTANTIATE(T)                                            \
  template void File::write<T>(const std::string&, const T*, const Shape&); \
  template class RowWriter<T>;
GRADSCAPE_INSTANTIATE(double)
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(std::int64_t)
GRADSCAPE_INSTANTIATE(std::int32_t)
GRADSCAPE_INSTANTIATE(std::int8_t)
GRADSCAPE_INSTANTIATE(std::uint8_t)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape::h5
