// Weights from and to other programs: a safetensors file of named tensors, and theta and buffers of a network.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "gradscape/file/safetensors.hpp"
#include "gradscape/nn/layout.hpp"

namespace gradscape {

/// Which tensor of the file became which of the network.
struct WeightMatch {
  std::string tensor;  // the network's name
  std::string from;    // the file's; the same where nothing had to be done
  std::string note;    // what was done beside: "transposed"
};

/// How a file was read.
struct WeightReport {
  std::vector<WeightMatch> matches;        // in the network's order
  std::string how;                         // "by name", "by name without module.", "by order and shape", "by map"
  std::vector<std::string> ignored;        // of the file
  std::vector<std::string> no_statistics;  // norms whose running statistics the file lacks
  std::vector<std::string> remarks;        // what looks wrong: statistics that were never taken
};

/// theta [P] and buffers [B] in double, which holds every type exactly.
struct Weights {
  Vector<double> theta;
  Vector<double> buffers;
  WeightReport report;
};

/// Names of the network for names of the file, for files that nothing else matches.
using WeightMap = std::map<std::string, std::string>;

/// Lines "FILE_NAME = NETWORK_NAME"; '#' begins a comment. UsageError naming the line.
WeightMap parse_weight_map(const std::string& text, const std::string& where);

/// Finds a network's tensors in a file: by name; without the prefixes that DataParallel, torch.compile and Lightning
/// put in front or inside; by order and shape, where each tensor of a sort has one place (torchvision's and others'
/// names for the same network, gamma and moving_mean among them); by `map`. Convolutions stored [Kh, Kw, Cin, Cout] and
/// dense layers stored [in, out] are turned where shapes tell. num_batches_tracked may miss (0) or be there in vain.
/// Running statistics that miss are 0 and 1, and named in the report. Error where tensors miss, are too many, have
/// another shape (the first of them, with what network that looks like), or hold NaN among running variances, or
/// numbers below 0 there.
Weights match_weights(const SafetensorsFile& file, const Layout& parameters, const Layout& buffers,
                      const WeightMap& map = {});

/// Writes theta and buffers by the network's names, F32 or F64 by S, counters as I64, published whole.
template <class S>
void export_weights(const std::string& path, const Layout& parameters, const Layout& buffers, const Vector<S>& theta,
                    const Vector<S>& buffer_values, const std::map<std::string, std::string>& metadata);

}  // namespace gradscape
