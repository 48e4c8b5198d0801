#include "gradscape/store/directions_file.hpp"

#include <fmt/format.h>

#include "gradscape/core/error.hpp"
#include "gradscape/file/dimensions.hpp"
#include "gradscape/store/parts_file.hpp"

namespace gradscape {
namespace {

constexpr const char* kFileType = "directions";
/// Which texts and numbers there are, in files and out of them.
const std::vector<std::string> kTexts = {
    "x_direction", "y_direction", "theta_fingerprint", "direction_fingerprint", "sources", "xlim", "ylim", "step"};
const std::vector<std::string> kNumbers = {"x_norm",  "y_norm", "cosine", "explained_variance_ratio",
                                           "point_x", "point_y"};

std::string group(const char* axis, std::int64_t repeat) {
  return fmt::format("/{}/{}", axis, repeat);
}

}  // namespace

template <class S>
void write_directions(const std::string& path, const Provenance& provenance, const Layout& layout, std::int64_t repeats,
                      const std::function<DirectionPair<S>(std::int64_t)>& make,
                      const std::function<DirectionFacts()>& facts) {
  Provenance origin = provenance;
  origin.file_type = kFileType;
  publish_h5(path, origin, [&](h5::File& file) {
    for (std::int64_t repeat = 0; repeat < repeats; ++repeat) {
      const DirectionPair<S> pair = make(repeat);
      write_parts(file, group("x", repeat), layout, pair.x);
      if (pair.y.size() > 0) write_parts(file, group("y", repeat), layout, pair.y);
    }
    const DirectionFacts found = facts();
    file.set_attribute("/", "repeats", repeats);
    for (const auto& [name, value] : found.attributes) file.set_attribute("/", name, value);
    for (const auto& [name, values] : found.numbers) file.write("/" + name, values);
    if (!found.points.empty()) {
      std::vector<std::int32_t> numbers(found.points.size());
      for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int32_t>(i);
      write_labels(file, "point", "a network that the plane goes through", numbers, found.points);
    }
  });
}

DirectionFacts read_direction_facts(const h5::File& file) {
  DirectionFacts facts;
  facts.repeats = file.integer_attribute("/", "repeats");
  if (facts.repeats < 1) throw Error(file.path(), fmt::format("has {} repeats", facts.repeats));
  facts.plane = file.exists(group("y", 0));
  for (const std::string& name : kTexts)
    if (file.has_attribute("/", name)) facts.attributes[name] = file.text_attribute("/", name);
  for (const std::string& name : kNumbers)
    if (file.exists("/" + name)) facts.numbers[name] = file.read<double>("/" + name);
  if (file.exists("/point")) facts.points = read_labels(file, "point");
  return facts;
}

template <class S>
DirectionPair<S> read_directions(const h5::File& file, const DirectionFacts& facts, const Layout& layout,
                                 std::int64_t repeat) {
  DirectionPair<S> pair;
  pair.x = read_parts<S>(file, group("x", repeat), layout);
  if (facts.plane) pair.y = read_parts<S>(file, group("y", repeat), layout);
  return pair;
}

#define GRADSCAPE_INSTANTIATE(S)                                                                        \
  template void write_directions<S>(const std::string&, const Provenance&, const Layout&, std::int64_t, \
                                    const std::function<DirectionPair<S>(std::int64_t)>&,               \
                                    const std::function<DirectionFacts()>&);                            \
  template DirectionPair<S> read_directions<S>(const h5::File&, const DirectionFacts&, const Layout&, std::int64_t);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
