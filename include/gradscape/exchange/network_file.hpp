// network.toml, in which tools/from_pytorch.py and from_onnx.py leave a network.
#pragma once

#include <string>

#include "gradscape/core/types.hpp"

namespace gradscape {

struct NetworkFile {
  FeatureShape input;  // of one image
  Index classes = 0;
  std::string layers;  // docs/guide/own-networks.md
  std::string loss = "cross-entropy";
  double label_smoothing = 0;
};

/// Reads it; UsageError naming file, line and key where it is none.
NetworkFile read_network_file(const std::string& path);

}  // namespace gradscape
