#pragma once

#include "gradscape/store/publish.hpp"
#include "gradscape/train/training_process.hpp"

namespace gradscape {

/// What a checkpoint holds besides the state.
struct CheckpointInfo {
  std::int64_t step = 0;
  std::int64_t total_steps = 0;  // of the run, as configured when it was written
  std::int64_t steps_per_epoch = 0;
  std::int64_t parameters = 0;  // number of elements of theta
  std::string theta_fingerprint;
  Standardisation standardisation;  // of the images
};

/// Writes /parameters/<PyTorch name>, /buffers/<name>, /optimizer/<slot>/<name> in PyTorch's shapes (docs/format.md).
template <class S>
void write_checkpoint(const std::string& path, const Provenance& provenance, const TrainingState<S>& state,
                      TrainingProcess<S>& process);

/// How large write_checkpoint()'s files are, in bytes, without some kilobytes of metadata.
template <class S>
std::int64_t checkpoint_bytes(TrainingProcess<S>& process);

/// Reads a state back. Error where the file lacks a tensor of the network or holds it in another shape or precision
/// (named).
template <class S>
TrainingState<S> read_checkpoint(const std::string& path, TrainingProcess<S>& process);

/// What a network is evaluated with.
template <class S>
struct NetworkWeights {
  Vector<S> theta;
  Vector<S> buffers;
};

/// Reads the weights of a checkpoint, of this or another run of a network with the same tensors; errors as above.
template <class S>
NetworkWeights<S> read_weights(const std::string& path, const Layout& parameters, const Layout& buffers);
template <class S>
NetworkWeights<S> read_weights(const std::string& path, const Network<S>& network) {
  return read_weights<S>(path, network.parameters(), network.buffers());
}

CheckpointInfo read_checkpoint_info(const h5::File& file);

}  // namespace gradscape
