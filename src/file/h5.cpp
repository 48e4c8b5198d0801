// Reading: a file may be damaged, or malicious. Kinds, types and extents are checked before anything is read.
#include "gradscape/file/h5.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace gradscape::h5 {
namespace {

constexpr const char* kDamaged = "it is damaged or was changed; a damaged file of a run can be deleted and made again";
constexpr std::uint64_t kMostExpansion =
    8;  // bytes of values for each byte of a file: some are compressed by their users

/// Names that an iteration over a group or over attributes finds.
struct Names {
  std::uint64_t most;
  std::vector<std::string> list = {};
  std::string refused = {};  // why it ended early

  /// What a callback returns: 0 goes on, 1 ends. It must not throw through the library.
  herr_t add(const char* name, bool plain) noexcept try {
    if (!plain) refused = fmt::format("{} is a link out of the file or to a name", name);
    if (std::strchr(name, '/') != nullptr) refused = fmt::format("{} is no name", name);
    if (list.size() >= most) refused = "there are more names than fit into it";
    list.emplace_back(name);
    return refused.empty() ? 0 : 1;
  } catch (const std::bad_alloc&) {
    return -1;
  }
};

void add_text(Fingerprint& hash, const std::string& text) {
  hash.add(text.c_str(), text.size() + 1);
}

/// Whether a number of type From keeps its value as a To (integers beyond 2^53 excepted).
template <class From, class To>
constexpr bool fits() {
  return std::is_same_v<From, To> || std::is_same_v<To, double> ||
         (std::is_integral_v<From> && std::is_integral_v<To> && std::is_signed_v<To> && sizeof(From) < sizeof(To));
}

}  // namespace

struct File::Attribute {
  char kind = '-';  // t: text, i: signed integers, u: unsigned ones, f: floating-point numbers, -: anything else
  std::size_t size = 0;
  std::size_t count = 0;
  std::string bytes = {};  // size · count, little-endian; none of anything else

  void add_to(Fingerprint& hash) const {
    hash.add(&kind, 1);
    hash.add(static_cast<std::uint64_t>(size));
    hash.add(static_cast<std::uint64_t>(count));
    hash.add(bytes);
  }
};

struct File::Object {
  Handle handle;
  std::optional<Element> element;  // none: a group
  Shape shape = {};
  std::optional<std::uint64_t> hash = {};

  std::uint64_t bytes() const { return count_values(shape) * element_size(*element); }
};

Fingerprint begin_hash(const std::string& name, Element element, const Shape& shape) {
  Fingerprint hash;
  add_text(hash, name);
  add_text(hash, element_name(element));
  hash.add(static_cast<std::uint64_t>(shape.size()));
  for (const hsize_t extent : shape) hash.add(static_cast<std::uint64_t>(extent));
  return hash;
}

std::uint64_t count_values(const Shape& shape) {
  std::uint64_t count = 1;
  for (const hsize_t extent : shape) count *= extent;
  return count;
}

File::File(std::string path, Handle handle, std::uint64_t size)
    : path_(std::move(path)),
      file_(std::move(handle)),
      size_(size),
      failed_before_(Handle::failed_closes()),
      objects_(std::make_unique<Objects>()) {}
File::File(File&&) noexcept = default;
File::~File() = default;

void File::forget() {
  attributes_.reset();
  objects_->clear();
  all_objects_ = false;
}

void File::refuse(const std::string& what) const {
  throw Error(path_, what, kDamaged);
}

File File::open(const std::string& path) {
  prepare_library();
  // A pipe or a device would be waited for.
  struct stat found = {};
  if (::stat(path.c_str(), &found) != 0) {
    const int code = errno;
    if (code == ENOENT || code == ENOTDIR) throw Error(path, "does not exist");
    throw AccessError(path, fmt::format("cannot be opened: {}", std::strerror(code)));
  }
  if (!S_ISREG(found.st_mode))
    throw Error(path, S_ISDIR(found.st_mode) ? "is a directory, not a file" : "is a pipe or a device, not a file");
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (file.get() < 0) {
    const Failure failure = last_failure();
    // HDF5 marks a file while it is open for writing, and the mark of a program that was killed stays.
    if (failure.text.find("consistency flags") != std::string::npos)
      throw AccessError(path, "another program has it open for writing, or ended while it had",
                        "close it there; if no program has it open, `h5clear -s FILE` takes the mark away");
    const std::string text = failure.text.empty() ? "" : " (" + failure.text + ")";
    if (failure.access) throw AccessError(path, "cannot be opened" + text);
    throw Error(path, "cannot be read as an HDF5 file" + text,
                "it is damaged or not made by gradscape; a damaged file of a run can be deleted and made again");
  }
  hsize_t size = 0;
  checked(H5Fget_filesize(file.get(), &size), path, "has no size");
  return {path, std::move(file), size};
}

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

const File::Attributes& File::root_attributes() const {
  if (attributes_) return *attributes_;
  auto found = std::make_unique<Attributes>();
  constexpr std::uint64_t kMost = 1000;
  Names names{kMost};
  hsize_t position = 0;
  const auto take = [](hid_t, const char* name, const H5A_info_t*, void* out) {
    return static_cast<Names*>(out)->add(name, true);
  };
  require(H5Aiterate2(file_.get(), H5_INDEX_NAME, H5_ITER_NATIVE, &position, take, &names), "cannot list attributes");
  if (!names.refused.empty()) refuse("its attributes cannot be listed: " + names.refused);
  std::uint64_t bytes = 0;
  for (const std::string& name : names.list) {
    const auto [place, is_new] = found->emplace(name, read_attribute(file_.get(), "/", name));
    bytes += place->second.bytes.size();
    if (!is_new || bytes > size_) refuse("its attributes cannot be true");
  }
  attributes_ = std::move(found);
  return *attributes_;
}

/// Null where there is none.
const File::Object* File::find(const std::string& name) const {
  if (const auto known = objects_->find(name); known != objects_->end()) return &known->second;
  if (all_objects_) return nullptr;
  const std::string what = "cannot look for " + name;
  for (std::size_t end = name.find('/', 1);; end = name.find('/', end + 1)) {
    const std::string part = name.substr(0, end);
    if (require(H5Lexists(file_.get(), part.c_str(), H5P_DEFAULT), what) == 0) return nullptr;
    H5L_info_t link = {};
    require(H5Lget_info(file_.get(), part.c_str(), &link, H5P_DEFAULT), what);
    if (link.type != H5L_TYPE_HARD) refuse(part + " is a link out of the file or to a name");
    if (end == std::string::npos) break;
  }
  return &objects_->emplace(name, look_at(open_object(name), name)).first->second;
}

const File::Objects& File::all_objects() const {
  if (all_objects_) return *objects_;
  Objects found;
  look_at_group(file_.get(), "", 0, found);
  std::uint64_t bytes = 0;
  for (const auto& [name, object] : found)
    if (object.element && (bytes += object.bytes()) > kMostExpansion * size_)
      refuse("its datasets claim more values than it has room for");
  *objects_ = std::move(found);
  all_objects_ = true;
  return *objects_;
}

// In native order: HDF5 1.10 makes a sorted list otherwise, and frees it twice where the group's index is damaged.
void File::look_at_group(hid_t group, const std::string& name, int depth, Objects& found) const {
  constexpr int kDeepest = 8;
  constexpr std::uint64_t kLeastBytes = 64;  // of an object in a file
  if (depth > kDeepest) refuse(fmt::format("groups lie more than {} deep", kDeepest));
  Names names{size_ / kLeastBytes};
  const auto take = [](hid_t, const char* member, const H5L_info_t* info, void* out) {
    return static_cast<Names*>(out)->add(member, info->type == H5L_TYPE_HARD);
  };
  const std::string what = "cannot list " + (name.empty() ? "/" : name);
  require(H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, take, &names), what);
  if (!names.refused.empty()) refuse(what + ": " + names.refused);
  for (const std::string& member : names.list) {
    const std::string path = name + "/" + member;
    Object object =
        look_at({require(H5Oopen(group, member.c_str(), H5P_DEFAULT), "cannot open " + path), H5Oclose}, path);
    const auto [place, is_new] = found.emplace(path, std::move(object));
    if (!is_new) refuse("it has two objects named " + path);
    if (found.size() > size_ / kLeastBytes) refuse("it has more objects than fit into it");
    if (!place->second.element) look_at_group(place->second.handle.get(), path, depth + 1, found);
  }
}

File::Object File::look_at(Handle handle, const std::string& name) const {
  const H5I_type_t kind = H5Iget_type(handle.get());
  if (kind != H5I_GROUP && kind != H5I_DATASET) refuse(name + " is no group and no dataset");
  Object object{std::move(handle), {}};
  if (kind == H5I_DATASET) look_at_dataset(object, name);
  return object;
}

void File::look_at_dataset(Object& object, const std::string& name) const {
  const hid_t id = object.handle.get();
  const std::string what = "cannot read the header of " + name;
  const Handle type(require(H5Dget_type(id), what), H5Tclose);
  for (const Element element :
       {Element::float64, Element::float32, Element::int64, Element::int32, Element::int8, Element::uint8})
    if (!object.element && require(H5Tequal(type.get(), native_type(element)), what) > 0) object.element = element;
  if (!object.element) refuse(name + " is of a type that gradscape does not write");
  const Handle space(require(H5Dget_space(id), what), H5Sclose);
  const H5S_class_t kind = H5Sget_simple_extent_type(space.get());
  if (kind != H5S_SCALAR && kind != H5S_SIMPLE) refuse(name + " has no extents");
  object.shape.resize(static_cast<std::size_t>(require(H5Sget_simple_extent_ndims(space.get()), what)));
  require(H5Sget_simple_extent_dims(space.get(), object.shape.data(), nullptr), what);
  const bool empty = count_values(object.shape) == 0 && std::count(object.shape.begin(), object.shape.end(), 0) > 0;
  std::uint64_t room = empty ? 0 : kMostExpansion * size_ / element_size(*object.element);
  for (const hsize_t extent : object.shape)
    if (!empty && (room /= extent) == 0) refuse(fmt::format("{} claims more values than the file has room for", name));
  if (require(H5Aexists(id, kHash), what) > 0) {
    const Attribute hash = read_attribute(id, name, kHash);
    if (hash.kind != 'u' || hash.bytes.size() != sizeof(std::uint64_t)) refuse(name + " has a hash of another type");
    std::memcpy(&object.hash.emplace(), hash.bytes.data(), sizeof(std::uint64_t));
  }
}

const File::Object& File::dataset(const std::string& name) const {
  const Object* found = find(name);
  if (found == nullptr || !found->element) throw Error(path_, "has no dataset " + name);
  return *found;
}

const Shape& File::shape(const std::string& name) const {
  return dataset(name).shape;
}

std::string File::type_name(const std::string& name) const {
  return element_name(*dataset(name).element);
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
    std::uint64_t room = kMostExpansion * size_ / element_size(*dataset.element);
    for (const hsize_t extent : chunk)
      if (extent == 0 || (room /= extent) == 0) refuse(name + " claims chunks larger than the file");
  }
  if (!compressed && H5Dget_storage_size(id) < dataset.bytes()) refuse(name + " lacks values that it claims to have");
}

void File::load(const Object& dataset, const std::string& name, void* values) const {
  Fingerprint hash = begin_hash(name, *dataset.element, dataset.shape);
  if (dataset.bytes() > 0) {
    require_stored(dataset, name);
    require(H5Dread(dataset.handle.get(), native_type(*dataset.element), H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
            "cannot read dataset " + name);
    hash.add(values, dataset.bytes());
  }
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
std::vector<T> File::read(const std::string& name, Shape* shape) const {
  const Object& from = dataset(name);
  std::vector<T> values(count_values(from.shape));
  read_into(name, values.data(), values.size());
  if (shape != nullptr) *shape = from.shape;
  return values;
}

bool File::exists(const std::string& name) const {
  return find(name) != nullptr;
}

bool File::is_group(const std::string& name) const {
  const Object* found = find(name);
  if (found == nullptr) throw Error(path_, "has no object " + name);
  return !found->element;
}

std::vector<std::string> File::members(const std::string& group) const {
  const std::string start = group == "/" ? group : group + "/";
  std::vector<std::string> names;
  const Objects& all = all_objects();
  for (auto next = all.lower_bound(start); next != all.end() && next->first.starts_with(start); ++next)
    if (next->first.find('/', start.size()) == std::string::npos) names.push_back(next->first.substr(start.size()));
  return names;
}

std::uint64_t File::content_hash(const std::set<std::string>& without_attributes,
                                 const std::set<std::string>& without_datasets) const {
  constexpr const char* kLabels = "labels";
  Fingerprint hash;
  for (const auto& [name, attribute] : root_attributes()) {
    if (without_attributes.contains(name)) continue;
    add_text(hash, name);
    attribute.add_to(hash);
  }
  for (const auto& [name, object] : all_objects()) {
    if (!object.element) continue;
    if (!object.hash) refuse(name + " has no hash");
    if (without_datasets.contains(name)) continue;
    add_text(hash, name);
    hash.add(*object.hash);
    if (require(H5Aexists(object.handle.get(), kLabels), "cannot look for labels of " + name) > 0)
      read_attribute(object.handle.get(), name, kLabels).add_to(hash);
  }
  return hash.value();
}

Handle File::open_object(const std::string& name) const {
  return {require(H5Oopen(file_.get(), name.c_str(), H5P_DEFAULT), "has no object " + name), H5Oclose};
}

Handle File::open_dataset(const std::string& name) const {
  return {require(H5Dopen2(file_.get(), name.c_str(), H5P_DEFAULT), "has no dataset " + name), H5Dclose};
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
  if (found.kind != 't' || found.count != 1) throw Error(path_, "attribute " + name + " is not a text");
  found.bytes.resize(found.bytes.find_last_not_of('\0') + 1);
  return std::move(found.bytes);
}

std::int64_t File::integer_attribute(const std::string& object, const std::string& name) const {
  const Attribute found = find_attribute(object, name);
  if (found.kind != 'i' || found.bytes.size() != sizeof(std::int64_t))
    throw Error(path_, "attribute " + name + " is not an integer of 64 bits");
  std::int64_t value = 0;
  std::memcpy(&value, found.bytes.data(), sizeof value);
  return value;
}

std::uint64_t File::hash_attribute(const std::string& object, const std::string& name) const {
  const Attribute found = find_attribute(object, name);
  if (found.kind != 'u' || found.bytes.size() != sizeof(std::uint64_t))
    throw Error(path_, "attribute " + name + " is not a hash of 64 bits");
  std::uint64_t value = 0;
  std::memcpy(&value, found.bytes.data(), sizeof value);
  return value;
}

#define GRADSCAPE_INSTANTIATE(T)                                           \
  template std::vector<T> File::read<T>(const std::string&, Shape*) const; \
  template void File::read_into<T>(const std::string&, T*, std::size_t) const;
GRADSCAPE_INSTANTIATE(double)
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(std::int64_t)
GRADSCAPE_INSTANTIATE(std::int32_t)
GRADSCAPE_INSTANTIATE(std::int8_t)
GRADSCAPE_INSTANTIATE(std::uint8_t)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape::h5
