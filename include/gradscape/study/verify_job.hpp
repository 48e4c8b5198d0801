// Whether a run's files are whole, belong together, and say what this program computes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gradscape/store/run_directory.hpp"

namespace gradscape {

/// What was found. Every problem says where and what.
struct Verification {
  std::size_t files = 0;  // read to their last byte
  std::size_t cells = 0;  // recomputed
  std::size_t stored_cells = 0;
  std::vector<std::string> problems;
};

/// Reads every file of the run: checksums, the identity in its configuration, the fingerprint of the data set (loaded
/// from `data_path`, the stored place if empty) and of checkpoints' parameters; merged files must hold what the shards
/// hold. Then draws `cells` of the stored cells, of all sweeps, at random, recomputes each by replay from the
/// checkpoint before it, and compares the bits of its whole step. What is wrong becomes a problem; Error only where the
/// data set or the configuration cannot be read, and on a signal (host/interrupt.hpp).
Verification verify_run(const RunDirectory& directory, const std::string& data_path, std::int64_t cells);

}  // namespace gradscape
