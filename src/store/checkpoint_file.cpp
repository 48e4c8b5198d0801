#include "gradscape/store/checkpoint_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"

namespace gradscape {
namespace {

constexpr std::int64_t kHeader = 600;  // bytes of HDF5's metadata of one dataset, roughly

h5::Shape file_shape(const Part& part) {
  return {part.shape.begin(), part.shape.end()};
}

/// One dataset per part of the layout, below `group`.
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

/// Bytes of the layout's parts in a file.
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

}  // namespace

template <class S>
void write_checkpoint(const std::string& path, const Provenance& provenance, const TrainingState<S>& state,
                      TrainingProcess<S>& process) {
  const Network<S>& network = process.network();
  Provenance origin = provenance;
  origin.file_type = "checkpoint";
  publish_h5(path, origin, [&](h5::File& file) {
    write_parts(file, "/parameters", network.parameters(), state.theta);
    write_parts(file, "/buffers", network.buffers(), state.buffers);
    for (std::size_t slot = 0; slot < state.optimizer.slots.size(); ++slot)
      write_parts(file, "/optimizer/" + state.optimizer.names[slot], network.parameters(), state.optimizer.slots[slot]);
    file.set_attribute("/", "step", state.step);
    file.set_attribute("/", "optimizer_updates", state.optimizer.updates);
    file.set_attribute("/", "total_steps", process.total_steps());
    file.set_attribute("/", "steps_per_epoch", static_cast<std::int64_t>(process.steps_per_epoch()));
    file.set_attribute("/", "parameter_count", static_cast<std::int64_t>(state.theta.size()));
    file.set_attribute("/", "theta_fingerprint", fingerprint(state.theta));
    file.write("/standardisation/mean", process.standardisation().mean);
    file.write("/standardisation/deviation", process.standardisation().deviation);
  });
}

template <class S>
std::int64_t checkpoint_bytes(TrainingProcess<S>& process) {
  const Network<S>& network = process.network();
  const auto slots = static_cast<std::int64_t>(process.empty_state().optimizer.slots.size());
  return (1 + slots) * parts_bytes<S>(network.parameters()) + parts_bytes<S>(network.buffers());
}

template <class S>
TrainingState<S> read_checkpoint(const std::string& path, TrainingProcess<S>& process) {
  const h5::File file = open_published(path, "checkpoint");
  Network<S>& network = process.network();
  TrainingState<S> state = process.empty_state();
  state.theta = read_parts<S>(file, "/parameters", network.parameters());
  state.buffers = read_parts<S>(file, "/buffers", network.buffers());
  for (std::size_t slot = 0; slot < state.optimizer.slots.size(); ++slot)
    state.optimizer.slots[slot] =
        read_parts<S>(file, "/optimizer/" + state.optimizer.names[slot], network.parameters());
  state.step = file.integer_attribute("/", "step");
  state.optimizer.updates = file.integer_attribute("/", "optimizer_updates");
  return state;
}

CheckpointInfo read_checkpoint_info(const h5::File& file) {
  CheckpointInfo info;
  info.step = file.integer_attribute("/", "step");
  info.total_steps = file.integer_attribute("/", "total_steps");
  info.steps_per_epoch = file.integer_attribute("/", "steps_per_epoch");
  info.parameters = file.integer_attribute("/", "parameter_count");
  info.theta_fingerprint = file.text_attribute("/", "theta_fingerprint");
  info.standardisation.mean = file.read<double>("/standardisation/mean");
  info.standardisation.deviation = file.read<double>("/standardisation/deviation");
  return info;
}

#define GRADSCAPE_INSTANTIATE(S)                                                                    \
  template void write_checkpoint<S>(const std::string&, const Provenance&, const TrainingState<S>&, \
                                    TrainingProcess<S>&);                                           \
  template std::int64_t checkpoint_bytes<S>(TrainingProcess<S>&);                                   \
  template TrainingState<S> read_checkpoint<S>(const std::string&, TrainingProcess<S>&);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
