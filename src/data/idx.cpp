#include "gradscape/data/idx.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

constexpr int kClasses = 10;
constexpr std::uint32_t kImageMagic = 0x00000803;
constexpr std::uint32_t kLabelMagic = 0x00000801;

/// The plain file, else the one with .gz; empty where neither exists.
std::string find_file(const std::string& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"})
    if (const fs::path path = fs::path(folder) / (name + ending); fs::exists(path)) return path.string();
  return "";
}

/// What could be unpacked of a file, and zlib's complaint if that is not all.
struct Content {
  std::vector<std::uint8_t> bytes;
  std::string complaint;
};

/// zlib reads plain files as they are.
Content read_file(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw Error(path, "cannot be read");
  Content content;
  constexpr unsigned kBlock = 1u << 20;
  int got = 0;
  do {
    const std::size_t old = content.bytes.size();
    content.bytes.resize(old + kBlock);
    got = gzread(file.get(), content.bytes.data() + old, kBlock);
    content.bytes.resize(old + static_cast<std::size_t>(std::max(got, 0)));
  } while (got > 0);
  int code = Z_OK;
  const std::string message = gzerror(file.get(), &code);
  if (got < 0 || code != Z_OK) {
    const std::string prefix = path + ": ";  // zlib puts the file's name first, and so does Error
    content.complaint = " (" + (message.starts_with(prefix) ? message.substr(prefix.size()) : message) + ")";
  }
  return content;
}

std::uint32_t big_endian(const std::vector<std::uint8_t>& bytes, std::size_t position) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = (value << 8) | bytes[position + i];
  return value;
}

/// Checks the header and returns the extents behind the magic number.
std::vector<std::size_t> read_header(const std::string& path, const Content& content, std::uint32_t magic) {
  const auto& bytes = content.bytes;
  const std::size_t rank = magic & 0xff;
  const std::size_t header = 4 + 4 * rank;
  if (bytes.size() < header)
    throw Error(path, fmt::format("is truncated or damaged: expected a header of {} bytes, found {} bytes{}", header,
                                  bytes.size(), content.complaint));
  if (const auto found = big_endian(bytes, 0); found != magic)
    throw Error(path, fmt::format("is not the IDX file its name says: expected magic number {:#010x}, found {:#010x}",
                                  magic, found));
  std::vector<std::size_t> extents;
  std::size_t size = 1;
  for (std::size_t i = 0; i < rank; ++i) {
    extents.push_back(big_endian(bytes, 4 + 4 * i));
    if (__builtin_mul_overflow(size, extents.back(), &size))
      throw Error(path, "is damaged: the extents in its header multiply to more than 2^64 bytes");
  }
  if (!content.complaint.empty() || bytes.size() - header != size)
    throw Error(path, fmt::format("is truncated, damaged or too long: expected {} bytes, found {} bytes{}",
                                  header + size, bytes.size(), content.complaint));
  return extents;
}

/// Both files of one set; false where there is neither.
bool load_set(const std::string& folder, const std::string& prefix, ImageSet& set) {
  const std::string images_path = find_file(folder, prefix + "-images-idx3-ubyte");
  const std::string labels_path = find_file(folder, prefix + "-labels-idx1-ubyte");
  if (images_path.empty() && labels_path.empty()) return false;
  if (images_path.empty() || labels_path.empty())
    throw Error(folder, fmt::format("holds {} but no {}-{}(.gz)", images_path + labels_path, prefix,
                                    images_path.empty() ? "images-idx3-ubyte" : "labels-idx1-ubyte"));
  Content images = read_file(images_path);
  const auto extents = read_header(images_path, images, kImageMagic);
  Content labels = read_file(labels_path);
  const auto counts = read_header(labels_path, labels, kLabelMagic);
  if (extents[0] != counts[0])
    throw Error(labels_path, fmt::format("has {} labels for the {} images of {}", counts[0], extents[0], images_path));
  for (std::size_t i = 8; i < labels.bytes.size(); ++i)
    if (labels.bytes[i] >= kClasses)
      throw Error(labels_path, fmt::format("label {} is {}, allowed are 0 to 9", i - 8, labels.bytes[i]),
                  "the file is damaged or of another data set");
  set.shape = {static_cast<Index>(extents[1]), static_cast<Index>(extents[2]), 1};
  images.bytes.erase(images.bytes.begin(), images.bytes.begin() + 16);
  labels.bytes.erase(labels.bytes.begin(), labels.bytes.begin() + 8);
  set.pixels = std::move(images.bytes);
  set.labels = std::move(labels.bytes);
  return true;
}

}  // namespace

Dataset load_idx(const std::string& folder) {
  Dataset dataset;
  dataset.name = "IDX";
  if (!load_set(folder, "train", dataset.train) || dataset.train.size() == 0)
    throw Error(
        folder,
        fs::exists(folder) ? "holds no training images: train-images-idx3-ubyte(.gz) was looked for" : "does not exist",
        "point data.path at the folder with the four IDX files");
  if (!load_set(folder, "t10k", dataset.test)) dataset.test.shape = dataset.train.shape;
  if (dataset.test.shape != dataset.train.shape)
    throw Error(folder,
                fmt::format("training images have {}×{} pixels and test images {}×{}", dataset.train.shape.height,
                            dataset.train.shape.width, dataset.test.shape.height, dataset.test.shape.width));
  dataset.train.classes = dataset.test.classes = kClasses;
  return dataset;
}

}  // namespace gradscape
