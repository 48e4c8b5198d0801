#include <gtest/gtest.h>

#include "gradscape/file/npy.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

class Npy : public ::testing::Test {
 protected:
  std::string path() const { return directory_ / "a.npy"; }

  /// As np.save writes version 1.0 and, with a length of four bytes, the later ones.
  void write(const std::string& dictionary, const std::string& values, char version = 1) const {
    std::string length = {static_cast<char>(dictionary.size() & 255), static_cast<char>(dictionary.size() >> 8)};
    if (version > 1) length += std::string(2, '\0');
    write_bytes(path(), std::string("\x93NUMPY") + version + '\0' + length + dictionary + values);
  }

  template <class T>
  std::vector<T> values() const {
    std::vector<T> all;
    NpyFile(path()).read_slabs<T>([&](std::span<const T> some) { all.insert(all.end(), some.begin(), some.end()); });
    return all;
  }

  TemporaryDirectory directory_;
};

std::string header(const std::string& descr, const std::string& shape, const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }        \n";
}

TEST_F(Npy, ReadsEveryWholeNumberOfEitherByteOrder) {
  const std::vector<std::int64_t> expected = {1, -2};
  for (const auto& [descr, bytes] :
       {std::pair{"|i1", std::string("\x01\xfe", 2)}, std::pair{"<i2", std::string("\x01\0\xfe\xff", 4)},
        std::pair{">i2", std::string("\0\x01\xff\xfe", 4)},
        std::pair{"<i4", std::string("\x01\0\0\0\xfe\xff\xff\xff", 8)},
        std::pair{">i8", std::string("\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xfe", 16)}}) {
    write(header(descr, "(2,)"), bytes);
    EXPECT_EQ(NpyFile(path()).element(), Element::int64) << descr;
    EXPECT_EQ(values<std::int64_t>(), expected) << descr;
    EXPECT_EQ(values<double>(), (std::vector<double>{1, -2})) << descr;
  }
  write(header("<u8", "(2,)"), std::string("\xff\xff\xff\xff\xff\xff\xff\xff\x02\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(values<std::int64_t>(), (std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::max(), 2}));
  write(header("|u1", "(2,)"), std::string("\x01\xfe", 2));
  EXPECT_EQ(NpyFile(path()).element(), Element::uint8);
  EXPECT_EQ(values<std::uint8_t>(), (std::vector<std::uint8_t>{1, 254}));
}

// 1.5 and -2 by IEEE 754: 0x3fc00000, 0xc0000000; in double 0x3ff8…, 0xc000….
TEST_F(Npy, ReadsFloatsOfEitherByteOrder) {
  const std::string zeros(6, '\0');
  write(header("<f4", "(2,)"), std::string("\0\0\xc0\x3f\0\0\0\xc0", 8));
  EXPECT_EQ(values<float>(), (std::vector<float>{1.5f, -2}));
  EXPECT_EQ(NpyFile(path()).element(), Element::float32);
  write(header(">f4", "(2,)"), std::string("\x3f\xc0\0\0\xc0\0\0\0", 8));
  EXPECT_EQ(values<double>(), (std::vector<double>{1.5, -2}));
  write(header("<f8", "(2,)"), zeros + "\xf8\x3f" + zeros + std::string("\0\xc0", 2));
  EXPECT_EQ(values<double>(), (std::vector<double>{1.5, -2}));
  write(header(">f8", "(2,)"), "\x3f\xf8" + zeros + std::string("\xc0\0", 2) + zeros);
  EXPECT_EQ(values<double>(), (std::vector<double>{1.5, -2}));
  EXPECT_EQ(NpyFile(path()).element(), Element::float64);
}

TEST_F(Npy, ShapesOrdersAndVersions) {
  for (const char version : {'\1', '\2', '\3'}) {
    write(header("|u1", "(2, 3)", "True"), "abcdef", version);
    const NpyFile file(path());
    EXPECT_EQ(file.shape(), (std::vector<std::uint64_t>{2, 3}));
    EXPECT_TRUE(file.fortran_order());
    EXPECT_EQ(values<std::uint8_t>().size(), 6u);
  }
  write(header("|u1", "()"), "a");
  EXPECT_EQ(NpyFile(path()).shape().size(), 0u);
  write(header("|u1", "(0, 5)"), "");
  EXPECT_TRUE(values<std::uint8_t>().empty());
  // Entries in another order, as the format leaves them.
  write("{'shape': (1,), 'fortran_order': False, 'descr': '|u1'}", "a");
  EXPECT_EQ(values<std::uint8_t>(), std::vector<std::uint8_t>{'a'});
}

TEST_F(Npy, RefusesWhatIsNotAnArrayOfNumbers) {
  const auto refuse = [&](const std::vector<std::string>& words) {
    std::vector<std::string> all = words;
    all.push_back(path());
    expect_error([&] { NpyFile file(path()); }, all);
  };
  expect_error([&] { NpyFile file(path()); }, {path(), "no such file"});
  for (const char* descr : {"|O", "O", "|O8"}) {
    write(header(descr, "(1,)"), "12345678");
    refuse({"Python objects", "pickle"});
  }
  write("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (1,)}", "1234");
  refuse({"records of several fields"});
  for (const char* descr : {"<f2", "|b1", "<c8", "<U4", "<i3", "<f16", "i4", ""}) {
    write(header(descr, "(1,)"), "12345678");
    refuse({std::string("type \"") + descr + "\"", "astype"});
  }
  for (const char* dictionary :
       {"  ", "{", "{}", "{'descr': '|u1'}", "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (1,)}", "{'descr': '|u1', 'fortran_order': False, 'shape': 1}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1}",
        "{'descr': '|u1, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)} x"}) {
    write(dictionary, "a");
    refuse({"is damaged: its header has"});
  }
  write(header("|u1", "(4294967296, 4294967296, 2)"), "a");
  refuse({"2^64"});
  write(header("<f4", "(1000000000000,)"), "1234");  // nothing is allocated by a claimed size
  refuse({"expected 40000000000", "found"});
  write_bytes(path(), std::string("\x93NUMPY\x02\0\xff\xff\xff\x7f", 12));
  refuse({"header of 2147483647 bytes"});
}

}  // namespace
}  // namespace gradscape::testing
