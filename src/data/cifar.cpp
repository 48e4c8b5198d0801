#include "gradscape/data/cifar.hpp"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

constexpr FeatureShape kShape = kCifar10.shape;
constexpr int kClasses = kCifar10.classes;
constexpr std::size_t kPixels = 3072;
constexpr std::size_t kRecord = 1 + kPixels;

/// Appends the records of a file, if it is there; returns how many files that were.
int append_file(const std::string& path, ImageSet& images) {
  if (!is_entry(path)) return 0;
  require_regular_file(path);
  std::error_code code;
  const auto size = static_cast<std::size_t>(fs::file_size(path, code));
  if (code) throw Error(path, "cannot be read: " + code.message());
  if (size == 0 || size % kRecord != 0)
    throw Error(
        path,
        fmt::format("is truncated or no CIFAR-10 file: expected a multiple of {} bytes, found {} bytes", kRecord, size),
        "copy it again from the official binary archive");
  std::ifstream stream(path, std::ios::binary);
  std::array<std::uint8_t, kRecord> record = {};
  for (std::size_t number = 0; number < size / kRecord; ++number) {
    if (!stream.read(reinterpret_cast<char*>(record.data()), kRecord))
      throw Error(path, fmt::format("cannot be read: expected {} bytes, found {}", size,
                                    number * kRecord + static_cast<std::size_t>(stream.gcount())));
    if (record[0] >= kClasses)
      throw Error(path, fmt::format("record {} has label {}, allowed are 0 to 9", number, record[0]),
                  "the file is damaged or of another data set");
    images.labels.push_back(record[0]);
    images.pixels.insert(images.pixels.end(), record.begin() + 1, record.end());
  }
  return 1;
}

}  // namespace

Dataset load_cifar10(const std::string& folder) {
  Dataset dataset;
  dataset.name = "CIFAR-10";
  dataset.train.shape = dataset.test.shape = kShape;
  dataset.train.classes = dataset.test.classes = kClasses;
  dataset.train.pixels.reserve(50000 * kPixels);  // of the whole data set: growing would cost more than all else
  int files = 0;
  for (int number = 1; number <= 5; ++number)
    files += append_file(fmt::format("{}/data_batch_{}.bin", folder, number), dataset.train);
  if (files == 0)
    throw Error(folder, is_entry(folder) ? "holds none of data_batch_1.bin … data_batch_5.bin" : "does not exist",
                "point data.path or GRADSCAPE_CIFAR10 at the folder with data_batch_1.bin … test_batch.bin");
  const int test_files = append_file(folder + "/test_batch.bin", dataset.test);
  dataset.read = describe_files(dataset.train.size(), files, dataset.test.size(), test_files);
  return dataset;
}

}  // namespace gradscape
