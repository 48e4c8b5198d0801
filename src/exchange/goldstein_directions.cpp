#include "gradscape/exchange/goldstein_directions.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

struct Tensor {
  const Part* part;
  bool is_parameter;
};

/// As state_dict() lists them: behind the parameters of a layer its buffers.
std::vector<Tensor> states_of(const Layout& parameters, const Layout& buffers) {
  std::vector<Tensor> states;
  const auto& parts = parameters.parts();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    states.push_back({&parts[i], true});
    if (i + 1 < parts.size() && parts[i + 1].layer == parts[i].layer) continue;
    for (const Part& buffer : buffers.parts())
      if (buffer.layer == parts[i].layer) states.push_back({&buffer, false});
  }
  return states;
}

template <class S>
Vector<S> read_direction(const h5::File& file, const std::string& group, const Layout& parameters,
                         const Layout& buffers) {
  std::vector<Tensor> tensors = states_of(parameters, buffers);
  std::size_t count = 0;
  while (file.exists(fmt::format("{}/{}", group, count))) ++count;
  if (count != tensors.size() && count != parameters.parts().size())
    throw Error(file.path(), fmt::format("{} holds {} tensors, and the network has {} parameters{}", group, count,
                                         parameters.parts().size(),
                                         tensors.size() == parameters.parts().size()
                                             ? ""
                                             : fmt::format(", or {} with running statistics", tensors.size())));
  if (count == parameters.parts().size()) std::erase_if(tensors, [](const Tensor& t) { return !t.is_parameter; });
  Vector<S> direction(parameters.size());
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("{}/{}", group, i);
    const Part& part = *tensors[i].part;
    const h5::Shape shape = file.shape(name), expected(part.shape.begin(), part.shape.end());
    if (shape != expected)
      throw Error(file.path(), fmt::format("{} is [{}], and the network's {} is [{}]", name, fmt::join(shape, ", "),
                                           part.name, fmt::join(expected, ", ")));
    if (!tensors[i].is_parameter) continue;
    const std::vector<double> values = file.read<double>(name);
    std::transform(values.begin(), values.end(), direction.data() + part.offset,
                   [](double value) { return static_cast<S>(value); });
  }
  return direction;
}

}  // namespace

template <class S>
DirectionPair<S> read_goldstein_directions(const std::string& path, const Layout& parameters, const Layout& buffers) {
  const h5::File file = h5::File::open(path, h5::Origin::anyone);
  if (!file.exists("/xdirection"))
    throw Error(path, "holds no directions", "gradscape's lie in directions-NAME.h5, loss-landscape's in xdirection/…");
  DirectionPair<S> pair;
  pair.x = read_direction<S>(file, "/xdirection", parameters, buffers);
  if (file.exists("/ydirection")) pair.y = read_direction<S>(file, "/ydirection", parameters, buffers);
  return pair;
}

template DirectionPair<float> read_goldstein_directions<float>(const std::string&, const Layout&, const Layout&);
template DirectionPair<double> read_goldstein_directions<double>(const std::string&, const Layout&, const Layout&);

}  // namespace gradscape
