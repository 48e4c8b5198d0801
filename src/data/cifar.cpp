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

constexpr std::size_t kPixels = 3072;
constexpr const char* kDamaged = "the file is damaged or of another data set";

/// How a data set's records begin: their label bytes, of which one counts.
struct RecordForm {
  const char* name;    // of the data set
  std::size_t labels;  // bytes of labels
  std::size_t label;   // the one that counts
  SampleShape samples;
};

/// Appends the records of a file, if it is there; returns how many files that were.
int append_file(const std::string& path, const RecordForm& form, ImageSet& images) {
  if (!is_entry(path)) return 0;
  require_regular_file(path);
  const std::size_t record_size = form.labels + kPixels;
  std::error_code code;
  const auto size = static_cast<std::size_t>(fs::file_size(path, code));
  if (code) throw Error(path, "cannot be read: " + code.message());
  if (size == 0 || size % record_size != 0)
    throw Error(path,
                fmt::format("is truncated or no {} file: expected a multiple of {} bytes, found {} bytes", form.name,
                            record_size, size),
                "copy it again from the official binary archive");
  std::ifstream stream(path, std::ios::binary);
  std::vector<std::uint8_t> record(record_size);
  for (std::size_t number = 0; number < size / record_size; ++number) {
    if (!stream.read(reinterpret_cast<char*>(record.data()), static_cast<std::streamsize>(record_size)))
      throw Error(path, fmt::format("cannot be read: expected {} bytes, found {}", size,
                                    number * record_size + static_cast<std::size_t>(stream.gcount())));
    const std::uint8_t label = record[form.label];
    if (label >= form.samples.classes)
      throw Error(path,
                  fmt::format("record {} has label {}, allowed are 0 to {}", number, label, form.samples.classes - 1),
                  kDamaged);
    images.labels.push_back(label);
    images.bytes().insert(images.bytes().end(), record.begin() + static_cast<std::ptrdiff_t>(form.labels),
                          record.end());
  }
  return 1;
}

/// An empty data set with room for the whole: growing would cost more than all else.
Dataset begin_dataset(const RecordForm& form) {
  Dataset dataset;
  dataset.name = form.name;
  dataset.train.shape = dataset.test.shape = form.samples.shape;
  dataset.train.classes = dataset.test.classes = form.samples.classes;
  dataset.train.bytes().reserve(50000 * kPixels);
  return dataset;
}

Error no_files(const std::string& folder, const char* files, const char* hint) {
  return Error(folder, is_entry(folder) ? std::string("holds none of ") + files : "does not exist", hint);
}

}  // namespace

Dataset load_cifar10(const std::string& folder) {
  const RecordForm form{"CIFAR-10", 1, 0, kCifar10};
  Dataset dataset = begin_dataset(form);
  int files = 0;
  for (int number = 1; number <= 5; ++number)
    files += append_file(fmt::format("{}/data_batch_{}.bin", folder, number), form, dataset.train);
  if (files == 0)
    throw no_files(folder, "data_batch_1.bin … data_batch_5.bin",
                   "point data.path or GRADSCAPE_CIFAR10 at the folder with data_batch_1.bin … test_batch.bin");
  const int test_files = append_file(folder + "/test_batch.bin", form, dataset.test);
  dataset.read = describe_files(dataset.train.size(), files, dataset.test.size(), test_files);
  return dataset;
}

Dataset load_cifar100(const std::string& folder, bool coarse) {
  const RecordForm form{"CIFAR-100", 2, coarse ? 0u : 1u, cifar100_shape(coarse)};
  Dataset dataset = begin_dataset(form);
  if (append_file(folder + "/train.bin", form, dataset.train) == 0)
    throw no_files(folder, "train.bin",
                   "point data.path or GRADSCAPE_CIFAR100 at the folder with train.bin and test.bin");
  const int test_files = append_file(folder + "/test.bin", form, dataset.test);
  dataset.read =
      describe_files(dataset.train.size(), 1, dataset.test.size(), test_files) + describe_classes(form.samples.classes);
  return dataset;
}

}  // namespace gradscape
