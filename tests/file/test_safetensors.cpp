#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "gradscape/file/safetensors.hpp"
#include "support/bits.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

using namespace std::string_literals;
using Counts = std::vector<std::int64_t>;
using Values = std::vector<double>;

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

/// A file by the words of the format: the header's length in 8 bytes, the header, the data.
std::string file_of(const std::string& header, const std::string& data = "") {
  return bytes_of(std::vector<std::uint64_t>{header.size()}) + header + data;
}

/// A new file: some file systems wait for the disk where an old one is overwritten.
void put(const std::string& path, const std::string& bytes) {
  std::filesystem::remove(path);
  write_bytes(path, bytes);
}

/// A header of one tensor, named x.
std::string header_of(const std::string& type, const std::string& shape, std::size_t bytes) {
  return R"({"x":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":[0,)" + std::to_string(bytes) +
         "]}}";
}

// Made by Python's json and struct: padded with blanks; a tensor of 3 bytes leaves the others unaligned.
const std::string kByPython =
    "\x00\x01\0\0\0\0\0\0"
    R"({"__metadata__": {"format": "pt"}, "mask": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]}, )"
    R"("conv.weight": {"dtype": "F32", "shape": [2, 1], "data_offsets": [3, 11]}, )"
    R"("bn.num_batches_tracked": {"dtype": "I64", "shape": [], "data_offsets": [11, 19]}} )"
    "\x01\x02\x03\x00\x00\xc0?\x00\x00\x00\xc0\x07\x00\x00\x00\x00\x00\x00\x00"s;

class Safetensors : public ::testing::Test {
 protected:
  SafetensorsFile open(const std::string& bytes) const {
    put(path(), bytes);
    return SafetensorsFile(path());
  }

  /// A file of these bytes is refused at opening, by its path and these words.
  void expect_refused(const std::string& bytes, std::vector<std::string> words) const {
    words.push_back(path());
    expect_error([&] { open(bytes); }, words);
  }

  /// The same of a header and as many bytes of data.
  void expect_header_refused(const std::string& header, const std::vector<std::string>& words,
                             std::size_t data = 0) const {
    SCOPED_TRACE(header.substr(0, 200));
    expect_refused(file_of(header, std::string(data, '\0')), words);
  }

  std::string path() const { return directory_ / "net.safetensors"; }
  TemporaryDirectory directory_;
};

TEST_F(Safetensors, AFileMadeByPythonIsRead) {
  const SafetensorsFile file = open(kByPython);
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[0].name, "mask");
  EXPECT_EQ(file.tensors()[1].name, "conv.weight");
  EXPECT_EQ(file.tensors()[1].type, "F32");
  EXPECT_EQ(file.tensors()[1].shape, (std::vector<Index>{2, 1}));
  EXPECT_EQ(file.tensors()[1].begin, 3u);
  EXPECT_EQ(file.tensors()[1].end, 11u);
  EXPECT_EQ(file.tensors()[2].name, "bn.num_batches_tracked");
  EXPECT_EQ(file.tensors()[2].shape, std::vector<Index>{});
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}}));
  EXPECT_EQ(file.read("conv.weight"), (Values{1.5, -2}));
  EXPECT_EQ(file.read_counts("bn.num_batches_tracked"), Counts{7});
  EXPECT_EQ(file.find("conv.weight"), &file.tensors()[1]);
  EXPECT_EQ(file.find("conv"), nullptr);
  EXPECT_EQ(file.find("__metadata__"), nullptr);
  expect_error([&] { file.read("conv"); }, {path(), "has no tensor \"conv\""});
}

TEST_F(Safetensors, TensorsComeInTheOrderOfTheirValues) {
  const SafetensorsFile file = open(file_of(R"({"b":{"data_offsets":[8,12],"dtype":"F32","shape":[1]},)"
                                            R"("e":{"dtype":"F32","shape":[0,3],"data_offsets":[8,8]},)"
                                            R"("a":{"shape":[2],"dtype":"F32","data_offsets":[0,8]}})",
                                            bytes_of(std::vector<float>{1, 2, 3})));
  ASSERT_EQ(file.tensors().size(), 3u);
  EXPECT_EQ(file.tensors()[0].name, "a");
  EXPECT_EQ(file.tensors()[1].name, "e");
  EXPECT_EQ(file.tensors()[2].name, "b");
  EXPECT_EQ(file.read("a"), (Values{1, 2}));
  EXPECT_EQ(file.read("b"), Values{3});
  EXPECT_EQ(file.read("e"), Values{});
  EXPECT_TRUE(file.metadata().empty());
}

TEST_F(Safetensors, AFileWithoutTensorsIsWhole) {
  EXPECT_TRUE(open(file_of("{}")).tensors().empty());
  EXPECT_TRUE(open(file_of("{}      ")).tensors().empty());
  const SafetensorsFile file = open(file_of("{\"__metadata__\":{\"\":\"a \\u00e4\\n\",\"\u00e4\":\"\"}}"));
  EXPECT_TRUE(file.tensors().empty());
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"", "a \u00e4\n"}, {"\u00e4", ""}}));
}

template <class Stored>
void expect_bits(const std::vector<double>& found, const std::vector<Stored>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto back = static_cast<Stored>(found[i]);
    EXPECT_TRUE(same_bits(back, expected[i])) << i << ": " << found[i] << ", not " << expected[i];
  }
}

template <class Stored>
std::vector<Stored> special_values() {
  using Limits = std::numeric_limits<Stored>;
  return {0,
          Stored(-0.0),
          Limits::denorm_min(),
          -Limits::denorm_min(),
          Limits::min() / 2,
          Limits::max(),
          Limits::lowest(),
          Limits::infinity(),
          -Limits::infinity(),
          Stored(1) / 3};
}

TEST_F(Safetensors, WhatIsWrittenComesBackBitForBit) {
  // NaN with payloads and signs; quiet, as every NaN is that arithmetic made.
  std::vector<float> floats = special_values<float>();
  for (const std::uint32_t bits : {0x7fc00000u, 0xffc00000u, 0x7fc12345u, 0xffffffffu})
    floats.push_back(std::bit_cast<float>(bits));
  std::vector<double> doubles = special_values<double>();
  for (const std::uint64_t bits : {0x7ff8000000000000u, 0xfff8000000000001u, 0x7ff0000000000001u, 0xffffffffffffffffu})
    doubles.push_back(std::bit_cast<double>(bits));
  const Counts counts = {0, -1, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()};
  const std::vector<float> scalar = {2.5f};
  const std::map<std::string, std::string> metadata = {{"format", "pt"}, {"note", "\"quoted\" \\ \u00e4\n"}};
  write_safetensors(path(),
                    {{"floats", {2, 7}, std::span(floats)},
                     {"scalar \u00e4\"", {}, std::span(scalar)},
                     {"doubles", {14}, std::span(doubles)},
                     {"empty", {3, 0, 2}, std::span<const float>()},
                     {"counts", {4, 1}, std::span(counts)}},
                    metadata);
  const SafetensorsFile file(path());
  EXPECT_EQ(file.metadata(), metadata);
  expect_bits(file.read("floats"), floats);
  expect_bits(file.read("doubles"), doubles);
  expect_bits(file.read("scalar \u00e4\""), scalar);
  EXPECT_EQ(file.read("empty"), Values{});
  EXPECT_EQ(file.find("empty")->shape, (std::vector<Index>{3, 0, 2}));
  EXPECT_EQ(file.find("scalar \u00e4\"")->shape, std::vector<Index>{});
  EXPECT_EQ(file.find("floats")->shape, (std::vector<Index>{2, 7}));
  EXPECT_EQ(file.read_counts("counts"), counts);
}

TEST_F(Safetensors, TheWriterPutsValuesAtMultiplesOfTheirSize) {
  const std::vector<float> floats = {1, 2, 3};
  const std::vector<double> doubles = {4};
  const Counts counts = {5};
  write_safetensors(path(),
                    {{"z", {3}, std::span(floats)}, {"y", {1}, std::span(counts)}, {"a", {}, std::span(doubles)}},
                    {{"k", "v"}});
  const std::string header = R"({"__metadata__":{"k":"v"},"y":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},)"
                             R"("a":{"dtype":"F64","shape":[],"data_offsets":[8,16]},)"
                             R"("z":{"dtype":"F32","shape":[3],"data_offsets":[16,28]}})";
  const std::string padding((8 - header.size() % 8) % 8, ' ');
  EXPECT_EQ(read_bytes(path()), file_of(header + padding, bytes_of(counts) + bytes_of(doubles) + bytes_of(floats)));
  write_safetensors(path(), {});
  EXPECT_EQ(read_bytes(path()), file_of("{}      "));
}

TEST_F(Safetensors, WhatCannotBeWrittenIsAnError) {
  const std::vector<float> values = {1};
  const auto write = [&](const std::string& to, const std::string& name, const std::string& note = "") {
    write_safetensors(to, {{name, {1}, std::span(values)}}, {{"note", note}});
  };
  expect_error([&] { write(directory_ / "none/net", "x"); }, {directory_ / "none/net", "No such file or directory"});
  expect_error([&] { write("/dev/full", "x"); }, {"/dev/full", "cannot be written", "No space left"});
  expect_error([&] { write(path(), "x\xff"); }, {path(), "not UTF-8"});
  expect_error([&] { write(path(), "x", "\xc3"); }, {path(), "not UTF-8"});
  const auto write_two = [&](const std::string& a, const std::string& b, Index extent) {
    write_safetensors(path(), {{a, {1}, std::span(values)}, {b, {extent}, std::span(values)}});
  };
  EXPECT_NO_THROW(write_two("x", "y", 1));
  EXPECT_THROW(write_two("x", "x", 1), std::logic_error);
  EXPECT_THROW(write_two("x", "__metadata__", 1), std::logic_error);
  EXPECT_THROW(write_two("x", "y", 2), std::logic_error);
}

/// What a binary floating-point number of 16 bits is worth, by its definition (IEEE 754-2008, 3.4).
double value_of(unsigned bits, int exponent_bits) {
  const int fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
  const unsigned most = (1u << exponent_bits) - 1;
  const unsigned exponent = (bits & 0x7fff) >> fraction_bits, fraction = bits & ((1u << fraction_bits) - 1);
  double value = std::ldexp(fraction, 1 - bias - fraction_bits);
  if (exponent == most) value = fraction == 0 ? std::numeric_limits<double>::infinity() : std::nan("");
  if (0 < exponent && exponent < most)
    value = std::ldexp(fraction + (1u << fraction_bits), static_cast<int>(exponent) - bias - fraction_bits);
  return std::copysign(value, bits < 0x8000 ? 1.0 : -1.0);
}

TEST_F(Safetensors, EveryNumberOf16BitsIsConvertedExactly) {
  std::vector<std::uint16_t> patterns(65536);
  for (unsigned bits = 0; bits < 65536; ++bits) patterns[bits] = static_cast<std::uint16_t>(bits);
  for (const auto& [type, exponent_bits] : {std::pair("F16", 5), std::pair("BF16", 8)}) {
    SCOPED_TRACE(type);
    const Values found = open(file_of(header_of(type, "[256,256]", 131072), bytes_of(patterns))).read("x");
    ASSERT_EQ(found.size(), 65536u);
    for (unsigned bits = 0; bits < 65536; ++bits) {
      double expected = value_of(bits, exponent_bits);
      if (std::isnan(expected)) {  // the fraction is widened to the right and quiet
        const std::uint64_t fraction = std::uint64_t{bits} << (52 - 15 + exponent_bits) & 0xfffffffffffffu;
        expected = std::bit_cast<double>(std::bit_cast<std::uint64_t>(expected) | fraction);
      }
      EXPECT_TRUE(same_bits(found[bits], expected)) << bits << ": " << found[bits] << ", not " << expected;
    }
  }
}

// Longer than what is converted at once; at an odd byte.
TEST_F(Safetensors, LongTensorsAreReadWhole) {
  std::vector<float> floats(100'003);
  for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = static_cast<float>(i) + 0.5f;
  const std::string header = R"({"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},)"
                             R"("x":{"dtype":"F32","shape":[100003],"data_offsets":[1,400013]}})";
  expect_bits(open(file_of(header, "\1" + bytes_of(floats))).read("x"), floats);
}

TEST_F(Safetensors, TypesThatAreNoWeightsAreRefusedWhenTheyAreRead) {
  const struct {
    const char *type, *shape;
    std::size_t bytes;
    const char* words;
  } cases[] = {{"F8_E4M3", "[4]", 4, "quantised weights cannot be analysed"},
               {"F8_E5M2", "[4]", 4, "quantised weights cannot be analysed"},
               {"F8_E8M0", "[4]", 4, "quantised weights cannot be analysed"},
               {"F6_E2M3", "[4]", 3, "quantised weights cannot be analysed"},
               {"F6_E3M2", "[4]", 3, "quantised weights cannot be analysed"},
               {"F4", "[4]", 2, "quantised weights cannot be analysed"},
               {"I8", "[4]", 4, "quantised weights cannot be analysed"},
               {"U8", "[4]", 4, "quantised weights cannot be analysed"},
               {"BOOL", "[4]", 4, "does not hold floating-point numbers"},
               {"I16", "[4]", 8, "does not hold floating-point numbers"},
               {"U16", "[4]", 8, "does not hold floating-point numbers"},
               {"I32", "[4]", 16, "does not hold floating-point numbers"},
               {"U32", "[4]", 16, "does not hold floating-point numbers"},
               {"I64", "[4]", 32, "does not hold floating-point numbers"},
               {"U64", "[4]", 32, "does not hold floating-point numbers"},
               {"C64", "[4]", 32, "does not hold floating-point numbers"}};
  for (const auto& [type, shape, bytes, words] : cases) {
    SCOPED_TRACE(type);
    const SafetensorsFile file = open(file_of(header_of(type, shape, bytes), std::string(bytes, '\0')));
    EXPECT_EQ(file.tensors().at(0).type, type);
    expect_error([&] { file.read("x"); },
                 {path(), "\"x\": " + std::string(type) + " [4]", words, "F64, F32, F16 or BF16"});
    if (type != "I64"s) expect_error([&] { file.read_counts("x"); }, {path(), "does not hold counts, which are I64"});
  }
  const SafetensorsFile file = open(file_of(header_of("F64", "[]", 8), std::string(8, '\0')));
  expect_error([&] { file.read_counts("x"); }, {"\"x\": F64 []", "does not hold counts"});
}

TEST_F(Safetensors, OtherFormatsAreCalledByTheirNames) {
  const std::vector<std::string> pytorch = {"is PyTorch's own format (a pickle)",
                                            "tools/from_pytorch.py turns it into safetensors"};
  // What torch.save() begins with: since version 1.6, before it, and a plain pickle of protocol 4.
  expect_refused("PK\3\4\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0archive/data.pkl"s, pytorch);
  expect_refused("\x80\2\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\2M\xe9\3."s, pytorch);
  expect_refused("\x80\4\x95\5\0\0\0\0\0\0\0}\x94."s, pytorch);
  expect_refused("\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0"s, {"is an HDF5 file"});
  expect_refused("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n", {"Git LFS", "git lfs pull"});
  expect_refused("[model]\nname = \"vgg-a\"  # \u00e4\n", {"is a text file"});
  expect_refused("# model {\n", {"is a text file"});  // { where a header begins
  expect_refused("{}\n", {"is a text file"});
  expect_refused("", {"is empty"});
}

TEST_F(Safetensors, OnlyRegularFilesAreRead) {
  expect_error([&] { SafetensorsFile(directory_ / "none"); }, {directory_ / "none", "there is no such file"});
  expect_error([&] { SafetensorsFile{directory_.path()}; }, {directory_.path(), "it is a directory"});
  ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
  expect_error([&] { SafetensorsFile{path()}; }, {path(), "it is a pipe"});
}

TEST_F(Safetensors, TheHeaderMustFitTheFile) {
  const auto length = [](std::uint64_t n) { return bytes_of(std::vector<std::uint64_t>{n}); };
  expect_refused("\0\0\0"s, {"it has 3 bytes, and the header's length takes 8"});
  expect_refused(length(0), {"its header does not begin with { at byte 8"});
  expect_refused(length(2), {"is truncated: its header takes 2 bytes, 0 are there"});
  expect_refused(length(3) + "{}", {"is truncated: its header takes 3 bytes, 2 are there"});
  expect_refused(length(100'000'000) + "{}", {"its header takes 100000000 bytes, 2 are there"});
  expect_refused(length(100'000'001) + "{}", {"a header of 100000001 bytes, at most 100000000"});
  expect_refused(length(std::numeric_limits<std::uint64_t>::max()) + "{}", {"a header of 18446744073709551615 bytes"});
}

TEST_F(Safetensors, TheHeaderMustBeJson) {
  expect_header_refused("", {"does not begin with { at byte 8"});
  expect_header_refused(" {}", {"does not begin with { at byte 8"});
  expect_header_refused("[]", {"does not begin with { at byte 8"});
  expect_header_refused("\xef\xbb\xbf{}", {"does not begin with { at byte 8"});
  expect_header_refused("{}\0"s, {"not JSON at byte 10: a zero byte"});
  expect_header_refused("{}}", {"not JSON at byte 10"});
  expect_header_refused("{} {}", {"not JSON at byte 11"});
  expect_header_refused("{", {"not JSON at byte 9"});
  expect_header_refused("{\"a\"}", {"not JSON at byte 12"});
  expect_header_refused("{/**/}", {"not JSON at byte 9"});
  expect_header_refused("{'a':1}", {"not JSON at byte 9"});
  expect_header_refused("{\"__metadata__\":{\"a\":\"b\",}}", {"not JSON at byte 33"});
  // Not UTF-8: a byte that never is, an overlong form, a surrogate, a character cut short; an escaped half of a pair.
  for (const char* text : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\\ud800"})
    expect_header_refused("{\"__metadata__\":{\"a\":\"" + std::string(text) + "\"}}", {"not JSON at byte"});
  const std::string text = expect_error([&] { open(file_of("{\"" + std::string(100'000, 'a'))); }, {"not JSON"});
  EXPECT_LT(text.size(), 500u);
  expect_header_refused("{\"a\x1b[2J\":1}", {"not JSON at byte 11", "control character"});
  expect_header_refused("{\"a\\u001b[2J\":1}", {"name with a control character"});
}

TEST_F(Safetensors, TheHeaderHoldsTensorsAndTextsOnly) {
  const auto with = [](const std::string& type, const std::string& shape, const std::string& offsets) {
    return R"({"x":{"dtype":)" + type + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const std::string f32 = "\"F32\"";
  EXPECT_EQ(open(file_of(with(f32, "[1]", "[0,4]"), "1234")).tensors().size(), 1u);
  const auto refuse = [&](const std::string& header, const std::vector<std::string>& words) {
    expect_header_refused(header, words, 4);
  };

  refuse(R"({"x":3})", {"tensor \"x\" is 3, expected an object of dtype, shape and data_offsets"});
  refuse(R"({"x":[0]})", {"tensor \"x\" is a list"});
  refuse(R"({"x":null})", {"tensor \"x\" is null"});
  refuse(R"({"x":"F32"})", {"tensor \"x\" is a text"});
  refuse(R"({"x":{}})", {"tensor \"x\" has no dtype"});
  refuse(R"({"x":{"dtype":"F32","data_offsets":[0,4]}})", {"tensor \"x\" has no shape"});
  refuse(R"({"x":{"dtype":"F32","shape":[1]}})", {"tensor \"x\" has no data_offsets"});
  refuse(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]}})",
         {"tensor \"x\" has a field \"strides\""});

  refuse(with("3", "[1]", "[0,4]"), {"tensor \"x\" has 3 as dtype, expected a text"});
  refuse(with("{}", "[1]", "[0,4]"), {"tensor \"x\" has an object as dtype"});
  refuse(with("[]", "[1]", "[0,4]"), {"tensor \"x\" has a list as dtype"});
  refuse(with("\"f32\"", "[1]", "[0,4]"), {"tensor \"x\" is of a type that this program does not know"});
  refuse(with("\"\"", "[1]", "[0,4]"), {"tensor \"x\" is of a type that this program does not know"});

  refuse(with(f32, "1", "[0,4]"), {"tensor \"x\" has 1 as shape, expected a list of unsigned integers"});
  refuse(with(f32, "{}", "[0,4]"), {"tensor \"x\" has an object as shape"});
  refuse(with(f32, "\"1\"", "[0,4]"), {"tensor \"x\" has a text as shape"});
  refuse(with(f32, "[[1]]", "[0,4]"), {"tensor \"x\" has a list in shape"});
  refuse(with(f32, "[{}]", "[0,4]"), {"tensor \"x\" has an object in shape"});
  refuse(with(f32, "[\"1\"]", "[0,4]"), {"tensor \"x\" has a text in shape"});
  refuse(with(f32, "[true]", "[0,4]"), {"tensor \"x\" has true in shape"});
  refuse(with(f32, "[-1]", "[0,4]"), {"tensor \"x\" has -1 in shape"});
  refuse(with(f32, "[1.0]", "[0,4]"), {"tensor \"x\" has 1.0 in shape"});
  refuse(with(f32, "[1e0]", "[0,4]"), {"tensor \"x\" has 1e0 in shape"});
  refuse(with(f32, "[0,9223372036854775808]", "[0,0]"),
         {"tensor \"x\" has 9223372036854775808 in shape", "below 2^63"});
  refuse(with(f32, "[0,18446744073709551616]", "[0,0]"), {"tensor \"x\" has 18446744073709551616 in shape"});

  refuse(with(f32, "[1]", "4"), {"tensor \"x\" has 4 as data_offsets, expected a list of two unsigned integers"});
  refuse(with(f32, "[1]", "{}"), {"tensor \"x\" has an object as data_offsets"});
  refuse(with(f32, "[1]", "[]"), {"tensor \"x\" has 0 numbers in data_offsets"});
  refuse(with(f32, "[1]", "[4]"), {"tensor \"x\" has 1 numbers in data_offsets"});
  refuse(with(f32, "[1]", "[0,4,4]"), {"tensor \"x\" has 4 in data_offsets, expected a list of two"});
  refuse(with(f32, "[1]", "[-0,4]"), {"tensor \"x\" has 0 in data_offsets"});
  refuse(with(f32, "[1]", "[0,4.0]"), {"tensor \"x\" has 4.0 in data_offsets"});
  refuse(with(f32, "[1]", "[null,4]"), {"tensor \"x\" has null in data_offsets"});

  refuse(R"({"__metadata__":null})", {"__metadata__ is null, expected an object of texts"});
  refuse(R"({"__metadata__":"a"})", {"__metadata__ is a text, expected an object of texts"});
  refuse(R"({"__metadata__":[]})", {"__metadata__ is a list, expected an object of texts"});
  refuse(R"({"__metadata__":{"a":1}})", {"__metadata__ holds 1 as \"a\", expected a text"});
  refuse(R"({"__metadata__":{"a":{}}})", {"__metadata__ holds an object as \"a\", expected a text"});
  refuse(R"({"__metadata__":{"a":["b"]}})", {"__metadata__ holds a list as \"a\", expected a text"});
  refuse(R"({"__metadata__":{"a":false}})", {"__metadata__ holds false as \"a\", expected a text"});

  // Nesting by the million neither takes the stack nor gets far.
  refuse("{\"x\":" + std::string(1'000'000, '['), {"tensor \"x\" is a list"});
}

TEST_F(Safetensors, KeysMustBeUnique) {
  const std::string x = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  expect_header_refused("{\"x\":" + x + ",\"x\":" + x + "}", {"tensor \"x\" is there twice"}, 4);
  expect_header_refused("{\"x\":" + x + ",\"\\u0078\":" + x + "}", {"tensor \"x\" is there twice"}, 4);
  expect_header_refused(R"({"__metadata__":{},"__metadata__":{}})", {"\"__metadata__\" is there twice"});
  expect_header_refused(R"({"__metadata__":{"a":"1","a":"1"}})", {"__metadata__ has \"a\" twice"});
  expect_header_refused(R"({"x":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}})",
                        {"tensor \"x\" has \"shape\" twice"}, 4);
}

TEST_F(Safetensors, TypeShapeAndOffsetsMustAgree) {
  expect_header_refused(header_of("F32", "[2,3]", 20), {"tensor \"x\": F32 [2, 3] takes 24 bytes", "0 and 20"}, 20);
  expect_header_refused(header_of("F16", "[]", 4), {"tensor \"x\": F16 [] takes 2 bytes", "0 and 4"}, 4);
  expect_header_refused(header_of("F64", "[0]", 8), {"tensor \"x\": F64 [0] takes 0 bytes"}, 8);
  expect_header_refused(header_of("F4", "[3]", 2), {"tensor \"x\": F4 [3] does not fill a whole number of bytes"}, 2);
  expect_header_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", {"takes 4 bytes", "4 and 0"}, 4);
  expect_header_refused(R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[18446744073709551615,3]}})",
                        {"takes 4 bytes", "18446744073709551615 and 3"}, 4);
  // Products that are 0 and 4 in 64 bits.
  expect_header_refused(header_of("F32", "[4294967296,4294967296]", 0), {"is larger than any file"});
  expect_header_refused(header_of("F32", "[4611686018427387905]", 4), {"is larger than any file"}, 4);
  expect_header_refused(header_of("U8", "[2305843009213693952]", 0), {"is larger than any file"});
}

TEST_F(Safetensors, ValuesMustFillTheFile) {
  const auto two = [](const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":"F32","shape":[1],"data_offsets":)" + a +
           R"(},"b":{"dtype":"F32","shape":[1],"data_offsets":)" + b + "}}";
  };
  EXPECT_EQ(open(file_of(two("[4,8]", "[0,4]"), "12345678")).tensors().at(0).name, "b");
  expect_header_refused(two("[0,4]", "[4,8]"), {"is truncated: its tensors take 8 bytes, 7 are there"}, 7);
  expect_header_refused(two("[0,4]", "[4,8]"), {"is too long: its tensors take 8 bytes, 9 are there"}, 9);
  expect_header_refused(two("[0,4]", "[5,9]"), {"gap: data_offsets 4 to 5, before tensor \"b\""}, 9);
  expect_header_refused(two("[9,13]", "[5,9]"), {"gap: data_offsets 0 to 5, before tensor \"b\""}, 13);
  expect_header_refused(two("[0,4]", "[3,7]"), {"tensors \"a\" and \"b\" overlap"}, 7);
  expect_header_refused(two("[0,4]", "[0,4]"), {"tensors \"a\" and \"b\" overlap"}, 4);
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                        R"("e":{"dtype":"F32","shape":[0],"data_offsets":[2,2]}})",
                        {"tensors \"a\" and \"e\" overlap"}, 4);
  expect_header_refused("{}", {"is too long: its tensors take 0 bytes, 1 are there"}, 1);
  expect_header_refused(R"({"__metadata__":{}})", {"is too long: its tensors take 0 bytes, 1 are there"}, 1);
}

TEST_F(Safetensors, AFileThatShrinksUnderTheReaderIsAnError) {
  const SafetensorsFile file = open(kByPython);
  std::filesystem::resize_file(path(), kByPython.size() - 1);
  EXPECT_EQ(file.read("conv.weight"), (Values{1.5, -2}));
  expect_error([&] { file.read_counts("bn.num_batches_tracked"); }, {path(), "changed while it was read"});
}

TEST_F(Safetensors, ATruncatedFileIsAnError) {
  for (std::size_t size = 0; size < kByPython.size(); ++size) {
    SCOPED_TRACE(size);
    expect_refused(kByPython.substr(0, size), {"it is damaged or was not copied to its end"});
  }
  EXPECT_EQ(open(kByPython).tensors().size(), 3u);
}

/// The most memory that this process has held, in bytes.
std::size_t most_memory() {
  rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) << 10;
}

/// A file of these bytes is read to its end, or refused with a message. Says which.
bool can_be_read(const std::string& path, const std::string& bytes) {
  put(path, bytes);
  try {
    const SafetensorsFile file(path);
    for (const StoredTensor& tensor : file.tensors()) {
      if (tensor.type == "F32") file.read(tensor.name);
      if (tensor.type == "I64") file.read_counts(tensor.name);
    }
    return true;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
    return false;
  }
}

TEST_F(Safetensors, MutatedFilesAreReadOrRefused) {
  std::mt19937 random(20);
  const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
  const std::string alphabet = "{}[]\",:0123456789-.eE \\u\0\x7f\xff"s;
  const std::size_t before = most_memory();
  int read = 0;
  constexpr int kFiles = 5000;
  for (int i = 0; i < kFiles; ++i) {
    std::string bytes = kByPython;
    for (std::size_t changes = 1 + below(3); changes > 0; --changes) {
      const std::size_t at = below(bytes.size());
      const std::size_t kind = below(5);
      if (kind == 0) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
      if (kind == 1) bytes[at] = alphabet[below(alphabet.size())];
      if (kind == 2) bytes.insert(at, 1, alphabet[below(alphabet.size())]);
      if (kind == 3) bytes.erase(at, 1 + below(4));
      if (kind == 4) bytes.insert(at, bytes.substr(below(bytes.size()), below(40)));
    }
    // In half of them the length is right, so that the header is looked at.
    if (const std::size_t end = bytes.rfind("}}"); i % 2 == 0 && end != bytes.npos && bytes.size() > 8)
      bytes.replace(0, 8, bytes_of(std::vector<std::uint64_t>{end + 5 - 8}));
    read += can_be_read(path(), bytes);
  }
  EXPECT_GT(read, 0);
  EXPECT_LT(read, kFiles / 2);
  EXPECT_LT(most_memory() - before, std::size_t{100} << 20);
}

TEST_F(Safetensors, NoMemoryIsTakenForWhatIsOnlyClaimed) {
  const std::size_t before = most_memory();
  expect_header_refused(header_of("F64", "[134217728]", 1 << 30), {"is truncated: its tensors take 1073741824 bytes"});
  expect_refused(bytes_of(std::vector<std::uint64_t>{99'999'999}) + "{", {"its header takes 99999999 bytes"});
  EXPECT_LT(most_memory() - before, std::size_t{50} << 20);
}

}  // namespace
}  // namespace gradscape::testing
