#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/data/dataset.hpp"

namespace gradscape {
namespace {

/// Sets (or with nullptr unsets) an environment variable for a scope.
class WithVariable {
 public:
  WithVariable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~WithVariable() { set(before_ ? before_->c_str() : nullptr); }
  WithVariable(const WithVariable&) = delete;
  WithVariable& operator=(const WithVariable&) = delete;

 private:
  void set(const char* value) {
    if (value != nullptr)
      setenv(name_, value, 1);
    else
      unsetenv(name_);
  }

  const char* name_;
  std::optional<std::string> before_;
};

template <class Thrown>
std::string message_of(const DataOptions& options) {
  try {
    load_dataset(options);
  } catch (const Thrown& error) {
    return error.what();
  }
  ADD_FAILURE() << "no error of the expected type";
  return "";
}

/// Four images of two channels of 1×3 pixels.
ImageSet small_set() {
  ImageSet set;
  set.shape = {1, 3, 2};
  set.classes = 5;
  for (std::uint8_t i = 0; i < 24; ++i) set.bytes().push_back(static_cast<std::uint8_t>(10 * i));
  set.labels = {4, 0, 2, 0};
  return set;
}

// Of cifar10 and idx: in their own tests.
TEST(Dataset, TheShapeIsKnownBeforeItIsMade) {
  DataOptions options;
  options.synthetic_train = 20;
  options.linear_size = 7;
  for (const char* source : {"synthetic", "linear"}) {
    options.source = source;
    const Dataset made = load_dataset(options);
    const SampleShape known = sample_shape(options);
    EXPECT_EQ(known.shape, made.train.shape) << source;
    EXPECT_EQ(known.classes, made.train.classes) << source;
  }
  options.source = "cifar10";  // whose folder is not named
  EXPECT_EQ(sample_shape(options).shape, (FeatureShape{32, 32, 3}));
  EXPECT_EQ(sample_shape(options).classes, 10);
}

TEST(ImageSet, TruncateKeepsTheFirstImages) {
  ImageSet set = small_set();
  set.truncate(0);
  EXPECT_EQ(set.size(), 4);
  set.truncate(5);
  EXPECT_EQ(set.size(), 4);
  set.truncate(2);
  EXPECT_EQ(set.labels, (std::vector<std::int32_t>{4, 0}));
  EXPECT_EQ(set.bytes(), (std::vector<std::uint8_t>{0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110}));
}

TEST(ImageSet, FingerprintSeesEveryPart) {
  std::vector<ImageSet> sets(9, small_set());
  sets[1].bytes()[23] ^= 1;
  sets[2].labels[3] = 1;
  sets[3].classes = 6;
  sets[4].shape = {3, 1, 2};
  sets[5].shape = {1, 2, 3};
  sets[6].truncate(3);
  // The same bytes one after the other, cut at another place.
  sets[7].bytes().insert(sets[7].bytes().end(), sets[7].labels.begin(), sets[7].labels.begin() + 1);
  sets[7].labels.erase(sets[7].labels.begin());
  std::swap(sets[8].labels[0], sets[8].labels[1]);
  std::set<std::string> seen;
  for (const ImageSet& set : sets) seen.insert(set.fingerprint());
  EXPECT_EQ(seen.size(), sets.size());
  EXPECT_EQ(small_set().fingerprint(), small_set().fingerprint());
}

// The hash as it was when every label was a byte: shape, classes, count, then pixels and labels as bytes.
TEST(ImageSet, FingerprintOfBytesIsThatOfOlderPrograms) {
  const ImageSet set = small_set();
  Fingerprint hash;
  for (const std::uint64_t number : {1, 3, 2, 5, 4}) hash.add(number);
  hash.add(set.bytes().data(), 24);
  const std::vector<std::uint8_t> labels = {4, 0, 2, 0};
  hash.add(labels.data(), labels.size());
  EXPECT_EQ(set.fingerprint(), hash.hex());
}

TEST(ImageSet, FingerprintTellsNumbersOfAnyKindApart) {
  std::vector<ImageSet> sets(5, small_set());
  sets[1].pixels = std::vector<float>(24, 1);
  sets[2].pixels = std::vector<double>(24, 1);
  sets[3].classes = 300;
  sets[4].classes = 300;
  sets[4].labels[0] += 256;  // the same in its lowest byte
  std::set<std::string> seen;
  for (const ImageSet& set : sets) seen.insert(set.fingerprint());
  EXPECT_EQ(seen.size(), sets.size());
}

TEST(Classes, AreReadOffTheLabelsOrTold) {
  EXPECT_EQ(count_classes({0, 6, 2}, 0, 1, "f"), 7);
  EXPECT_EQ(count_classes({0, 6, 2}, 0, 10, "f"), 10);
  EXPECT_EQ(count_classes({0, 6, 2}, 8, 10, "f"), 8);
  EXPECT_THROW(count_classes({0, 6, 2}, 6, 1, "f"), Error);
  EXPECT_THROW(count_classes({0, -1}, 0, 1, "f"), Error);
  EXPECT_THROW(count_classes({0, 65536}, 0, 1, "f"), Error) << "too many to be meant";
  EXPECT_EQ(count_classes({0, 65536}, 70000, 1, "f"), 70000);
}

/// Two images of two channels of 1×2 numbers: 1, 3 and 2, NaN; 10, 10 and 10, 10.
ImageSet number_set() {
  ImageSet set{{1, 2, 2}, 2, {}, {0, 1}};
  set.pixels = std::vector<float>{1, 3, 10, 10, 2, std::nanf(""), 10, 10};
  return set;
}

TEST(Standardisation, OfNumbersLeavesNanOut) {
  const Standardisation channel = make_standardisation("channel", number_set());
  EXPECT_EQ(channel.mean, (std::vector<double>{2, 10}));
  EXPECT_EQ(channel.deviation, (std::vector<double>{std::sqrt(2.0 / 3.0), 1}));
  const Standardisation none = make_standardisation("none", number_set());
  EXPECT_EQ(none.mean, (std::vector<double>{0, 0}));
  EXPECT_EQ(none.deviation, (std::vector<double>{1, 1}));
  EXPECT_THROW(make_standardisation("half", number_set()), UsageError);
  ImageSet as_given = number_set();
  as_given.as_given = true;
  for (const char* kind : {"half", "channel", "none"})
    EXPECT_EQ(make_standardisation(kind, as_given).deviation, (std::vector<double>{1, 1})) << kind;
}

TEST(Standardisation, HalfAndNoneAreConstants) {
  const Standardisation half = make_standardisation("half", small_set());
  EXPECT_EQ(half.mean, (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(half.deviation, (std::vector<double>{0.5, 0.5}));
  const Standardisation none = make_standardisation("none", small_set());
  EXPECT_EQ(none.mean, (std::vector<double>{0, 0}));
  EXPECT_EQ(none.deviation, (std::vector<double>{1, 1}));
}

// By hand. Channel 0 holds the bytes 0, 51, 102, 153, that is 0, 0.2, 0.4, 0.6: mean 0.3, variance
// (0.09 + 0.01 + 0.01 + 0.09)/4 = 0.05. Channel 1 is constant: its deviation of 0 counts as 1.
TEST(Standardisation, ChannelIsMeanAndPopulationDeviation) {
  ImageSet set;
  set.shape = {1, 2, 2};
  set.classes = 2;
  set.bytes() = {0, 51, 255, 255, 102, 153, 255, 255};
  set.labels = {0, 1};
  const Standardisation own = make_standardisation("channel", set);
  ASSERT_EQ(own.mean.size(), 2u);
  ASSERT_EQ(own.deviation.size(), 2u);
  EXPECT_NEAR(own.mean[0], 0.3, 1e-15);
  EXPECT_NEAR(own.deviation[0], std::sqrt(0.05), 1e-15);
  EXPECT_EQ(own.mean[1], 1.0);
  EXPECT_EQ(own.deviation[1], 1.0);
}

TEST(LoadDataset, NamesItsSources) {
  EXPECT_EQ(data_source_names(),
            (std::vector<std::string>{"cifar10", "cifar100", "idx", "hdf5", "npy", "synthetic", "linear"}));
}

TEST(LoadDataset, AppliesTheLimits) {
  DataOptions options;
  options.synthetic_train = 30;
  options.synthetic_test = 20;
  const Dataset whole = load_dataset(options);
  EXPECT_EQ(whole.name, "synthetic");
  EXPECT_EQ(whole.train.size(), 30);
  EXPECT_EQ(whole.test.size(), 20);

  options.train_limit = 12;
  options.test_limit = 7;
  const Dataset part = load_dataset(options);
  EXPECT_EQ(part.train.labels, std::vector<std::int32_t>(whole.train.labels.begin(), whole.train.labels.begin() + 12));
  EXPECT_EQ(part.train.bytes(),
            std::vector<std::uint8_t>(whole.train.bytes().begin(), whole.train.bytes().begin() + 12 * 3072));
  EXPECT_EQ(part.test.size(), 7);

  options.synthetic_seed = 2;
  EXPECT_NE(load_dataset(options).train.pixels, part.train.pixels);
}

TEST(LoadDataset, WithoutAPathItSaysWhereToGiveOne) {
  DataOptions options;
  options.source = "idx";
  EXPECT_NE(message_of<UsageError>(options).find("data.path"), std::string::npos);

  options.source = "cifar10";
  for (const char* value : {static_cast<const char*>(nullptr), ""}) {
    const WithVariable scope("GRADSCAPE_CIFAR10", value);
    const std::string text = message_of<UsageError>(options);
    EXPECT_NE(text.find("data.path"), std::string::npos) << text;
    EXPECT_NE(text.find("GRADSCAPE_CIFAR10"), std::string::npos) << text;
    EXPECT_NE(text.find("data_batch_1.bin"), std::string::npos) << text;
  }
}

TEST(LoadDataset, ThePathGoesBeforeTheEnvironment) {
  const WithVariable scope("GRADSCAPE_CIFAR10", "/no/folder/of/the/environment");
  DataOptions options;
  options.source = "cifar10";
  EXPECT_NE(message_of<Error>(options).find("/no/folder/of/the/environment"), std::string::npos);
  options.path = "/no/folder/of/the/option";
  EXPECT_NE(message_of<Error>(options).find("/no/folder/of/the/option"), std::string::npos);
}

}  // namespace
}  // namespace gradscape
