#pragma once

#include <string>

#include "gradscape/data/dataset.hpp"

namespace gradscape {

/// MNIST-type IDX files, one channel: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
/// t10k-labels-idx1-ubyte, each plain or with .gz (MNIST, Fashion-MNIST, EMNIST). The test pair may be missing. So many
/// classes; 0: as many as the training labels have, at least ten. Errors: missing file, wrong magic number, size that
/// does not fit the header (expected and found named), counts that differ, a label that is no class.
Dataset load_idx(const std::string& folder, int classes);

/// The same of the training images' header and the labels alone.
SampleShape read_idx_shape(const std::string& folder, int classes);

}  // namespace gradscape
