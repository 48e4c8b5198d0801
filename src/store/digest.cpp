#include "gradscape/store/digest.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "gradscape/core/fingerprint.hpp"
#include "gradscape/file/folder.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {
namespace {

template <class T>
void add_dataset(const h5::File& file, const std::string& name, Fingerprint& hash) {
  h5::Shape shape;
  const std::vector<T> values = file.read<T>(name, &shape);
  for (const auto extent : shape) hash.add(static_cast<std::uint64_t>(extent));
  hash.add(values.data(), values.size() * sizeof(T));
}

/// Calls visit(full name, is a group) for all objects below `group` ("" for the root), groups before what they hold.
template <class Visit>
void visit_objects(const h5::File& file, const std::string& group, const Visit& visit) {
  for (const std::string& member : file.members(group.empty() ? "/" : group)) {
    const std::string name = group + "/" + member;
    const bool is_group = file.is_group(name);
    visit(name, is_group);
    if (is_group) visit_objects(file, name, visit);
  }
}

}  // namespace

void check_content(const std::string& path) {
  const h5::File file = open_published(path, "");
  visit_objects(file, "", [&](const std::string& name, bool is_group) {
    if (!is_group) file.read<double>(name);
  });
}

std::string content_digest(const std::string& path) {
  const h5::File file = open_published(path, "");
  Fingerprint hash;
  visit_objects(file, "", [&](const std::string& name, bool is_group) {
    if (name.ends_with("/seconds")) return;
    hash.add(name);
    if (is_group) return;
    const std::string type = file.type_name(name);
    hash.add(type);
    if (type == "float32")
      add_dataset<float>(file, name, hash);
    else if (type == "float64")
      add_dataset<double>(file, name, hash);
    else
      add_dataset<std::int64_t>(file, name, hash);  // every integer fits
  });
  return hash.hex();
}

std::string directory_digest(const std::string& path) {
  std::vector<std::string> names;
  for (const std::string& file : files_below(path, ".h5")) names.push_back(file.substr(path.size() + 1));
  std::sort(names.begin(), names.end());
  Fingerprint hash;
  for (const auto& name : names) {
    hash.add(name);
    hash.add(content_digest(path + "/" + name));
  }
  return hash.hex();
}

}  // namespace gradscape
