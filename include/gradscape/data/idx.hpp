#pragma once

#include <string>

#include "gradscape/data/dataset.hpp"

namespace gradscape {

/// MNIST-type IDX files, one channel: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte,
/// t10k-labels-idx1-ubyte, each plain or with .gz. The test pair may be missing. Ten classes. Errors: missing file,
/// wrong magic number, size that does not fit the header (expected and found named), counts that differ, a label
/// above 9.
Dataset load_idx(const std::string& folder);

/// The same of the training images' header alone.
SampleShape read_idx_shape(const std::string& folder);

}  // namespace gradscape
