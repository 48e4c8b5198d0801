#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gradscape/core/error.hpp"
#include "gradscape/data/cifar.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

using Bytes = std::vector<std::uint8_t>;
using Labels = std::vector<std::int32_t>;

/// A folder that lives as long as the test.
class Cifar : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "/gradscape-cifar-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const std::string& name, const Bytes& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  std::string message() const {
    try {
      load_cifar10(folder_.string());
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), ExitCode::failure);
      return error.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }

  fs::path folder_;
};

/// A record: the label, then planes whose byte at (channel, y, x) is start + 100·channel + 3·y + x, modulo 256.
Bytes record(std::uint8_t label, int start) {
  Bytes bytes{label};
  for (int channel = 0; channel < 3; ++channel)
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x) bytes.push_back(static_cast<std::uint8_t>(start + 100 * channel + 3 * y + x));
  return bytes;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

void expect_parts(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
}

TEST_F(Cifar, ReadsWhicheverFilesThereAreInTheirOrder) {
  write("data_batch_4.bin", record(9, 40));
  write("data_batch_2.bin", record(3, 20) + record(0, 21));
  write("test_batch.bin", record(7, 70));
  const Dataset data = load_cifar10(folder_.string());
  EXPECT_EQ(data.name, "CIFAR-10");
  EXPECT_EQ(data.train.shape, (FeatureShape{32, 32, 3}));
  EXPECT_EQ(data.train.classes, 10);
  EXPECT_EQ(data.train.labels, (Labels{3, 0, 9}));
  EXPECT_EQ(data.test.labels, Labels{7});
  ASSERT_EQ(data.train.bytes().size(), 3u * 3072u);
  ASSERT_EQ(data.test.bytes().size(), 3072u);
  // Image 1 (start 21), channel 2, row 5, column 6: 21 + 200 + 15 + 6 = 242. Image 2 (start 40), channel 1, row 0,
  // column 31.
  EXPECT_EQ(data.train.bytes()[1 * 3072 + 2 * 1024 + 5 * 32 + 6], 242);
  EXPECT_EQ(data.train.bytes()[2 * 3072 + 1 * 1024 + 31], 171);
  EXPECT_EQ(data.test.bytes()[0], 70);
}

TEST_F(Cifar, SaysHowManyImagesCameFromHowManyFiles) {
  write("data_batch_4.bin", record(9, 40));
  EXPECT_EQ(load_cifar10(folder_.string()).read, "1 training image in 1 file, no test images");
  write("data_batch_2.bin", record(3, 20) + record(0, 21));
  write("test_batch.bin", record(7, 70));
  EXPECT_EQ(load_cifar10(folder_.string()).read, "3 training images in 2 files, 1 test image in 1 file");
}

TEST_F(Cifar, AnEntryThatCannotBeReadIsNoMissingOne) {
  write("data_batch_1.bin", record(1, 0));
  for (const std::string name : {"data_batch_3.bin", "test_batch.bin"}) {
    for (const std::string target : {"/nowhere/file", name.c_str()}) {
      fs::create_symlink(target, folder_ / name);
      expect_parts(message(), {name, "cannot be read", "it is a link"});
      fs::remove(folder_ / name);
    }
    ASSERT_EQ(mkfifo((folder_ / name).c_str(), 0600), 0);
    expect_parts(message(), {name, "cannot be read", "it is a pipe"});
    fs::remove(folder_ / name);
  }
}

TEST_F(Cifar, WithoutATestFileTheTestSetIsEmpty) {
  write("data_batch_1.bin", record(1, 0));
  const Dataset data = load_cifar10(folder_.string());
  EXPECT_EQ(data.test.size(), 0);
  EXPECT_EQ(data.test.shape, (FeatureShape{32, 32, 3}));
  EXPECT_EQ(data.test.classes, 10);
}

TEST_F(Cifar, AnEmptyFolderSaysWhatWasLookedFor) {
  write("test_batch.bin", record(1, 0));
  expect_parts(message(), {folder_.string(), "data_batch_1.bin", "data_batch_5.bin", "data.path", "GRADSCAPE_CIFAR10"});
}

TEST_F(Cifar, AMissingFolderIsNamed) {
  folder_ /= "elsewhere";
  expect_parts(message(), {folder_.string(), "does not exist", "data.path", "GRADSCAPE_CIFAR10", "data_batch_1.bin"});
}

TEST_F(Cifar, ATruncatedFileIsNamedWithItsSize) {
  write("data_batch_1.bin", record(1, 0));
  Bytes cut = record(1, 0) + record(2, 0);
  cut.resize(6000);
  write("data_batch_3.bin", cut);
  expect_parts(message(), {"data_batch_3.bin", "multiple of 3073 bytes", "found 6000 bytes"});
}

TEST_F(Cifar, AnEmptyFileIsAnError) {
  write("data_batch_1.bin", {});
  expect_parts(message(), {"data_batch_1.bin", "multiple of 3073 bytes", "found 0 bytes"});
}

TEST_F(Cifar, ATruncatedTestFileIsAnError) {
  write("data_batch_1.bin", record(1, 0));
  write("test_batch.bin", Bytes(3074, 0));
  expect_parts(message(), {"test_batch.bin", "multiple of 3073 bytes", "found 3074 bytes"});
}

TEST_F(Cifar, ALabelOutOfRangeIsNamedWithItsRecord) {
  write("data_batch_5.bin", record(9, 0) + record(0, 0) + record(10, 0));
  expect_parts(message(), {"data_batch_5.bin", "record 2", "label 10", "0 to 9"});
}

TEST_F(Cifar, AFolderInPlaceOfAFileIsAnError) {
  fs::create_directory(folder_ / "data_batch_1.bin");
  expect_parts(message(), {"data_batch_1.bin", "cannot be read"});
}

TEST(CifarFiles, TheWholeSetIsBalanced) {
  const char* folder = std::getenv("GRADSCAPE_CIFAR10");
  if (folder == nullptr || *folder == '\0') GTEST_SKIP() << "GRADSCAPE_CIFAR10 is not set";
  const Dataset data = load_cifar10(folder);
  EXPECT_EQ(data.train.size(), 50000);
  EXPECT_EQ(data.test.size(), 10000);
  EXPECT_EQ(data.train.bytes().size(), 50000u * 3072u);
  for (const auto& [set, each] : {std::pair{&data.train, 5000}, std::pair{&data.test, 1000}}) {
    std::vector<int> count(10);
    for (const std::int32_t label : set->labels) ++count.at(static_cast<std::size_t>(label));
    EXPECT_EQ(count, std::vector<int>(10, each));
  }
}

}  // namespace
}  // namespace gradscape
