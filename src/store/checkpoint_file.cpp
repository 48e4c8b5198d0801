#include "gradscape/store/checkpoint_file.hpp"

#include "gradscape/core/fingerprint.hpp"
#include "gradscape/store/parts_file.hpp"

namespace gradscape {
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

template <class S>
NetworkWeights<S> read_weights(const std::string& path, const Layout& parameters, const Layout& buffers) {
  const h5::File file = open_published(path, "checkpoint");
  return {read_parts<S>(file, "/parameters", parameters), read_parts<S>(file, "/buffers", buffers)};
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
  template TrainingState<S> read_checkpoint<S>(const std::string&, TrainingProcess<S>&);            \
  template NetworkWeights<S> read_weights<S>(const std::string&, const Layout&, const Layout&);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
