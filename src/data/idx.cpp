#include "gradscape/data/idx.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>

#include "gradscape/core/error.hpp"
#include "gradscape/file/input_file.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

constexpr int kClasses = 10;  // at least, as MNIST has: a run on a part of it has an output for each digit
constexpr const char* kImages = "-images-idx3-ubyte";  // after "train" or "t10k"
constexpr const char* kLabels = "-labels-idx1-ubyte";
constexpr std::uint32_t kImageMagic = 0x00000803;
constexpr std::uint32_t kLabelMagic = 0x00000801;

/// What a .gz may announce: a few bytes can stand for gigabytes. Images come to a small part of the first bound (MNIST:
/// 5 bytes for one); labels in the order of their classes to a large one, but they are few.
constexpr std::size_t kMostPerByte = 64;
constexpr std::size_t kAlwaysAdmitted = 16 << 20;

/// The plain file, else the one with .gz; empty where neither exists.
std::string find_file(const std::string& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"})
    if (const std::string path = folder + "/" + name + ending; is_entry(path)) return path;
  return "";
}

struct IdxFile {
  std::vector<std::size_t> extents;
  std::vector<std::uint8_t> bytes;  // after the header
};

/// Reads a file, packed or not, from its header on: no memory is taken before it is known how much there must be.
class IdxReader {
 public:
  explicit IdxReader(const std::string& path) : path_(path) {
    require_regular_file(path);
    std::error_code code;
    stored_ = fs::file_size(path, code);
    file_.reset(gzopen(path.c_str(), "rb"));  // plain files are read as they are
    if (code || !file_) throw Error(path, "cannot be read" + (code ? ": " + code.message() : ""));
  }

  /// The extents that the header announces, as many as the magic number says.
  std::vector<std::size_t> read_header(std::uint32_t magic) {
    const std::size_t rank = magic & 0xff;
    const std::size_t header = 4 + 4 * rank;
    std::array<std::uint8_t, 16> head = {};
    if (const std::size_t got = read_some(head.data(), header); got < header)
      throw Error(path_, fmt::format("is truncated or damaged: expected a header of {} bytes, found {} bytes{}", header,
                                     got, complaint()));
    if (const auto found = big_endian(head.data()); found != magic)
      throw Error(
          path_, fmt::format("is not the IDX file its name says: expected magic number {:#010x}, found {:#010x}", magic,
                             found));
    std::vector<std::size_t> extents;
    std::size_t size = 1;
    for (std::size_t i = 0; i < rank; ++i) {
      extents.push_back(big_endian(head.data() + 4 + 4 * i));
      if (__builtin_mul_overflow(size, extents.back(), &size))
        throw Error(path_, "is damaged: the extents in its header multiply to more than 2^64 bytes");
    }
    require_plausible(header, size);
    return extents;
  }

  IdxFile read(std::uint32_t magic) {
    IdxFile file{read_header(magic), {}};
    const std::size_t header = 4 + 4 * file.extents.size();
    const std::size_t size =
        std::accumulate(file.extents.begin(), file.extents.end(), std::size_t{1}, std::multiplies<>());
    file.bytes.resize(size);
    const std::size_t got = read_some(file.bytes.data(), size);
    std::uint8_t beyond = 0;  // reading on to the end has zlib compare its checksum
    const bool more = got == size && read_some(&beyond, 1) > 0;
    if (const std::string words = complaint(); got < size || more || !words.empty())
      throw wrong_size(header + size, fmt::format("{}{}", more ? "more than " : "", header + got), words);
    return file;
  }

 private:
  static std::uint32_t big_endian(const std::uint8_t* bytes) {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = (value << 8) | bytes[i];
    return value;
  }

  /// Bytes read: fewer than `size` at the end of the file, or where it is damaged.
  std::size_t read_some(std::uint8_t* to, std::size_t size) {
    constexpr std::size_t kBlock = 1u << 20;
    std::size_t done = 0;
    while (done < size) {
      const int got = gzread(file_.get(), to + done, static_cast<unsigned>(std::min(kBlock, size - done)));
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    return done;
  }

  /// zlib's error message; empty without an error.
  std::string complaint() {
    int code = Z_OK;
    const std::string message = gzerror(file_.get(), &code);
    if (code == Z_OK) return "";
    const std::string prefix = path_ + ": ";  // zlib puts the file's name first, and so does Error
    return " (" + (message.starts_with(prefix) ? message.substr(prefix.size()) : message) + ")";
  }

  Error wrong_size(std::size_t expected, const std::string& found, const std::string& words) const {
    return Error(path_, fmt::format("is truncated, damaged or too long: expected {} bytes, found {} bytes{}", expected,
                                    found, words));
  }

  /// Error where the file cannot, or must not, hold `size` bytes after its header.
  void require_plausible(std::size_t header, std::size_t size) {
    if (gzdirect(file_.get()) == 1) {
      if (stored_ < header || stored_ - header != size) throw wrong_size(header + size, std::to_string(stored_), "");
    } else if (size > kAlwaysAdmitted && size / kMostPerByte > stored_) {
      throw Error(
          path_,
          fmt::format("announces {} bytes, more than {} times the {} bytes of the file", size, kMostPerByte, stored_),
          "it is damaged, or no images; if it is what you want, unpack it with gunzip");
    }
  }

  std::string path_;
  std::uintmax_t stored_ = 0;  // bytes on disk
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_{nullptr, gzclose};
};

/// The shape of images [N, H, W] with these extents.
FeatureShape image_shape(const std::string& path, const std::vector<std::size_t>& extents) {
  if (extents[1] == 0 || extents[2] == 0)
    throw Error(path, fmt::format("its images have {}×{} pixels", extents[1], extents[2]));
  return {static_cast<Index>(extents[1]), static_cast<Index>(extents[2]), 1};
}

Error no_training_images(const std::string& folder) {
  return Error(
      folder,
      is_entry(folder) ? "holds no training images: train-images-idx3-ubyte(.gz) was looked for" : "does not exist",
      "point data.path at the folder with the four IDX files");
}

/// Both files of one set, and the path of its labels; false where there is neither.
bool load_set(const std::string& folder, const std::string& prefix, ImageSet& set, std::string& labels_path) {
  const std::string images_path = find_file(folder, prefix + kImages);
  labels_path = find_file(folder, prefix + kLabels);
  if (images_path.empty() && labels_path.empty()) return false;
  if (images_path.empty() || labels_path.empty())
    throw Error(folder, fmt::format("holds {} but no {}-{}(.gz)", images_path + labels_path, prefix,
                                    images_path.empty() ? "images-idx3-ubyte" : "labels-idx1-ubyte"));
  IdxFile images = IdxReader(images_path).read(kImageMagic);
  IdxFile labels = IdxReader(labels_path).read(kLabelMagic);
  if (images.extents[0] != labels.extents[0])
    throw Error(labels_path, fmt::format("has {} labels for the {} images of {}", labels.extents[0], images.extents[0],
                                         images_path));
  set.shape = image_shape(images_path, images.extents);
  set.bytes() = std::move(images.bytes);
  set.labels.assign(labels.bytes.begin(), labels.bytes.end());
  return true;
}

}  // namespace

Dataset load_idx(const std::string& folder, int classes) {
  Dataset dataset;
  dataset.name = "IDX";
  std::string train_labels, test_labels;
  if (!load_set(folder, "train", dataset.train, train_labels) || dataset.train.size() == 0)
    throw no_training_images(folder);
  const bool has_test = load_set(folder, "t10k", dataset.test, test_labels);
  if (!has_test) dataset.test.shape = dataset.train.shape;
  if (dataset.test.shape != dataset.train.shape)
    throw Error(folder,
                fmt::format("training images have {}×{} pixels and test images {}×{}", dataset.train.shape.height,
                            dataset.train.shape.width, dataset.test.shape.height, dataset.test.shape.width));
  dataset.train.classes = dataset.test.classes = count_classes(dataset.train.labels, classes, kClasses, train_labels);
  require_labels(dataset.test.labels, dataset.test.classes, test_labels);
  dataset.read = describe_files(dataset.train.size(), 2, dataset.test.size(), has_test ? 2 : 0) +
                 describe_classes(dataset.train.classes);
  return dataset;
}

SampleShape read_idx_shape(const std::string& folder, int classes) {
  const std::string path = find_file(folder, std::string("train") + kImages);
  if (path.empty()) throw no_training_images(folder);
  const std::vector<std::size_t> extents = IdxReader(path).read_header(kImageMagic);
  if (extents[0] == 0) throw no_training_images(folder);
  const FeatureShape shape = image_shape(path, extents);
  const std::string labels_path = find_file(folder, std::string("train") + kLabels);
  if (labels_path.empty()) throw Error(folder, std::string("holds no train") + kLabels + "(.gz)");
  const IdxFile labels = IdxReader(labels_path).read(kLabelMagic);
  return {shape, count_classes({labels.bytes.begin(), labels.bytes.end()}, classes, kClasses, labels_path)};
}

}  // namespace gradscape
