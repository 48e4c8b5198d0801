// What a file holds: it may be damaged, or malicious. Kinds, types and extents are looked at before anything is read.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "gradscape/file/h5_objects.hpp"

namespace gradscape::h5 {
namespace {

constexpr const char* kDamaged = "it is damaged or was changed; a damaged file of a run can be deleted and made again";
constexpr const char* kNotRead =
    "it is damaged, or uses what is not read here: docs/guide/own-data.md says what is of images, "
    "docs/guide/surfaces.md of surfaces";

/// As what numbers of a user's file are read; none: they are no such numbers.
std::optional<Element> element_of_type(hid_t type) {
  const H5T_class_t kind = H5Tget_class(type);
  const std::size_t size = H5Tget_size(type);
  if (kind == H5T_INTEGER && size <= 8)
    return size == 1 && H5Tget_sign(type) == H5T_SGN_NONE ? Element::uint8 : Element::int64;
  if (kind == H5T_FLOAT && size <= 8) return size <= 4 ? Element::float32 : Element::float64;
  return std::nullopt;
}

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

}  // namespace

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

File::File(std::string path, Handle handle, std::uint64_t size, Origin origin)
    : path_(std::move(path)),
      file_(std::move(handle)),
      size_(size),
      origin_(origin),
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
  throw Error(path_, what, origin_ == Origin::anyone ? kNotRead : kDamaged);
}

/// What the values of a dataset may take in memory.
std::uint64_t File::most_bytes() const {
  return origin_ == Origin::anyone ? std::max(kAlwaysAdmitted, kMostExpansionOfAnyone * size_) : kMostExpansion * size_;
}

File File::open(const std::string& path, Origin origin) {
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
                origin == Origin::anyone
                    ? "is it the right file? h5py writes such, tools/from_arrays.py of images (docs/guide/own-data.md)"
                    : "it is damaged or not made by gradscape; a damaged file of a run can be deleted and made again");
  }
  hsize_t size = 0;
  checked(H5Fget_filesize(file.get(), &size), path, "has no size");
  return {path, std::move(file), size, origin};
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
    if (object.element && (bytes += object.bytes()) > most_bytes())
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
  if (origin_ == Origin::anyone) {
    object.element = element_of_type(type.get());
    if (!object.element) refuse(name + " is of a type that holds no numbers of at most 64 bits");
  }
  for (const Element element :
       {Element::float64, Element::float32, Element::int64, Element::int32, Element::int8, Element::uint8})
    if (!object.element && require(H5Tequal(type.get(), native_type(element)), what) > 0) object.element = element;
  if (!object.element) refuse(name + " is of a type that gradscape does not write");
  object.stored_size = H5Tget_size(type.get());
  const Handle space(require(H5Dget_space(id), what), H5Sclose);
  const H5S_class_t kind = H5Sget_simple_extent_type(space.get());
  if (kind != H5S_SCALAR && kind != H5S_SIMPLE) refuse(name + " has no extents");
  object.shape.resize(static_cast<std::size_t>(require(H5Sget_simple_extent_ndims(space.get()), what)));
  require(H5Sget_simple_extent_dims(space.get(), object.shape.data(), nullptr), what);
  const bool empty = count_values(object.shape) == 0 && std::count(object.shape.begin(), object.shape.end(), 0) > 0;
  std::uint64_t room = empty ? 0 : most_bytes() / object.stored_size;
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

Element File::element(const std::string& name) const {
  return *dataset(name).element;
}

std::string File::type_name(const std::string& name) const {
  return element_name(*dataset(name).element);
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

}  // namespace gradscape::h5
