#include "gradscape/store/parts_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

constexpr std::int64_t kHeader = 600;  // bytes of HDF5's metadata of one dataset, roughly

h5::Shape file_shape(const Part& part) {
  return {part.shape.begin(), part.shape.end()};
}

}  // namespace

template <class S>
void write_parts(h5::File& file, const std::string& group, const Layout& layout, const Vector<S>& values) {
  for (const Part& part : layout.parts()) {
    const std::string name = group + "/" + part.name;
    if (part.integer) {
      const auto count = static_cast<std::int64_t>(values[part.offset]);
      file.write(name, &count, file_shape(part));
    } else {
      file.write(name, values.data() + part.offset, file_shape(part));
    }
  }
}

template <class S>
std::int64_t parts_bytes(const Layout& layout) {
  std::int64_t sum = 0;
  for (const Part& part : layout.parts())
    sum += h5::stored_bytes(file_shape(part), part.integer ? sizeof(std::int64_t) : sizeof(S)) + kHeader;
  return sum;
}

template <class S>
Vector<S> read_parts(const h5::File& file, const std::string& group, const Layout& layout) {
  Vector<S> values(layout.size());
  for (const Part& part : layout.parts()) {
    const std::string name = group + "/" + part.name;
    if (!file.exists(name)) throw ForeignFile(file.path(), "has no " + name, "it belongs to a run with another model");
    h5::Shape shape;
    std::vector<S> stored;
    if (part.integer) {
      for (const auto count : file.read<std::int64_t>(name, &shape)) stored.push_back(static_cast<S>(count));
    } else {
      const std::string expected = sizeof(S) == 4 ? "float32" : "float64";
      if (file.type_name(name) != expected)
        throw ForeignFile(file.path(), fmt::format("{} is {}, the run has train.precision for {}", name,
                                                   file.type_name(name), expected));
      shape = file.shape(name);
    }
    if (shape != file_shape(part))
      throw ForeignFile(file.path(),
                        fmt::format("{} has shape [{}], the model's is [{}]", name, fmt::join(shape, ", "),
                                    fmt::join(part.shape, ", ")),
                        "it belongs to a run with another model");
    if (part.integer)
      std::copy(stored.begin(), stored.end(), values.data() + part.offset);
    else
      file.read_into(name, values.data() + part.offset, static_cast<std::size_t>(part.size));
  }
  if (const auto members = file.members(group); members.size() > layout.parts().size())
    throw ForeignFile(file.path(),
                      fmt::format("has {} tensors in {}, the model {}", members.size(), group, layout.parts().size()),
                      "it belongs to a run with another model");
  return values;
}

#define GRADSCAPE_INSTANTIATE(S)                                                                \
  template void write_parts<S>(h5::File&, const std::string&, const Layout&, const Vector<S>&); \
  template Vector<S> read_parts<S>(const h5::File&, const std::string&, const Layout&);         \
  template std::int64_t parts_bytes<S>(const Layout&);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
