#include "gradscape/data/arrays.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <span>

#include "gradscape/core/error.hpp"
#include "gradscape/file/h5.hpp"
#include "gradscape/file/input_file.hpp"
#include "gradscape/file/npy.hpp"

namespace gradscape {
namespace {

constexpr const char* kShapes = "images are [N, C, H, W], labels [N], targets [N, K]: docs/guide/own-data.md";

/// An array before its values are read.
struct ArrayInfo {
  Element element;
  std::vector<std::uint64_t> stored;  // extents as the file has them
  std::vector<std::uint64_t> shape;   // [N, C, H, W], [N] or [N, K]
  std::vector<std::size_t> axes;      // those of `shape` in the file's order, the slowest first
};

/// Array `name` of an HDF5 file is the dataset of that name.
class Hdf5Arrays {
 public:
  explicit Hdf5Arrays(const std::string& path) : file_(h5::File::open(path, h5::Origin::anyone)) {}

  static constexpr const char* kind = "HDF5";
  static constexpr const char* last_channels_hint = "give the dataset the attribute layout = \"NHWC\"";
  int files(int /*arrays*/) const { return 1; }
  bool has(const std::string& name) const { return file_.exists("/" + name); }
  const std::string& place(const std::string& /*name*/) const { return file_.path(); }
  std::string missing(const std::string& name) const { return "has no dataset " + name; }

  ArrayInfo info(const std::string& name) const {
    const h5::Shape& extents = file_.shape("/" + name);
    ArrayInfo info{file_.element("/" + name), {extents.begin(), extents.end()}, {extents.begin(), extents.end()}, {}};
    info.axes.resize(extents.size());
    std::iota(info.axes.begin(), info.axes.end(), std::size_t{0});
    if (extents.size() != 4 || !file_.has_attribute("/" + name, "layout")) return info;
    const std::string layout = file_.text_attribute("/" + name, "layout");
    if (layout != "NHWC" && layout != "NCHW")
      throw Error(file_.path(), fmt::format("{} have layout = \"{}\"", name, abridge(layout)), "NCHW or NHWC");
    if (layout == "NCHW") return info;
    info.shape = {extents[0], extents[3], extents[1], extents[2]};
    info.axes = {0, 2, 3, 1};
    return info;
  }

  template <class T, class Take>
  void read(const std::string& name, Take&& take) const {
    file_.read_slabs<T>("/" + name, take);
  }

 private:
  h5::File file_;
};

/// Array `name` is the file name.npy of a folder.
class NpyArrays {
 public:
  explicit NpyArrays(std::string folder) : folder_(std::move(folder)) {
    if (!is_entry(folder_))
      throw Error(folder_, "does not exist", "point data.path at the folder with images.npy and labels.npy");
  }

  static constexpr const char* kind = "NPY";
  static constexpr const char* last_channels_hint = "np.moveaxis(images, 3, 1) puts channels first";
  int files(int arrays) const { return arrays; }
  bool has(const std::string& name) const { return is_entry(place(name)); }
  std::string place(const std::string& name) const { return folder_ + "/" + name + ".npy"; }
  std::string missing(const std::string& /*name*/) const { return "does not exist"; }

  ArrayInfo info(const std::string& name) const {
    const NpyFile& file = open(name);
    ArrayInfo info{file.element(), file.shape(), file.shape(), std::vector<std::size_t>(file.shape().size())};
    std::iota(info.axes.begin(), info.axes.end(), std::size_t{0});
    if (file.fortran_order()) std::reverse(info.axes.begin(), info.axes.end());
    return info;
  }

  template <class T, class Take>
  void read(const std::string& name, Take&& take) const {
    open(name).read_slabs<T>(take);
  }

 private:
  /// Its header is read once: what is read later has the extents that memory was taken for.
  const NpyFile& open(const std::string& name) const { return files_.try_emplace(name, place(name)).first->second; }

  std::string folder_;
  mutable std::map<std::string, NpyFile> files_;
};

/// Puts values that come in a file's order where they belong in the order of their shape.
template <class T>
class Placer {
 public:
  Placer(const ArrayInfo& info, T* to) : to_(to) {
    std::vector<std::uint64_t> strides(info.shape.size(), 1);
    for (std::size_t axis = strides.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * info.shape[axis];
    for (const std::size_t axis : info.axes) dimensions_.push_back({info.shape[axis], strides[axis]});
    in_order_ = std::is_sorted(info.axes.begin(), info.axes.end());
  }

  void operator()(std::span<const T> values) {
    if (in_order_) {
      to_ = std::copy(values.begin(), values.end(), to_);
      return;
    }
    for (const T value : values) {
      to_[offset_] = value;
      for (std::size_t i = dimensions_.size(); i-- > 0;) {
        Dimension& along = dimensions_[i];
        offset_ += along.stride;
        if (++along.at < along.extent) break;
        offset_ -= along.extent * along.stride;
        along.at = 0;
      }
    }
  }

 private:
  struct Dimension {
    std::uint64_t extent;
    std::uint64_t stride;
    std::uint64_t at = 0;
  };
  T* to_;
  std::vector<Dimension> dimensions_;  // the slowest first
  std::uint64_t offset_ = 0;
  bool in_order_;
};

template <class Arrays>
class ArrayDataset {
 public:
  ArrayDataset(const std::string& path, std::int64_t classes) : arrays_(path), told_(classes) {}

  SampleShape shape() {
    const ArrayInfo images = image_info("");
    if (regression("")) return {shape_of(images), static_cast<int>(target_info("", images).shape[1])};
    return {shape_of(images), classes_of(read_labels("", images))};
  }

  Dataset load() {
    Dataset dataset;
    dataset.name = Arrays::kind;
    ImageSet& train = dataset.train;
    const ArrayInfo images = image_info("");
    warn_of_last_channels(images, dataset);
    train.shape = shape_of(images);
    read_answers("", images, train, dataset);
    if (!regression("")) train.classes = classes_of(train.labels);
    const bool has_test = read_test(images, dataset);
    read_images("", images, train, dataset);  // last: they take the memory
    dataset.read = describe_files(train.size(), arrays_.files(2), dataset.test.size(), has_test ? arrays_.files(2) : 0);
    dataset.read +=
        regression("") ? fmt::format("; {} numbers to fit for each", train.classes) : describe_classes(train.classes);
    return dataset;
  }

 private:
  template <class Values>
  static std::string list(const Values& values) {
    return fmt::format("[{}]", fmt::join(values, ", "));
  }

  [[noreturn]] void refuse(const std::string& name, const std::string& what, const std::string& hint) const {
    throw Error(arrays_.place(name), what, hint);
  }

  void require(const std::string& name, const char* hint) const {
    if (!arrays_.has(name)) refuse(name, arrays_.missing(name), hint);
  }

  int classes_of(const std::vector<std::int32_t>& labels) const {
    return count_classes(labels, told_, 1, arrays_.place("labels"));
  }

  /// Whether there are targets in place of labels.
  bool regression(const std::string& set) const {
    const std::string labels = set + "labels", targets = set + "targets";
    const bool has_targets = arrays_.has(targets);
    if (has_targets && arrays_.has(labels))
      refuse(targets, fmt::format("there are {} and {}", labels, targets), "leave one of them out");
    if (!has_targets) require(labels, "labels [N] of whole numbers, or targets [N, K] for regression");
    if (has_targets && told_ > 0)
      refuse(targets, "data.classes does not go with targets", "leave it out: K counts the numbers to fit");
    return has_targets;
  }

  ArrayInfo image_info(const std::string& set) const {
    const std::string name = set + "images";
    require(name, kShapes);
    ArrayInfo info = arrays_.info(name);
    if (info.shape.size() != 4)
      refuse(name, fmt::format("{} are {}, and [N, C, H, W] is wanted", name, list(info.stored)),
             "reshape them; images of one channel are [N, 1, H, W]");
    if (info.element == Element::int64)
      refuse(name, fmt::format("{} are whole numbers, but not uint8", name),
             "astype(np.uint8) for 0 to 255, or astype(np.float32)");
    if (std::count(info.shape.begin(), info.shape.end(), 0) > 0)
      refuse(name, fmt::format("{} are {}: there is nothing in them", name, list(info.stored)), "");
    if (info.shape[0] > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()))
      refuse(name, fmt::format("{} are {}: more than 2^31 - 1", name, info.shape[0]), "");
    return info;
  }

  static FeatureShape shape_of(const ArrayInfo& info) {
    return {static_cast<Index>(info.shape[2]), static_cast<Index>(info.shape[3]), static_cast<Index>(info.shape[1])};
  }

  std::vector<std::int32_t> read_labels(const std::string& set, const ArrayInfo& images) const {
    const std::string name = set + "labels";
    const ArrayInfo info = arrays_.info(name);
    if (info.element == Element::float32 || info.element == Element::float64)
      refuse(name,
             fmt::format("{} are {}, and whole numbers are wanted", name,
                         info.element == Element::float32 ? "float32" : "float64"),
             "astype(np.int64); numbers to fit are called targets");
    if (info.shape.size() != 1)
      refuse(name, fmt::format("{} are {}, and [N] is wanted", name, list(info.stored)),
             "of one-hot labels np.argmax(labels, axis=1)");
    require_count(name, info, images);
    std::vector<std::int32_t> labels;
    labels.reserve(info.shape[0]);
    arrays_.template read<std::int64_t>(name, [&](std::span<const std::int64_t> values) {
      for (const std::int64_t value : values) {
        if (value < 0 || value > std::numeric_limits<std::int32_t>::max())
          refuse(name, fmt::format("label {} is {}", labels.size(), value), "number the classes from 0");
        labels.push_back(static_cast<std::int32_t>(value));
      }
    });
    return labels;
  }

  void require_count(const std::string& name, const ArrayInfo& info, const ArrayInfo& images) const {
    if (info.shape[0] != images.shape[0])
      refuse(name, fmt::format("has {} {} for {} images", info.shape[0], name, images.shape[0]),
             "one for each image, in the same order");
  }

  ArrayInfo target_info(const std::string& set, const ArrayInfo& images) const {
    const std::string name = set + "targets";
    ArrayInfo info = arrays_.info(name);
    if (info.shape.size() != 2 || info.shape[1] == 0 || info.shape[1] > 1000000)
      refuse(name, fmt::format("{} are {}, and [N, K] is wanted", name, list(info.stored)),
             "one number for each image is [N, 1]");
    require_count(name, info, images);
    return info;
  }

  /// Labels, or targets and labels 0; of targets also how many.
  void read_answers(const std::string& set, const ArrayInfo& images, ImageSet& into, Dataset& dataset) const {
    if (!regression(set)) {
      into.labels = read_labels(set, images);
      return;
    }
    const std::string name = set + "targets";
    const ArrayInfo info = target_info(set, images);
    into.classes = static_cast<int>(info.shape[1]);
    into.labels.assign(info.shape[0], 0);
    into.targets.resize(info.shape[0] * info.shape[1]);
    Placer<double> placer(info, into.targets.data());
    arrays_.template read<double>(name, [&](std::span<const double> values) { placer(values); });
    warn_of_nan(name, into.targets, "numbers", dataset);
  }

  void read_images(const std::string& set, const ArrayInfo& info, ImageSet& into, Dataset& dataset) const {
    const auto read = [&]<class T>(std::vector<T>& pixels) {
      pixels.resize(info.shape[0] * info.shape[1] * info.shape[2] * info.shape[3]);
      Placer<T> placer(info, pixels.data());
      arrays_.template read<T>(set + "images", [&](std::span<const T> values) { placer(values); });
      if constexpr (std::is_floating_point_v<T>) warn_of_nan(set + "images", pixels, "pixels", dataset);
    };
    if (info.element == Element::float32)
      read(into.pixels.emplace<std::vector<float>>());
    else if (info.element == Element::float64)
      read(into.pixels.emplace<std::vector<double>>());
    else
      read(into.bytes());
  }

  /// The test set, if there is one, of the same kind as the training set.
  bool read_test(const ArrayInfo& train_images, Dataset& dataset) const {
    ImageSet& test = dataset.test;
    test.shape = dataset.train.shape;
    test.classes = dataset.train.classes;
    if (!arrays_.has("test_images")) {
      for (const char* name : {"test_labels", "test_targets"})
        if (arrays_.has(name))
          refuse(name, fmt::format("there are {} without test_images", name), "leave them out, or add the images");
      return false;
    }
    const ArrayInfo images = image_info("test_");
    if (!(shape_of(images) == test.shape) || images.element != train_images.element)
      refuse("test_images",
             fmt::format("test_images are {} of {}, and images {} of {}", list(images.stored),
                         h5::element_name(images.element), list(train_images.stored),
                         h5::element_name(train_images.element)),
             "one kind and one size for all images");
    if (regression("test_") != regression(""))
      refuse("test_images", "of training and test images one set has labels and the other targets", "");
    read_answers("test_", images, test, dataset);
    if (regression("test_") && test.classes != dataset.train.classes)
      refuse("test_targets",
             fmt::format("test_targets have {} numbers each, and targets {}", test.classes, dataset.train.classes), "");
    if (!regression("test_")) require_labels(test.labels, test.classes, arrays_.place("test_labels"));
    read_images("test_", images, test, dataset);
    return true;
  }

  template <class T>
  void warn_of_nan(const std::string& name, const std::vector<T>& values, const char* what, Dataset& dataset) const {
    const auto count = std::count_if(values.begin(), values.end(), [](T value) { return std::isnan(value); });
    if (count > 0)
      dataset.warnings.push_back(fmt::format("{}: {} of the {} {} in {} {} NaN", arrays_.place(name), count,
                                             values.size(), what, name, count == 1 ? "is" : "are"));
  }

  void warn_of_last_channels(const ArrayInfo& images, Dataset& dataset) const {
    if (images.axes.back() == 1 || images.shape[3] > 4 || images.shape[1] <= 4) return;
    dataset.warnings.push_back(
        fmt::format("{}: images are {}, read as {} channels of {}×{} pixels\n  hint: if the last "
                    "extent counts channels, {}",
                    arrays_.place("images"), list(images.stored), images.shape[1], images.shape[2], images.shape[3],
                    Arrays::last_channels_hint));
  }

  Arrays arrays_;
  std::int64_t told_;  // classes; 0: read off the labels
};

}  // namespace

Dataset load_hdf5(const std::string& path, std::int64_t classes) {
  return ArrayDataset<Hdf5Arrays>(path, classes).load();
}

Dataset load_npy(const std::string& folder, std::int64_t classes) {
  return ArrayDataset<NpyArrays>(folder, classes).load();
}

SampleShape read_hdf5_shape(const std::string& path, std::int64_t classes) {
  return ArrayDataset<Hdf5Arrays>(path, classes).shape();
}

SampleShape read_npy_shape(const std::string& folder, std::int64_t classes) {
  return ArrayDataset<NpyArrays>(folder, classes).shape();
}

}  // namespace gradscape
