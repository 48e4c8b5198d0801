#pragma once

#include <optional>

#include "gradscape/config/experiment.hpp"
#include "gradscape/study/run_at.hpp"

namespace gradscape {

struct TrainRequest {
  bool resume = false;             // continue the run that is there
  bool force = false;              // replace whatever run is there
  bool probe = false;              // probe the steps of [sweep] while training, as sweep "main"
  std::optional<RunAt> from = {};  // the weights to begin with; train.from_weights is their fingerprint
};

/// Throws where train() would refuse the request: so that a study's last variant is known to be in order before the
/// first one trains.
void require_trainable(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request);

/// Trains one run in `directory`: config.toml, checkpoints and trace segments, and shards if probed. Everything is on
/// disk at each checkpoint. On a signal (host/interrupt.hpp) finishes the step, saves, and throws interruption().
void train(const Experiment& experiment, const RunDirectory& directory, const TrainRequest& request);

}  // namespace gradscape
