#include "gradscape/data/dataset.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <new>
#include <utility>

#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/named_table.hpp"
#include "gradscape/data/arrays.hpp"
#include "gradscape/data/cifar.hpp"
#include "gradscape/data/idx.hpp"
#include "gradscape/data/linear.hpp"
#include "gradscape/data/synthetic.hpp"

namespace gradscape {
namespace {

std::string cifar_folder(const DataOptions& options, const char* variable, const char* files) {
  std::string folder = options.path;
  if (folder.empty())
    if (const char* value = std::getenv(variable)) folder = value;
  if (folder.empty())
    throw UsageError("data.path", fmt::format("is not given and {} is not set", variable),
                     fmt::format("point one of them at the folder with {}", files));
  return folder;
}

Dataset from_cifar10(const DataOptions& options) {
  return load_cifar10(cifar_folder(options, "GRADSCAPE_CIFAR10", "data_batch_1.bin … test_batch.bin"));
}

bool coarse(const DataOptions& options) {
  return options.labels == "coarse";
}

Dataset from_cifar100(const DataOptions& options) {
  return load_cifar100(cifar_folder(options, "GRADSCAPE_CIFAR100", "train.bin and test.bin"), coarse(options));
}

SampleShape shape_of_cifar100(const DataOptions& options) {
  return cifar100_shape(coarse(options));
}

const std::string& given_path(const DataOptions& options, const char* what) {
  if (options.path.empty()) throw UsageError("data.path", "is not given", std::string("point it at the ") + what);
  return options.path;
}

constexpr const char* kIdxFolder = "folder with train-images-idx3-ubyte or .gz";
constexpr const char* kHdf5File = "HDF5 file with images and labels";
constexpr const char* kNpyFolder = "folder with images.npy and labels.npy";

Dataset from_idx(const DataOptions& options) {
  return load_idx(given_path(options, kIdxFolder), static_cast<int>(options.classes));
}

SampleShape shape_of_idx(const DataOptions& options) {
  return read_idx_shape(given_path(options, kIdxFolder), static_cast<int>(options.classes));
}

Dataset from_hdf5(const DataOptions& options) {
  return load_hdf5(given_path(options, kHdf5File), options.classes);
}

SampleShape shape_of_hdf5(const DataOptions& options) {
  return read_hdf5_shape(given_path(options, kHdf5File), options.classes);
}

Dataset from_npy(const DataOptions& options) {
  return load_npy(given_path(options, kNpyFolder), options.classes);
}

SampleShape shape_of_npy(const DataOptions& options) {
  return read_npy_shape(given_path(options, kNpyFolder), options.classes);
}

Dataset from_seed(const DataOptions& options) {
  return make_synthetic(static_cast<std::uint64_t>(options.synthetic_seed), options.synthetic_train,
                        options.synthetic_test);
}

Dataset from_linear_map(const DataOptions& options) {
  return make_linear(static_cast<std::uint64_t>(options.synthetic_seed), options.linear_size, options.linear_deviation,
                     options.synthetic_train, options.synthetic_test);
}

SampleShape shape_of_linear_map(const DataOptions& options) {
  return {{1, 1, options.linear_size}, static_cast<int>(options.linear_size)};
}

struct Source {
  Dataset (*load)(const DataOptions&);
  SampleShape (*shape)(const DataOptions&);
};

const NamedTable<Source>& sources() {
  static const NamedTable<Source> table("data source",
                                        {{"cifar10", {from_cifar10, [](const DataOptions&) { return kCifar10; }}},
                                         {"cifar100", {from_cifar100, shape_of_cifar100}},
                                         {"idx", {from_idx, shape_of_idx}},
                                         {"hdf5", {from_hdf5, shape_of_hdf5}},
                                         {"npy", {from_npy, shape_of_npy}},
                                         {"synthetic", {from_seed, [](const DataOptions&) { return kSynthetic; }}},
                                         {"linear", {from_linear_map, shape_of_linear_map}}});
  return table;
}

/// Calls take(x) with every number of a channel that is not NaN, image by image.
template <class T, class Take>
void for_each_number(const ImageSet& images, const std::vector<T>& pixels, Index channel, Take&& take) {
  const Index plane = images.shape.pixels();
  for (Index image = 0; image < images.size(); ++image) {
    const T* x = pixels.data() + (image * images.shape.channels + channel) * plane;
    for (Index i = 0; i < plane; ++i)
      if (!std::isnan(x[i])) take(static_cast<double>(x[i]));
  }
}

/// Mean and population standard deviation of x per channel in two passes, each a sum in the order of the images.
template <class T>
Standardisation channel_statistics(const ImageSet& images, const std::vector<T>& pixels) {
  Standardisation result;
  for (Index channel = 0; channel < images.shape.channels; ++channel) {
    double sum = 0, squares = 0, count = 0;
    for_each_number(images, pixels, channel, [&](double x) {
      sum += x;
      ++count;
    });
    const double mean = count > 0 ? sum / count : 0;
    for_each_number(images, pixels, channel, [&](double x) { squares += (x - mean) * (x - mean); });
    const double deviation = count > 0 ? std::sqrt(squares / count) : 0;
    result.mean.push_back(mean);
    result.deviation.push_back(deviation > 0 ? deviation : 1.0);
  }
  return result;
}

/// Mean and population standard deviation of x/255 per channel; sums of bytes are exact in integers.
Standardisation channel_statistics(const ImageSet& images, const std::vector<std::uint8_t>&) {
  Standardisation result;
  const auto plane = static_cast<std::size_t>(images.shape.pixels());
  const auto channels = static_cast<std::size_t>(images.shape.channels);
  const double count = static_cast<double>(images.size()) * static_cast<double>(plane);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    std::uint64_t sum = 0;
    std::uint64_t squares = 0;
    for (std::size_t image = 0; image < images.labels.size(); ++image) {
      const std::uint8_t* x = images.bytes().data() + (image * channels + channel) * plane;
      for (std::size_t i = 0; i < plane; ++i) {
        sum += x[i];
        squares += static_cast<std::uint64_t>(x[i]) * x[i];
      }
    }
    const double mean = static_cast<double>(sum) / count;
    const double deviation = std::sqrt(std::max(0.0, static_cast<double>(squares) / count - mean * mean));
    result.mean.push_back(mean / 255.0);
    result.deviation.push_back(deviation > 0 ? deviation / 255.0 : 1.0);
  }
  return result;
}

}  // namespace

std::string describe_files(Index train, int train_files, Index test, int test_files) {
  const auto in_files = [](Index images, const char* kind, int files) {
    return fmt::format("{} {} image{} in {} file{}", images, kind, images == 1 ? "" : "s", files,
                       files == 1 ? "" : "s");
  };
  return in_files(train, "training", train_files) + ", " +
         (test_files == 0 ? "no test images" : in_files(test, "test", test_files));
}

std::string describe_classes(int classes) {
  return fmt::format("; {} class{}", classes, classes == 1 ? "" : "es");
}

int count_classes(const std::vector<std::int32_t>& labels, std::int64_t told, int least, const std::string& where) {
  constexpr std::int32_t kMost = 65536;  // a label of a billion would ask for a network of so many outputs
  int classes = static_cast<int>(told);
  if (classes == 0) {
    const std::int32_t largest = labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end());
    if (largest >= kMost)
      throw Error(where,
                  fmt::format("has a label {}, and more than {} classes are not read off labels", largest, kMost),
                  "number the classes from 0, or set data.classes");
    classes = std::max(least, largest + 1);
  }
  require_labels(labels, classes, where);
  return classes;
}

void require_labels(const std::vector<std::int32_t>& labels, int classes, const std::string& where) {
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= classes)
      throw Error(where, fmt::format("label {} is {}, allowed are 0 to {}", i, labels[i], classes - 1),
                  labels[i] < 0
                      ? "number the classes from 0"
                      : "data.classes says how many there are (default: as many as the training labels have)");
}

std::string ImageSet::fingerprint() const {
  Fingerprint hash;
  for (const Index number : {shape.height, shape.width, shape.channels, Index{classes}, size()})
    hash.add(static_cast<std::uint64_t>(number));
  const auto add = [&hash](const auto& values) { hash.add(values.data(), values.size() * sizeof(values[0])); };
  if (holds_bytes()) add(bytes());
  // As bytes where they fit, as every label did when there were ten classes.
  if (classes <= 256)
    add(std::vector<std::uint8_t>(labels.begin(), labels.end()));
  else
    add(labels);
  if (!holds_bytes()) std::visit(add, pixels);
  add(targets);
  return hash.hex();
}

void ImageSet::truncate(Index limit) {
  if (limit <= 0 || limit >= size()) return;
  labels.resize(static_cast<std::size_t>(limit));
  std::visit([&](auto& values) { values.resize(static_cast<std::size_t>(limit * shape.size())); }, pixels);
  if (!targets.empty()) targets.resize(static_cast<std::size_t>(limit * classes));
}

const std::vector<std::string>& data_source_names() {
  return sources().names();
}

SampleShape sample_shape(const DataOptions& options) {
  return sources().find(options.source).shape(options);
}

Dataset load_dataset(const DataOptions& options) {
  const Doing doing("loading the data set", options.source);
  try {
    Dataset dataset = sources().find(options.source).load(options);
    dataset.train.truncate(options.train_limit);
    dataset.test.truncate(options.test_limit);
    return dataset;
  } catch (const std::bad_alloc&) {
    throw Error(options.path.empty() ? "data.source" : options.path, "the data do not fit into memory");
  }
}

Standardisation make_standardisation(const std::string& kind, const ImageSet& train) {
  const auto channels = static_cast<std::size_t>(train.shape.channels);
  const Standardisation identity{std::vector<double>(channels, 0.0), std::vector<double>(channels, 1.0)};
  if (train.as_given) return identity;
  if (kind == "channel")
    return std::visit([&](const auto& pixels) { return channel_statistics(train, pixels); }, train.pixels);
  if (kind == "half") {
    if (!train.holds_bytes())
      throw UsageError(
          "data.standardise", "\"half\" is of bytes, and these images hold other numbers",
          "none takes them as they are, channel subtracts each channel's mean and divides by its deviation");
    return {std::vector<double>(channels, 0.5), std::vector<double>(channels, 0.5)};
  }
  check(kind == "none", "a known kind of standardisation");
  return identity;
}

}  // namespace gradscape
