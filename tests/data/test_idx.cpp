#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gradscape/core/error.hpp"
#include "gradscape/data/idx.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

using Bytes = std::vector<std::uint8_t>;
using Labels = std::vector<std::int32_t>;

const std::string kTrainImages = "train-images-idx3-ubyte";
const std::string kTrainLabels = "train-labels-idx1-ubyte";
const std::string kTestImages = "t10k-images-idx3-ubyte";
const std::string kTestLabels = "t10k-labels-idx1-ubyte";

// Three images of 2 rows and 3 columns; every number of a header is four bytes, the highest first.
const Bytes kImages = {0, 0, 8,  3,  0,  0,  0, 3, 0, 0, 0, 2, 0, 0, 0, 3,  //
                       1, 2, 3,  4,  5,  6,                                 //
                       7, 8, 9,  10, 11, 12,                                //
                       0, 0, 99, 0,  0,  255};
const Bytes kLabels = {0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 9};

/// A folder that lives as long as the test.
class Idx : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/gradscape-idx-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const Bytes& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  void write_gz(const std::string& name, const Bytes& bytes) const {
    const gzFile file = gzopen((folder_ / name).c_str(), "wb");
    ASSERT_NE(file, nullptr);
    ASSERT_EQ(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
    ASSERT_EQ(gzclose(file), Z_OK);
  }

  void write_training_pair() const {
    write(kTrainImages, kImages);
    write(kTrainLabels, kLabels);
  }

  Dataset load(int classes = 0) const { return load_idx(folder_.string(), classes); }

  void expect_error(const std::vector<std::string>& parts, int classes = 0) const {
    try {
      load(classes);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::failure);
      const std::string text = error.what();
      for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
      return;
    }
    ADD_FAILURE() << "no error";
  }

  fs::path folder_;
};

Bytes cut(Bytes bytes, std::size_t size) {
  bytes.resize(size);
  return bytes;
}

Bytes with(Bytes bytes, std::size_t position, std::uint8_t value) {
  bytes.at(position) = value;
  return bytes;
}

TEST_F(Idx, ReadsPlainFiles) {
  write_training_pair();
  write(kTestImages, {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 21, 22, 23, 24, 25, 26});
  write(kTestLabels, {0, 0, 8, 1, 0, 0, 0, 1, 4});
  const Dataset data = load();
  EXPECT_EQ(data.train.shape, (FeatureShape{2, 3, 1}));
  EXPECT_EQ(data.train.bytes(), Bytes(kImages.begin() + 16, kImages.end()));
  EXPECT_EQ(data.train.labels, (Labels{5, 0, 9}));
  EXPECT_EQ(data.train.classes, 10);
  EXPECT_EQ(data.test.shape, (FeatureShape{2, 3, 1}));
  EXPECT_EQ(data.test.bytes(), (Bytes{21, 22, 23, 24, 25, 26}));
  EXPECT_EQ(data.test.labels, Labels{4});
  EXPECT_EQ(data.test.classes, 10);
}

TEST_F(Idx, TheHeaderAloneTellsTheShape) {
  const auto shape = [&] { return read_idx_shape(folder_.string(), 0); };
  EXPECT_THROW(shape(), Error) << "no images";
  write(kTrainImages, kImages);
  EXPECT_THROW(shape(), Error) << "no labels, which tell the number of classes";
  write(kTrainLabels, kLabels);
  EXPECT_EQ(shape().shape, (FeatureShape{2, 3, 1}));
  EXPECT_EQ(shape().classes, 10);
  write(kTrainImages, cut(kImages, 33));
  EXPECT_THROW(shape(), Error) << "the file is shorter than its header says";
  write(kTrainImages, with(kImages, 3, 1));
  EXPECT_THROW(shape(), Error) << "another magic number";
  write(kTrainImages, with(cut(kImages, 16), 7, 0));
  EXPECT_THROW(shape(), Error) << "no image";
  fs::remove(folder_ / kTrainImages);
  write_gz(kTrainImages + ".gz", kImages);
  EXPECT_EQ(shape().shape, (FeatureShape{2, 3, 1}));
}

TEST_F(Idx, LabelsTellTheNumberOfClassesUnlessItIsTold) {
  write_training_pair();
  const Bytes to_61 = {0, 0, 8, 1, 0, 0, 0, 3, 5, 61, 9};  // as EMNIST's 62 classes
  EXPECT_EQ(load(12).train.classes, 12);
  write(kTrainLabels, to_61);
  EXPECT_EQ(load().train.classes, 62);
  EXPECT_EQ(load().test.classes, 62);
  EXPECT_EQ(load().train.labels, (Labels{5, 61, 9}));
  EXPECT_EQ(read_idx_shape(folder_.string(), 0).classes, 62);
  write(kTestImages, kImages);
  write(kTestLabels, with(to_61, 9, 62));
  expect_error({kTestLabels, "label 1 is 62", "0 to 61", "data.classes"});
  EXPECT_EQ(load(63).test.classes, 63);
}

TEST_F(Idx, ReadsCompressedFilesToTheSameBytes) {
  write_training_pair();
  const Dataset plain = load();
  fs::remove(folder_ / kTrainImages);
  fs::remove(folder_ / kTrainLabels);
  write_gz(kTrainImages + ".gz", kImages);
  write_gz(kTrainLabels + ".gz", kLabels);
  EXPECT_EQ(load().train.pixels, plain.train.pixels);
  EXPECT_EQ(load().train.labels, plain.train.labels);
}

TEST_F(Idx, PrefersThePlainFile) {
  write_training_pair();
  write_gz(kTrainLabels + ".gz", with(kLabels, 8, 1));
  EXPECT_EQ(load().train.labels, (Labels{5, 0, 9}));
}

TEST_F(Idx, WithoutATestPairTheTestSetIsEmpty) {
  write_training_pair();
  const Dataset data = load();
  EXPECT_EQ(data.test.size(), 0);
  EXPECT_EQ(data.test.shape, data.train.shape);
  EXPECT_EQ(data.test.classes, 10);
}

TEST_F(Idx, ALabelThatIsNoClassIsNamedWithItsPlace) {
  write_training_pair();
  write(kTrainLabels, with(kLabels, 9, 46));  // behind the header of 8 bytes: label 1
  expect_error({kTrainLabels, "label 1 is 46", "0 to 9", "data.classes"}, 10);
}

TEST_F(Idx, MissingFilesAreNamed) {
  expect_error({folder_.string(), kTrainImages, "data.path"});
  write(kTrainImages, kImages);
  expect_error({kTrainImages, "no " + kTrainLabels});
  write(kTrainLabels, kLabels);
  write(kTestImages, kImages);
  expect_error({kTestImages, "no " + kTestLabels});
  fs::remove(folder_ / kTestImages);
  write(kTestLabels, kLabels);
  expect_error({kTestLabels, "no " + kTestImages});
  folder_ /= "elsewhere";
  expect_error({folder_.string(), "does not exist"});
}

TEST_F(Idx, WrongMagicNumbersAreNamed) {
  write_training_pair();
  write(kTrainImages, with(kImages, 3, 1));
  expect_error({kTrainImages, "expected magic number 0x00000803", "found 0x00000801"});
  write(kTrainImages, kImages);
  write(kTrainLabels, with(kLabels, 2, 0x0d));
  expect_error({kTrainLabels, "expected magic number 0x00000801", "found 0x00000d01"});
}

TEST_F(Idx, SizesThatDoNotFitTheHeaderAreNamed) {
  write_training_pair();
  write(kTrainImages, cut(kImages, 30));  // 16 + 3·2·3 = 34
  expect_error({kTrainImages, "expected 34 bytes", "found 30 bytes"});
  write(kTrainImages, cut(kImages, 35));
  expect_error({kTrainImages, "expected 34 bytes", "found 35 bytes"});
  write(kTrainImages, cut(kImages, 9));
  expect_error({kTrainImages, "header of 16 bytes", "found 9 bytes"});
  write(kTrainImages, {});
  expect_error({kTrainImages, "header of 16 bytes", "found 0 bytes"});
  write(kTrainImages, kImages);
  write(kTrainLabels, cut(kLabels, 10));  // 8 + 3 = 11
  expect_error({kTrainLabels, "expected 11 bytes", "found 10 bytes"});
}

TEST_F(Idx, ATruncatedCompressedFileIsNamedWithBothSizes) {
  // Half of the compressed bytes of 4096 images of 2×3 hardly compressible pixels; the header says how much there was.
  Bytes images = {0, 0, 8, 3, 0, 0, 16, 0, 0, 0, 0, 2, 0, 0, 0, 3};
  std::uint32_t state = 1;
  for (int i = 0; i < 4096 * 6; ++i)
    images.push_back(static_cast<std::uint8_t>((state = state * 1664525u + 1013904223u) >> 24));
  write(kTrainLabels, kLabels);
  write_gz(kTrainImages + ".gz", images);
  const fs::path path = folder_ / (kTrainImages + ".gz");
  fs::resize_file(path, fs::file_size(path) / 2);
  expect_error({path.string(), "expected 24592 bytes", "found ", "unexpected end of file"});
}

// zlib holds back what it unpacked of a file this short once the checksum is wrong, so there is no size to compare.
TEST_F(Idx, ADamagedCompressedFileIsAnError) {
  write(kTrainLabels, kLabels);
  write_gz(kTrainImages + ".gz", kImages);
  const fs::path path = folder_ / (kTrainImages + ".gz");
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(-8, std::ios::end);  // the first byte of the checksum (RFC 1952)
  const int byte = file.peek();
  file.put(static_cast<char>(byte ^ 1));
  file.close();
  expect_error({path.string(), "damaged", "incorrect data check"});
}

TEST_F(Idx, APackedFileIsReadNoFurtherThanItAnnounces) {
  write(kTrainLabels, kLabels);
  Bytes images = kImages;
  images.resize(images.size() + 100'000'000);  // zeros: packed, a thousandth
  write_gz(kTrainImages + ".gz", images);
  expect_error({kTrainImages, "expected 34 bytes", "found more than 34 bytes"});
}

TEST_F(Idx, APackedFileMayAnnounceSixtyFourTimesItsSize) {
  // 20 million images of one pixel, all zero: packed, some 20 kB.
  Bytes images = {0, 0, 8, 3, 1, 49, 45, 0, 0, 0, 0, 1, 0, 0, 0, 1};
  images.resize(images.size() + 20'000'000);
  write_gz(kTrainImages + ".gz", images);
  write(kTrainLabels, kLabels);
  expect_error({kTrainImages, "announces 20000000 bytes, more than 64 times", "gunzip"});
  write(kTrainImages, images);  // unpacked, it is taken at its word
  expect_error({"3 labels for the 20000000 images"});
  // 10 million are few enough for any file.
  images = {0, 0, 8, 3, 0, 152, 150, 128, 0, 0, 0, 1, 0, 0, 0, 1};
  images.resize(images.size() + 10'000'000);
  fs::remove(folder_ / kTrainImages);
  write_gz(kTrainImages + ".gz", images);
  expect_error({"3 labels for the 10000000 images"});
}

TEST_F(Idx, ExtentsWhoseProductWrapsAreAnError) {
  // 2^20 · 2^22 · 2^22 = 2^64, which is 0 in 64 bits: as many bytes as follow this header.
  write(kTrainImages, {0, 0, 8, 3, 0, 16, 0, 0, 0, 64, 0, 0, 0, 64, 0, 0});
  write(kTrainLabels, kLabels);
  expect_error({kTrainImages, "damaged"});
}

TEST_F(Idx, CountsThatDifferAreNamed) {
  write_training_pair();
  write(kTrainLabels, {0, 0, 8, 1, 0, 0, 0, 2, 5, 0});
  expect_error({kTrainLabels, "2 labels", "3 images"});
}

TEST_F(Idx, TestImagesOfAnotherSizeAreAnError) {
  write_training_pair();
  write(kTestImages, {0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6});
  write(kTestLabels, {0, 0, 8, 1, 0, 0, 0, 1, 4});
  expect_error({folder_.string(), "2×3", "3×2"});
}

TEST_F(Idx, NoTrainingImagesAreAnError) {
  write(kTrainImages, {0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3});
  write(kTrainLabels, {0, 0, 8, 1, 0, 0, 0, 0});
  expect_error({folder_.string(), "no training images"});
}

}  // namespace
}  // namespace gradscape
