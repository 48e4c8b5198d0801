#include "gradscape/data/cifar.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

constexpr FeatureShape kShape{32, 32, 3};
constexpr int kClasses = 10;
constexpr std::size_t kPixels = 3072;
constexpr std::size_t kRecord = 1 + kPixels;

/// Appends one file's records; `bytes` is scratch.
void append_file(const fs::path& path, ImageSet& images, std::vector<std::uint8_t>& bytes) {
  std::error_code code;
  const auto size = static_cast<std::size_t>(fs::file_size(path, code));
  if (code) throw Error(path.string(), "cannot be read: " + code.message());
  if (size == 0 || size % kRecord != 0)
    throw Error(
        path.string(),
        fmt::format("is truncated or no CIFAR-10 file: expected a multiple of {} bytes, found {} bytes", kRecord, size),
        "copy it again from the official binary archive");
  bytes.resize(size);
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size)))
    throw Error(path.string(), fmt::format("cannot be read: expected {} bytes, found {}", size, stream.gcount()));
  for (std::size_t start = 0; start < size; start += kRecord) {
    if (bytes[start] >= kClasses)
      throw Error(path.string(),
                  fmt::format("record {} has label {}, allowed are 0 to 9", start / kRecord, bytes[start]),
                  "the file is damaged or of another data set");
    images.labels.push_back(bytes[start]);
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(start) + 1;
    images.pixels.insert(images.pixels.end(), first, first + kPixels);
  }
}

}  // namespace

Dataset load_cifar10(const std::string& folder) {
  Dataset dataset;
  dataset.name = "CIFAR-10";
  dataset.train.shape = dataset.test.shape = kShape;
  dataset.train.classes = dataset.test.classes = kClasses;
  std::error_code ignored;
  std::vector<std::uint8_t> bytes;
  dataset.train.pixels.reserve(50000 * kPixels);  // of the whole data set: growing would cost more than all else
  for (int number = 1; number <= 5; ++number) {
    const fs::path path = fs::path(folder) / fmt::format("data_batch_{}.bin", number);
    if (fs::exists(path, ignored)) append_file(path, dataset.train, bytes);
  }
  if (dataset.train.size() == 0)
    throw Error(folder,
                fs::exists(folder, ignored) ? "holds none of data_batch_1.bin … data_batch_5.bin" : "does not exist",
                "point data.path or GRADSCAPE_CIFAR10 at the folder with data_batch_1.bin … test_batch.bin");
  if (const fs::path path = fs::path(folder) / "test_batch.bin"; fs::exists(path, ignored))
    append_file(path, dataset.test, bytes);
  return dataset;
}

}  // namespace gradscape
