// Images with labels, as bytes in memory, and where they come from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// Section [data].
struct DataOptions {
  std::string source = "synthetic";
  std::string path;  // folder of the files; empty: $GRADSCAPE_CIFAR10 for cifar10
  std::string standardise = "half";
  std::int64_t train_limit = 0;   // first so many training images; 0: all
  std::int64_t test_limit = 0;    // likewise of the test images
  bool augment_flip = false;      // mirror a training image left to right with probability 1/2
  std::int64_t augment_crop = 0;  // pad by so many pixels and crop back at a random place; 0: off
  std::int64_t synthetic_seed = 1;
  std::int64_t synthetic_train = 4096;  // number of images made
  std::int64_t synthetic_test = 1024;
  std::int64_t linear_size = 10;   // linear: entries of x and of Ax
  double linear_deviation = 0.57;  // linear: of the entries of A; starts the loss where the paper's figure does
};

/// One set of images. pixels [N, C, H, W], the order of the CIFAR files; labels in [0, classes). Or one of regression:
/// features [N, C] in the place of pixels, targets [N, classes] in the place of labels, which are all 0 then.
struct ImageSet {
  FeatureShape shape;
  int classes = 0;
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
  std::vector<double> features = {};
  std::vector<double> targets = {};

  Index size() const { return static_cast<Index>(labels.size()); }
  /// Hash of shape, classes, pixels and labels, or features and targets: how a run recognises its data, wherever it
  /// lies.
  std::string fingerprint() const;
  /// Keeps the first `limit` images; 0 keeps all.
  void truncate(Index limit);
};

/// Training and test images of one kind.
struct Dataset {
  std::string name;  // for people: "CIFAR-10", "synthetic"
  ImageSet train;
  ImageSet test;
  std::string read = {};  // likewise: "50000 training images in 5 files, 10000 test images in 1 file"; empty: made
};

/// The text of Dataset::read, of as many images and files as were read.
std::string describe_files(Index train, int train_files, Index test, int test_files);

/// Names that DataOptions::source can take.
const std::vector<std::string>& data_source_names();

/// What the samples of a data set look like, test samples too.
struct SampleShape {
  FeatureShape shape;
  int classes = 0;
};

/// Known without loading the samples; for idx, whose images have any size, read from the header of the training file.
/// Errors as for load_dataset() where that file is missing or invalid.
SampleShape sample_shape(const DataOptions& options);

/// Loads or makes what the options say, limits applied. Errors: file missing, of the wrong size, label out of range.
Dataset load_dataset(const DataOptions& options);

/// x ↦ (x/255 − mean[c]) / deviation[c], per channel.
struct Standardisation {
  std::vector<double> mean;
  std::vector<double> deviation;
};

/// half: mean = deviation = 0.5; channel: the training images' own mean and (population) standard deviation per
/// channel, a deviation of 0 taken as 1; none: x/255.
Standardisation make_standardisation(const std::string& kind, const ImageSet& train);

}  // namespace gradscape
