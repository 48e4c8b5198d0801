// A user's own data: arrays `images`, `labels` or `targets`, and the same with test_ before.
#pragma once

#include <string>

#include "gradscape/data/dataset.hpp"

namespace gradscape {

/// images [N, C, H, W], or with an attribute layout = "NHWC" [N, H, W, C], of uint8, float32 or float64; labels [N] of
/// whole numbers from 0 on, or targets [N, K] of any numbers, for regression; optional test_images with test_labels or
/// test_targets. `classes`: as count_classes() has it. Errors name file and array: missing, of another type or other
/// extents, counts that differ, labels that are no class. NaN pixels are counted in a warning.
Dataset load_hdf5(const std::string& path, std::int64_t classes);

/// The same from a folder with images.npy, labels.npy …; of images [N, C, H, W] only.
Dataset load_npy(const std::string& folder, std::int64_t classes);

/// The same of the training set's extents and labels alone.
SampleShape read_hdf5_shape(const std::string& path, std::int64_t classes);
SampleShape read_npy_shape(const std::string& folder, std::int64_t classes);

}  // namespace gradscape
