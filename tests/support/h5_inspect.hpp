// Looks at HDF5 files through the C library itself, past gradscape's own reader.
#pragma once

#include <hdf5.h>
#include <hdf5_hl.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "gradscape/file/h5.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {

/// A dataset opened for looking at.
class RawDataset {
 public:
  RawDataset(const std::string& path, const std::string& name)
      : file_(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose),
        dataset_(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), H5Dclose),
        creation_(H5Dget_create_plist(dataset_.get()), H5Pclose) {
    if (dataset_.get() < 0) throw std::runtime_error("no dataset " + name + " in " + path);
  }

  hid_t id() const { return dataset_.get(); }

  h5::Shape shape() const {
    const h5::Handle space(H5Dget_space(id()), H5Sclose);
    h5::Shape extents(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space.get())));
    H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr);
    return extents;
  }

  /// Empty unless chunked.
  h5::Shape chunk() const {
    if (H5Pget_layout(creation_.get()) != H5D_CHUNKED) return {};
    h5::Shape extents(shape().size());
    H5Pget_chunk(creation_.get(), static_cast<int>(extents.size()), extents.data());
    return extents;
  }

  bool has_checksum() const {
    unsigned flags = 0;
    return H5Pget_filter_by_id2(creation_.get(), H5Z_FILTER_FLETCHER32, &flags, nullptr, nullptr, 0, nullptr,
                                nullptr) >= 0;
  }

  /// Where its first chunk begins in the file.
  std::size_t first_chunk_address() const {
    const h5::Handle space(H5Dget_space(id()), H5Sclose);
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    std::vector<hsize_t> offset(shape().size());
    unsigned mask = 0;
    if (H5Dget_chunk_info(id(), space.get(), 0, offset.data(), &mask, &address, &size) < 0)
      throw std::runtime_error("no chunk");
    return static_cast<std::size_t>(address);
  }

  /// Names of the dimension scales attached to an axis.
  std::vector<std::string> scales(unsigned axis) const {
    std::vector<std::string> names;
    int position = 0;
    H5DSiterate_scales(
        id(), axis, &position,
        [](hid_t, unsigned, hid_t scale, void* out) -> herr_t {
          char name[64] = {};
          H5DSget_scale_name(scale, name, sizeof name);
          static_cast<std::vector<std::string>*>(out)->emplace_back(name);
          return 0;
        },
        &names);
    return names;
  }

  bool is_scale() const { return H5DSis_scale(id()) > 0; }

  std::string text_attribute(const std::string& name) const {
    const h5::Handle attribute(H5Aopen(id(), name.c_str(), H5P_DEFAULT), H5Aclose);
    const h5::Handle type(H5Aget_type(attribute.get()), H5Tclose);
    std::string value(H5Tget_size(type.get()), '\0');
    if (H5Aread(attribute.get(), type.get(), value.data()) < 0) throw std::runtime_error("no attribute " + name);
    return value;
  }

 private:
  h5::Handle file_;
  h5::Handle dataset_;
  h5::Handle creation_;
};

/// A file opened for changes that HDF5 makes as any program's: its own checksums are right afterwards.
inline h5::Handle open_for_changes(const std::string& path) {
  h5::Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose);
  if (file.get() < 0) throw std::runtime_error("cannot change " + path);
  return file;
}

/// Takes a dataset out of a file.
inline void delete_dataset(const std::string& path, const std::string& name) {
  const h5::Handle file = open_for_changes(path);
  if (H5Ldelete(file.get(), name.c_str(), H5P_DEFAULT) < 0) throw std::runtime_error("cannot delete " + name);
}

/// Writes other values of the stored type into a dataset.
template <class T>
void overwrite_dataset(const std::string& path, const std::string& name, const std::vector<T>& values) {
  const h5::Handle file = open_for_changes(path);
  const h5::Handle dataset(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), H5Dclose);
  if (H5Dwrite(dataset.get(), h5::native_type(h5::element_of<T>()), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0)
    throw std::runtime_error("cannot overwrite " + name);
}

/// Takes the hashes out of a file and sets its version: what a program before hashes wrote.
inline void make_format_1(const std::string& path) {
  const h5::Handle file = open_for_changes(path);
  const std::int64_t version = 1;
  const h5::Handle attribute(H5Aopen(file.get(), "format_version", H5P_DEFAULT), H5Aclose);
  bool good = H5Awrite(attribute.get(), H5T_NATIVE_INT64, &version) >= 0 && H5Adelete(file.get(), "content_hash") >= 0;
  good = good && H5Ovisit(
                     file.get(), H5_INDEX_NAME, H5_ITER_NATIVE,
                     [](hid_t root, const char* name, const H5O_info_t* info, void*) -> herr_t {
                       if (info->type != H5O_TYPE_DATASET) return 0;
                       return H5Adelete_by_name(root, name, h5::kHash, H5P_DEFAULT);
                     },
                     nullptr) >= 0;
  if (!good) throw std::runtime_error("cannot take the hashes out of " + path);
}

/// Writes another text of at most the same length into a root's attribute.
inline void overwrite_attribute(const std::string& path, const std::string& name, std::string value) {
  const h5::Handle file = open_for_changes(path);
  const h5::Handle attribute(H5Aopen(file.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  const h5::Handle type(H5Aget_type(attribute.get()), H5Tclose);
  value.resize(H5Tget_size(type.get()));
  if (H5Awrite(attribute.get(), type.get(), value.data()) < 0) throw std::runtime_error("cannot overwrite " + name);
}

/// Flips one bit of a dataset's stored data.
inline void damage_dataset(const std::string& path, const std::string& name) {
  const std::size_t address = RawDataset(path, name).first_chunk_address();
  std::string bytes = read_bytes(path);
  bytes.at(address) = static_cast<char>(bytes.at(address) ^ 0x10);
  write_bytes(path, bytes);
}

}  // namespace gradscape::testing
