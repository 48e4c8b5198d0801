// Images with labels, or with numbers to fit, in memory, and where they come from.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "gradscape/core/types.hpp"

namespace gradscape {

/// Section [data].
struct DataOptions {
  std::string source = "synthetic";
  // Folder of the files, or the file of hdf5; empty: $GRADSCAPE_CIFAR10, $GRADSCAPE_CIFAR100 for these.
  std::string path;
  std::int64_t classes = 0;     // of hdf5, npy and idx; 0: read off the training labels
  std::string labels = "fine";  // cifar100: or "coarse"
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

/// One set of images. pixels [N, C, H, W], the order of the CIFAR files: bytes, or numbers that may be NaN; labels in
/// [0, classes). Of regression targets [N, classes] are in the place of labels, which are all 0 then.
struct ImageSet {
  FeatureShape shape;
  int classes = 0;
  std::variant<std::vector<std::uint8_t>, std::vector<float>, std::vector<double>> pixels;
  std::vector<std::int32_t> labels;
  std::vector<double> targets = {};
  bool as_given = false;  // pixels go to the network as they are, whatever data.standardise and augmentation say

  Index size() const { return static_cast<Index>(labels.size()); }
  bool holds_bytes() const { return pixels.index() == 0; }
  /// Pixels that are bytes.
  const std::vector<std::uint8_t>& bytes() const { return std::get<0>(pixels); }
  std::vector<std::uint8_t>& bytes() { return std::get<0>(pixels); }
  /// Hash of shape, classes, pixels, labels and targets: how a run recognises its data, wherever and in whatever kind
  /// of file they lie.
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
  std::vector<std::string> warnings = {};  // likewise: what is unusual about them
};

/// The text of Dataset::read, of as many images and files as were read.
std::string describe_files(Index train, int train_files, Index test, int test_files);

/// "; 7 classes", for its end.
std::string describe_classes(int classes);

/// How many classes these labels are of: `told`, or where that is 0 one more than the largest, and `least` at least.
/// Error naming `where` for a label below 0 or out of that, or too large to be meant.
int count_classes(const std::vector<std::int32_t>& labels, std::int64_t told, int least, const std::string& where);

/// The same error for a label that is none of [0, classes).
void require_labels(const std::vector<std::int32_t>& labels, int classes, const std::string& where);

/// Names that DataOptions::source can take.
const std::vector<std::string>& data_source_names();

/// What the samples of a data set look like, test samples too.
struct SampleShape {
  FeatureShape shape;
  int classes = 0;
};

/// Known without loading the images; for idx, hdf5 and npy, whose images have any size, read from the header of the
/// training file and its labels.
/// Errors as for load_dataset() where that file is missing or invalid.
SampleShape sample_shape(const DataOptions& options);

/// Loads or makes what the options say, limits applied. Errors: file missing, of the wrong size, label out of range.
Dataset load_dataset(const DataOptions& options);

/// x ↦ (x/255 − mean[c]) / deviation[c] of bytes, (x − mean[c]) / deviation[c] of other numbers, per channel.
struct Standardisation {
  std::vector<double> mean;
  std::vector<double> deviation;
};

/// half: mean = deviation = 0.5; channel: the training images' own mean and (population) standard deviation per
/// channel, NaN pixels left out, a deviation of 0 taken as 1; none: x/255, or x. UsageError for half of other numbers
/// than bytes.
Standardisation make_standardisation(const std::string& kind, const ImageSet& train);

}  // namespace gradscape
