#include "gradscape/store/digest.hpp"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "gradscape/core/fingerprint.hpp"
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

void add_group(const h5::File& file, const std::string& group, Fingerprint& hash) {
  for (const std::string& member : file.members(group.empty() ? "/" : group)) {
    if (member == "seconds") continue;
    const std::string name = group + "/" + member;
    hash.add(name);
    if (file.is_group(name)) {
      add_group(file, name, hash);
      continue;
    }
    const std::string type = file.type_name(name);
    hash.add(type);
    if (type == "float32")
      add_dataset<float>(file, name, hash);
    else if (type == "float64")
      add_dataset<double>(file, name, hash);
    else
      add_dataset<std::int64_t>(file, name, hash);  // every integer fits
  }
}

}  // namespace

std::string content_digest(const std::string& path) {
  Fingerprint hash;
  add_group(open_published(path, ""), "", hash);
  return hash.hex();
}

std::string directory_digest(const std::string& path) {
  namespace fs = std::filesystem;
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const std::string name = entry.path().lexically_relative(path).generic_string();
    if (entry.is_regular_file() && name.ends_with(".h5") && entry.path().filename().string().front() != '.')
      names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  Fingerprint hash;
  for (const auto& name : names) {
    hash.add(name);
    hash.add(content_digest(path + "/" + name));
  }
  return hash.hex();
}

}  // namespace gradscape
