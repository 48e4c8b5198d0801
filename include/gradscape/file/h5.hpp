// The one wrapper of HDF5, for files of numbers and texts: every return value is checked (those of destructors too),
// all data carry hashes, and nothing in a file is trusted before it was checked.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "gradscape/core/fingerprint.hpp"
#include "gradscape/file/h5_handle.hpp"

namespace gradscape::h5 {

using Shape = std::vector<hsize_t>;

/// The attribute of every dataset that holds its hash.
inline constexpr const char* kHash = "xxh3";

std::uint64_t count_values(const Shape& shape);

/// The hash of a dataset, to which its values are still to be added.
Fingerprint begin_hash(const std::string& name, Element element, const Shape& shape);

/// Bytes that File::write() takes for a dataset's values: whole chunks, whose last ones may be padded.
std::int64_t stored_bytes(const Shape& shape, std::size_t element_size);

/// Whose file it is. Of a file of anyone, a user's data, numbers have any type: a float of 16 or 32 bits counts as
/// float32, whole numbers other than uint8 as int64. Text attributes may have any form, and values may take as much
/// more than the file as gzip makes of them in pictures.
enum class Origin { gradscape, anyone };

/// An HDF5 file. Paths are absolute inside the file ("/parameters/features.0.weight"); missing groups are made. Every
/// method throws gradscape::Error naming file and object. T is double, float, std::int64_t, std::int32_t, std::int8_t
/// or std::uint8_t.
///
/// Every dataset gets the attribute `xxh3`: XXH3-64 of its name, its type and its extents, and of its values as they
/// are stored (docs/format.md). Where a dataset has it, the values that are read are compared with it.
class File {
 public:
  /// A new file; an old one of the name is replaced. Equal calls make files of equal bytes.
  static File create(const std::string& path);
  /// An existing file, read-only. AccessError where it exists but is not accessible now (no permission, too many open
  /// files, open for writing elsewhere); Error where it is no regular file, or not one of HDF5.
  static File open(const std::string& path, Origin origin = Origin::gradscape);

  File(File&&) noexcept;
  ~File();

  const std::string& path() const { return path_; }

  /// Writes a dataset, chunked (unless it is scalar or empty) and checksummed with Fletcher-32. An empty shape is a
  /// scalar.
  template <class T>
  void write(const std::string& name, const T* data, const Shape& shape);
  template <class T>
  void write(const std::string& name, const std::vector<T>& data) {
    write(name, data.data(), {data.size()});
  }

  /// Writes a text as a scalar dataset, for readers of other programs: this class reads none, and it has no hash.
  void write_text(const std::string& name, const std::string& text);

  /// Reads a dataset; `shape` (may be null) gets its extents. Integers can be read as wider ones, all numbers as
  /// double; else Error where the dataset is of another type than T. Error where the values are not those whose hash is
  /// stored.
  template <class T>
  std::vector<T> read(const std::string& name, Shape* shape = nullptr) const;
  /// The same into memory that is there already; Error where the dataset does not hold `count` values.
  template <class T>
  void read_into(const std::string& name, T* values, std::size_t count) const;
  /// The values in order, some rows (of the first dimension) at a time: whole chunks, of a few MiB. Types as in read().
  template <class T>
  void read_slabs(const std::string& name, const std::function<void(std::span<const T>)>& take) const;
  const Shape& shape(const std::string& name) const;
  Element element(const std::string& name) const;
  /// "float64", "int32", …
  std::string type_name(const std::string& name) const;

  /// An object is checked when it is first asked for: Error where it is anything that gradscape does not write (a link
  /// that leaves the file, another type of data) or cannot be true (more values than the file has room for).
  bool exists(const std::string& name) const;
  bool is_group(const std::string& name) const;
  /// Names of the members of a group, sorted; none where the group does not exist. The first call checks all objects:
  /// errors as above, and where groups lie deep or lead back to themselves.
  std::vector<std::string> members(const std::string& group) const;

  /// XXH3-64 of the root's attributes and of all datasets' names, hashes and labels, those named here left out
  /// (docs/format.md). Error where a dataset has no hash.
  std::uint64_t content_hash(const std::set<std::string>& without_attributes,
                             const std::set<std::string>& without_datasets) const;

  /// Attributes; object "/" is the file itself.
  void set_attribute(const std::string& object, const std::string& name, const std::string& value);
  void set_attribute(const std::string& object, const std::string& name, const std::vector<double>& value);
  void set_attribute(const std::string& object, const std::string& name, std::int64_t value);
  void set_attribute(const std::string& object, const std::string& name, std::uint64_t value);
  void set_attribute(const std::string& object, const std::string& name, const std::vector<std::uint8_t>& value);
  bool has_attribute(const std::string& object, const std::string& name) const;
  std::string text_attribute(const std::string& object, const std::string& name) const;
  std::int64_t integer_attribute(const std::string& object, const std::string& name) const;
  /// One of type uint64.
  std::uint64_t hash_attribute(const std::string& object, const std::string& name) const;

  /// Dimension scales (netCDF-4 conventions): declares a 1-D dataset the scale `label`; attaches it to dimension
  /// `axis`.
  void make_scale(const std::string& name, const std::string& label);
  void attach_scale(const std::string& name, const std::string& scale, unsigned axis);

  /// Writes everything out. Error where that fails, or where closing any object failed since the file was created.
  void flush();
  /// Closes the file, which must not be used afterwards. Errors as of flush(); std::logic_error where one of its
  /// objects is still open, as HDF5 would go on writing when that is closed.
  void close();

 private:
  template <class T>
  friend class RowWriter;

  struct Attribute;
  struct Object;
  using Attributes = std::map<std::string, Attribute>;
  using Objects = std::map<std::string, Object>;

  File(std::string path, Handle handle, std::uint64_t size, Origin origin);

  /// An empty dataset as write() fills it; `chunk` gets the extents of its chunks, which are 1 in the first `single`
  /// dimensions.
  template <class T>
  Handle create_dataset(const std::string& name, const Shape& shape, Shape* chunk, std::size_t single = 0);
  void create_groups(const std::string& name);
  void write_attribute(const std::string& object, const std::string& name, hid_t type, const Shape& shape,
                       const void* value);
  void write_attribute(hid_t object, const std::string& object_name, const std::string& name, hid_t type,
                       const Shape& shape, const void* value);
  /// Stores the hash, and closes.
  void finish_dataset(Handle& dataset, const std::string& name, const Fingerprint& hash);
  void require_closed() const;
  /// Drops what is cached of attributes and objects: to be called before every change.
  void forget();

  std::uint64_t most_bytes() const;
  const Attributes& root_attributes() const;
  const Objects& all_objects() const;
  const Object* find(const std::string& name) const;
  void look_at_group(hid_t group, const std::string& name, int depth, Objects& found) const;
  Object look_at(Handle handle, const std::string& name) const;
  void look_at_dataset(Object& object, const std::string& name) const;
  Attribute read_attribute(hid_t object, const std::string& object_name, const std::string& name) const;
  Attribute find_attribute(const std::string& object, const std::string& name) const;
  std::optional<std::string> variable_text(hid_t object, const std::string& name) const;
  const Object& dataset(const std::string& name) const;
  void require_stored(const Object& dataset, const std::string& name) const;
  void load(const Object& dataset, const std::string& name, void* values) const;
  void require_hash(const Object& dataset, const std::string& name, const Fingerprint& hash) const;

  Handle open_object(const std::string& name) const;
  Handle open_dataset(const std::string& name) const;
  [[noreturn]] void fail(const std::string& what) const { h5::fail(path_, what); }
  [[noreturn]] void refuse(const std::string& what) const;
  template <class Id>
  Id require(Id id, const std::string& what) const {
    return checked(id, path_, what);
  }

  std::string path_;
  Handle file_;
  std::uint64_t size_;  // bytes; of a new file as many as there may be
  Origin origin_;
  std::uint64_t failed_before_;  // failed closes before the file was opened
  mutable std::unique_ptr<Attributes> attributes_;
  mutable std::unique_ptr<Objects> objects_;  // those checked so far
  mutable bool all_objects_ = false;          // these are all
};

/// Fills a new dataset of known extents value by value, in the order of its rows, with the memory of one row of chunks.
/// The dataset is the one that File::write would make; `file` must outlive this object.
/// A row is what lies at one index of dimension `axis` (and of those before it, whose chunks are single then).
template <class T>
class RowWriter {
 public:
  /// `shape` has more than `axis` dimensions; `axis` is 0 or 1.
  RowWriter(File& file, std::string name, const Shape& shape, std::size_t axis = 0);

  void push(T value) {
    block_.push_back(value);
    if (block_.size() == block_size_ || block_.size() == room_) write_block();
  }
  /// To be called once all values were pushed.
  void finish();

 private:
  void write_block();
  hsize_t total_rows() const { return axis_ == 1 ? shape_[0] * shape_[1] : shape_[0]; }

  File* file_;
  std::string name_;
  Shape shape_;
  Handle dataset_;
  Fingerprint hash_;
  std::vector<T> block_;
  std::size_t axis_;
  std::size_t row_size_ = 1;
  std::size_t block_size_ = 1;  // values
  std::size_t room_ = 0;        // values up to the end of dimension `axis`
  hsize_t written_ = 0;         // rows
};

}  // namespace gradscape::h5
