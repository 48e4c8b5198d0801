#include "gradscape/data/dataset.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <new>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/named_table.hpp"
#include "gradscape/data/cifar.hpp"
#include "gradscape/data/idx.hpp"
#include "gradscape/data/linear.hpp"
#include "gradscape/data/synthetic.hpp"

namespace gradscape {
namespace {

Dataset from_cifar10(const DataOptions& options) {
  std::string folder = options.path;
  if (folder.empty())
    if (const char* variable = std::getenv("GRADSCAPE_CIFAR10")) folder = variable;
  if (folder.empty())
    throw UsageError("data.path", "is not given and GRADSCAPE_CIFAR10 is not set",
                     "point one of them at the folder with data_batch_1.bin … test_batch.bin");
  return load_cifar10(folder);
}

const std::string& idx_folder(const DataOptions& options) {
  if (options.path.empty())
    throw UsageError("data.path", "is not given", "point it at the folder with train-images-idx3-ubyte or .gz");
  return options.path;
}

Dataset from_idx(const DataOptions& options) {
  return load_idx(idx_folder(options));
}

SampleShape shape_of_idx(const DataOptions& options) {
  return read_idx_shape(idx_folder(options));
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
                                         {"idx", {from_idx, shape_of_idx}},
                                         {"synthetic", {from_seed, [](const DataOptions&) { return kSynthetic; }}},
                                         {"linear", {from_linear_map, shape_of_linear_map}}});
  return table;
}

/// Mean and population standard deviation of x/255 per channel; sums of bytes are exact in integers.
Standardisation channel_statistics(const ImageSet& images) {
  Standardisation result;
  const auto plane = static_cast<std::size_t>(images.shape.pixels());
  const auto channels = static_cast<std::size_t>(images.shape.channels);
  const double count = static_cast<double>(images.size()) * static_cast<double>(plane);
  for (std::size_t channel = 0; channel < channels; ++channel) {
    std::uint64_t sum = 0;
    std::uint64_t squares = 0;
    for (std::size_t image = 0; image < images.labels.size(); ++image) {
      const std::uint8_t* x = images.pixels.data() + (image * channels + channel) * plane;
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

std::string ImageSet::fingerprint() const {
  Fingerprint hash;
  for (const Index number : {shape.height, shape.width, shape.channels, Index{classes}, size()})
    hash.add(static_cast<std::uint64_t>(number));
  hash.add(pixels.data(), pixels.size());
  hash.add(labels.data(), labels.size());
  hash.add(features.data(), features.size() * sizeof(double));
  hash.add(targets.data(), targets.size() * sizeof(double));
  return hash.hex();
}

void ImageSet::truncate(Index limit) {
  if (limit <= 0 || limit >= size()) return;
  labels.resize(static_cast<std::size_t>(limit));
  if (!pixels.empty()) pixels.resize(static_cast<std::size_t>(limit * shape.size()));
  if (!features.empty()) features.resize(static_cast<std::size_t>(limit * shape.size()));
  if (!targets.empty()) targets.resize(static_cast<std::size_t>(limit * classes));
}

const std::vector<std::string>& data_source_names() {
  return sources().names();
}

SampleShape sample_shape(const DataOptions& options) {
  return sources().find(options.source).shape(options);
}

Dataset load_dataset(const DataOptions& options) {
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
  if (!train.features.empty()) {  // numbers are taken as they are
    const auto width = static_cast<std::size_t>(train.shape.channels);
    return {std::vector<double>(width, 0.0), std::vector<double>(width, 1.0)};
  }
  if (kind == "channel") return channel_statistics(train);
  const auto channels = static_cast<std::size_t>(train.shape.channels);
  if (kind == "half") return {std::vector<double>(channels, 0.5), std::vector<double>(channels, 0.5)};
  check(kind == "none", "a known kind of standardisation");
  return {std::vector<double>(channels, 0.0), std::vector<double>(channels, 1.0)};
}

}  // namespace gradscape
