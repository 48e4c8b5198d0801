#include "gradscape/file/dimensions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "gradscape/core/error.hpp"

namespace gradscape {

void describe(h5::File& file, const std::string& name, const std::string& units, const std::string& long_name,
              const std::vector<std::string>& scales) {
  file.set_attribute(name, "units", units);
  file.set_attribute(name, "long_name", long_name);
  for (unsigned axis = 0; axis < scales.size(); ++axis) file.attach_scale(name, scales[axis], axis);
}

void make_scale(h5::File& file, const std::string& name, const std::string& units, const std::string& long_name) {
  file.make_scale("/" + name, name);
  file.set_attribute("/" + name, "units", units);
  file.set_attribute("/" + name, "long_name", long_name);
}

void write_labels(h5::File& file, const std::string& name, const std::string& long_name,
                  const std::vector<std::int32_t>& numbers, const std::vector<std::string>& labels) {
  file.write("/" + name, numbers);
  make_scale(file, name, "1", long_name);
  file.set_attribute("/" + name, "labels", fmt::format("{}", fmt::join(labels, ",")));
}

std::vector<std::string> read_labels(const h5::File& file, const std::string& name) {
  std::vector<std::string> labels;
  std::istringstream text(file.text_attribute("/" + name, "labels"));
  for (std::string label; std::getline(text, label, ',');) labels.push_back(label);
  if (labels.size() != file.read<std::int32_t>("/" + name).size())
    throw Error(file.path(), "/" + name + " does not have as many labels as places");
  return labels;
}

}  // namespace gradscape
