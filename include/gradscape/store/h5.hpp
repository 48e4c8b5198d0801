// HDF5 behind one door: handles that close themselves, every return value checked (those of destructors too), the
// library's own words in the error.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace gradscape::h5 {

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

  /// How many closes have failed since the program began.
  static std::uint64_t failed_closes();

 private:
  hid_t id_ = H5I_INVALID_HID;
  Close close_ = nullptr;
};

using Shape = std::vector<hsize_t>;

/// Bytes that File::write() takes for a dataset's values: whole chunks, whose last ones may be padded.
std::int64_t stored_bytes(const Shape& shape, std::size_t element_size);

/// An HDF5 file. Paths are absolute inside the file ("/parameters/features.0.weight"); missing groups are made. Every
/// method throws gradscape::Error naming file and object. T is double, float, std::int64_t, std::int32_t, std::int8_t
/// or std::uint8_t.
class File {
 public:
  /// A new file; an old one of the name is replaced.
  static File create(const std::string& path);
  /// An existing file, read-only.
  static File open(const std::string& path);

  const std::string& path() const { return path_; }

  /// Writes a dataset, chunked (unless it is scalar or empty) and checksummed with Fletcher-32. An empty shape is a
  /// scalar.
  template <class T>
  void write(const std::string& name, const T* data, const Shape& shape);
  template <class T>
  void write(const std::string& name, const std::vector<T>& data) {
    write(name, data.data(), {data.size()});
  }

  /// Reads a dataset, converted to T; `shape` (may be null) gets its extents.
  template <class T>
  std::vector<T> read(const std::string& name, Shape* shape = nullptr) const;
  /// The same into memory that is there already; Error where the dataset does not hold `count` values.
  template <class T>
  void read_into(const std::string& name, T* values, std::size_t count) const;
  Shape shape(const std::string& name) const;

  bool exists(const std::string& name) const;
  bool is_group(const std::string& name) const;
  /// Names of the members of a group, sorted; none where the group does not exist.
  std::vector<std::string> members(const std::string& group) const;
  /// Type class and byte width of a dataset, as "float64", "int32", …
  std::string type_name(const std::string& name) const;

  /// Attributes; object "/" is the file itself.
  void set_attribute(const std::string& object, const std::string& name, const std::string& value);
  void set_attribute(const std::string& object, const std::string& name, const std::vector<double>& value);
  void set_attribute(const std::string& object, const std::string& name, std::int64_t value);
  void set_attribute(const std::string& object, const std::string& name, std::uint64_t value);
  void set_attribute(const std::string& object, const std::string& name, const std::vector<std::uint8_t>& value);
  bool has_attribute(const std::string& object, const std::string& name) const;
  std::string text_attribute(const std::string& object, const std::string& name) const;
  std::uint64_t hash_attribute(const std::string& object, const std::string& name) const;
  std::int64_t integer_attribute(const std::string& object, const std::string& name) const;

  /// Dimension scales (netCDF-4 conventions): declares a 1-D dataset the scale `label`; attaches it to dimension
  /// `axis`.
  void make_scale(const std::string& name, const std::string& label);
  void attach_scale(const std::string& name, const std::string& scale, unsigned axis);

  /// Writes everything out. Error where that fails, or where closing any object failed since the file was created.
  void flush();
  /// Closes the file, which must not be used afterwards. Errors as of flush(); of a new file also where one of its
  /// objects is still open, as HDF5 would go on writing when that is closed.
  void close();

 private:
  template <class T>
  friend class RowWriter;

  File(std::string path, Handle handle)
      : path_(std::move(path)), file_(std::move(handle)), failed_before_(Handle::failed_closes()) {}

  /// An empty dataset as write() fills it; `chunk` gets the extents of its chunks, which are 1 in the first `single`
  /// dimensions.
  template <class T>
  Handle create_dataset(const std::string& name, const Shape& shape, Shape* chunk, std::size_t single = 0);
  void create_groups(const std::string& name);
  Handle open_object(const std::string& name) const;
  Handle open_dataset(const std::string& name) const;
  Handle open_attribute(const std::string& object, const std::string& name) const;
  void write_attribute(const std::string& object, const std::string& name, hid_t type, const Shape& shape,
                       const void* value);
  void require_closed() const;
  [[noreturn]] void fail(const std::string& what) const;
  template <class Id>
  Id require(Id id, const std::string& what) const {
    if (id < 0) fail(what);
    return id;
  }

  std::string path_;
  Handle file_;
  std::uint64_t failed_before_;  // failed closes before the file was opened
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
  std::vector<T> block_;
  std::size_t axis_;
  std::size_t row_size_ = 1;
  std::size_t block_size_ = 1;  // values
  std::size_t room_ = 0;        // values up to the end of dimension `axis`
  hsize_t written_ = 0;         // rows
};

}  // namespace gradscape::h5
