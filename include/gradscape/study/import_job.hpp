// A network and its weights from another program, as a run.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gradscape/config/experiment.hpp"
#include "gradscape/exchange/network_file.hpp"
#include "gradscape/exchange/weights.hpp"
#include "gradscape/store/run_directory.hpp"
#include "gradscape/study/evaluate_file.hpp"

namespace gradscape {

struct ImportRequest {
  std::string folder;                 // network.toml, weights *.safetensors, maybe check.safetensors
  WeightMap map = {};                 // of names, where nothing else tells
  bool without_statistics = false;    // weights may lack running statistics
  bool recompute_statistics = false;  // running statistics are averaged over the training images
  bool force = false;                 // replace the run that is there
};

/// One file of weights and how it was read.
struct ImportedWeights {
  std::string path;
  std::int64_t step = 0;  // the snapshot's number
  WeightReport report;
};

struct ImportResult {
  Index classes = 0;
  std::vector<ImportedWeights> weights;
  std::vector<EvaluateResult>
      checks;              // evaluation mode, train mode, of the snapshot that the check file names or the last
  EvaluateResult on_data;  // of the last snapshot: test images, at most a batch; 0 images: there are none
};

/// The files of weights of a folder, check.safetensors aside: in the order that their metadata `order` says, where all
/// have it, else of their names, numbers in them by value.
std::vector<std::string> weight_files(const std::string& folder);

/// What `experiment` becomes with the network of the folder.
Experiment with_network(Experiment experiment, const NetworkFile& network, std::size_t snapshots);

/// Makes a run whose checkpoints 0, 1, … are the files of weights, each a snapshot. Nothing is written where something
/// is refused: weights of another network (match_weights), images of another shape than the network's, a check file
/// that does not fit, a directory that holds something else.
ImportResult import_run(const ImportRequest& request, const Experiment& experiment, const RunDirectory& directory);

}  // namespace gradscape
