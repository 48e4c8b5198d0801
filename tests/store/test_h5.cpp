#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "gradscape/store/h5.hpp"
#include "support/errors.hpp"
#include "support/h5_inspect.hpp"

namespace gradscape::testing {
namespace {

class H5File : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(H5Fget_obj_count(static_cast<hid_t>(H5F_OBJ_ALL), H5F_OBJ_ALL), 0) << "every handle is closed again";
  }
  std::string path() const { return directory_ / "file.h5"; }
  TemporaryDirectory directory_;
};

template <class T>
void expect_round_trip(const std::string& path, const std::string& type, const h5::Shape& shape) {
  SCOPED_TRACE(type);
  std::size_t count = 1;
  for (const auto extent : shape) count *= extent;
  std::vector<T> values(count);
  std::iota(values.begin(), values.end(), T{1});
  if (count > 0) values.back() = std::numeric_limits<T>::lowest();
  {
    h5::File file = h5::File::create(path);
    file.write("/a/b/values", values.data(), shape);
    file.close();
  }
  const h5::File file = h5::File::open(path);
  h5::Shape found{99};
  EXPECT_EQ(file.read<T>("/a/b/values", &found), values);
  EXPECT_EQ(found, shape);
  EXPECT_EQ(file.type_name("/a/b/values"), type);
}

TEST_F(H5File, AllTypesAndShapesComeBack) {
  for (const h5::Shape& shape : {h5::Shape{}, h5::Shape{5}, h5::Shape{2, 3, 4}, h5::Shape{0}, h5::Shape{0, 3}}) {
    expect_round_trip<double>(path(), "float64", shape);
    expect_round_trip<float>(path(), "float32", shape);
    expect_round_trip<std::int64_t>(path(), "int64", shape);
    expect_round_trip<std::int32_t>(path(), "int32", shape);
    expect_round_trip<std::int8_t>(path(), "int8", shape);
    expect_round_trip<std::uint8_t>(path(), "uint8", shape);
  }
}

TEST_F(H5File, DataIsChunkedAndChecksummed) {
  const std::vector<double> values(3 * 100'000, 1.5);
  {
    h5::File file = h5::File::create(path());
    file.write("/small", values.data(), {2, 3});
    file.write("/long", values.data(), {300'000});
    file.write("/wide", values.data(), {3, 100'000});
    file.write("/tall", values.data(), {100'000, 3});
    file.write("/scalar", values.data(), {});
    file.write("/empty", values.data(), {0, 3});
  }
  for (const std::string name : {"/small", "/long", "/wide", "/tall"}) {
    const RawDataset dataset(path(), name);
    EXPECT_TRUE(dataset.has_checksum()) << name;
    const h5::Shape chunk = dataset.chunk(), shape = dataset.shape();
    ASSERT_EQ(chunk.size(), shape.size()) << name;
    std::size_t bytes = sizeof(double);
    for (std::size_t axis = 0; axis < chunk.size(); ++axis) {
      EXPECT_GE(chunk[axis], 1u);
      EXPECT_LE(chunk[axis], shape[axis]);
      bytes *= chunk[axis];
    }
    EXPECT_LE(bytes, std::size_t{1} << 20) << name;  // HDF5's chunk cache holds 1 MiB
  }
  EXPECT_EQ(RawDataset(path(), "/small").chunk(), (h5::Shape{2, 3}));
  EXPECT_TRUE(RawDataset(path(), "/scalar").chunk().empty());
  EXPECT_TRUE(RawDataset(path(), "/empty").chunk().empty());
  const h5::File file = h5::File::open(path());
  EXPECT_EQ(file.read<double>("/tall"), values);
}

TEST_F(H5File, NumbersAreConvertedOnReading) {
  {
    h5::File file = h5::File::create(path());
    file.write("/bytes", std::vector<std::uint8_t>{0, 1, 255});
  }
  const h5::File file = h5::File::open(path());
  EXPECT_EQ(file.read<std::int64_t>("/bytes"), (std::vector<std::int64_t>{0, 1, 255}));
  EXPECT_EQ(file.read<double>("/bytes"), (std::vector<double>{0, 1, 255}));
}

TEST_F(H5File, AttributesComeBack) {
  const std::string text = "grün\n\"quoted\" \\ back";
  const std::string large(60'000, 'x');  // an attribute may have 64 KiB
  {
    h5::File file = h5::File::create(path());
    file.write("/data", std::vector<double>{1});
    file.set_attribute("/", "text", text);
    file.set_attribute("/", "empty", std::string());
    file.set_attribute("/", "large", large);
    file.set_attribute("/data", "units", std::string("loss"));
    file.set_attribute("/data", "number", std::int64_t{-7'000'000'000});
    file.set_attribute("/data", "list", std::vector<double>{0.5, 2});
    file.set_attribute("/data", "bytes", std::vector<std::uint8_t>{0, 1, 2});
  }
  const h5::File file = h5::File::open(path());
  EXPECT_EQ(file.text_attribute("/", "text"), text);
  EXPECT_EQ(file.text_attribute("/", "empty"), "");
  EXPECT_EQ(file.text_attribute("/", "large"), large);
  EXPECT_EQ(file.text_attribute("/data", "units"), "loss");
  EXPECT_EQ(file.integer_attribute("/data", "number"), -7'000'000'000);
  EXPECT_TRUE(file.has_attribute("/data", "list"));
  EXPECT_FALSE(file.has_attribute("/data", "text"));
  expect_error([&] { file.text_attribute("/data", "number"); }, {path(), "number", "not a text"});
  expect_error([&] { file.text_attribute("/", "nothing"); }, {path(), "nothing"});
  const RawDataset raw(path(), "/data");
  double list[2] = {};
  std::uint8_t bytes[3] = {};
  const h5::Handle a(H5Aopen(raw.id(), "list", H5P_DEFAULT), H5Aclose),
      b(H5Aopen(raw.id(), "bytes", H5P_DEFAULT), H5Aclose);
  H5Aread(a.get(), H5T_NATIVE_DOUBLE, list);
  H5Aread(b.get(), H5T_NATIVE_UINT8, bytes);
  EXPECT_EQ(list[0] + 10 * list[1], 20.5);
  EXPECT_EQ(bytes[0] + 10 * bytes[1] + 100 * bytes[2], 210);
}

TEST_F(H5File, KnowsItsMembers) {
  {
    h5::File file = h5::File::create(path());
    for (const char* name : {"/z", "/group/b", "/group/a", "/group/inner/c", "/a.b.c"})
      file.write(name, std::vector<double>{1});
  }
  const h5::File file = h5::File::open(path());
  EXPECT_EQ(file.members("/"), (std::vector<std::string>{"a.b.c", "group", "z"}));
  EXPECT_EQ(file.members("/group"), (std::vector<std::string>{"a", "b", "inner"}));
  EXPECT_TRUE(file.members("/nothing").empty());
  EXPECT_TRUE(file.members("/nothing/below").empty());
  EXPECT_TRUE(file.exists("/group/inner/c"));
  EXPECT_TRUE(file.exists("/group"));
  EXPECT_FALSE(file.exists("/group/c"));
  EXPECT_FALSE(file.exists("/nothing/c"));
  EXPECT_TRUE(file.is_group("/group/inner"));
  EXPECT_FALSE(file.is_group("/group/a"));
}

TEST_F(H5File, ScalesAreAttached) {
  {
    h5::File file = h5::File::create(path());
    file.write("/x", std::vector<double>{1, 2});
    file.write("/y", std::vector<double>{1, 2, 3});
    const std::vector<double> values(6);
    file.write("/values", values.data(), {2, 3});
    file.make_scale("/x", "x");
    file.make_scale("/y", "y");
    file.attach_scale("/values", "/x", 0);
    file.attach_scale("/values", "/y", 1);
    expect_error([&] { file.attach_scale("/values", "/nothing", 1); }, {path(), "/nothing"});
  }
  const RawDataset values(path(), "/values");
  EXPECT_EQ(values.scales(0), std::vector<std::string>{"x"});
  EXPECT_EQ(values.scales(1), std::vector<std::string>{"y"});
  EXPECT_TRUE(RawDataset(path(), "/x").is_scale());
  EXPECT_FALSE(values.is_scale());
}

TEST_F(H5File, CreateReplacesAnOldFile) {
  {
    h5::File file = h5::File::create(path());
    file.write("/old", std::vector<double>{1});
  }
  {
    h5::File file = h5::File::create(path());
    file.write("/new", std::vector<double>{1});
  }
  EXPECT_EQ(h5::File::open(path()).members("/"), std::vector<std::string>{"new"});
}

// What HDF5 has to say belongs into our error, and nowhere else: without the switch in h5.cpp each of these prints an
// error stack of a dozen lines.
TEST_F(H5File, ErrorsNameTheFileAndHdf5PrintsNothing) {
  {
    h5::File file = h5::File::create(path());
    file.write("/data", std::vector<double>{1, 2});
  }
  const std::string text_file = directory_ / "text.h5";
  write_bytes(text_file, "this is no HDF5 file\n");
  ::testing::internal::CaptureStderr();
  const std::string missing = directory_ / "missing.h5";
  expect_error([&] { h5::File::open(missing); }, {missing, "cannot be read as an HDF5 file", "hint"});
  expect_error([&] { h5::File::open(text_file); }, {text_file, "cannot be read as an HDF5 file"});
  expect_error([&] { h5::File::open(directory_.path()); }, {directory_.path()});
  expect_error([&] { h5::File::create(directory_ / "no/folder/file.h5"); }, {"no/folder/file.h5", "cannot create"});
  {
    h5::File file = h5::File::open(path());
    expect_error([&] { file.read<double>("/nothing"); }, {path(), "/nothing"});
    expect_error([&] { file.read<double>("/no/thing"); }, {path(), "/no/thing"});
    expect_error([&] { file.type_name("/nothing"); }, {path(), "/nothing"});
    expect_error([&] { file.is_group("/nothing"); }, {path(), "/nothing"});
    expect_error([&] { file.integer_attribute("/", "nothing"); }, {path(), "nothing"});
    expect_error([&] { file.integer_attribute("/nothing", "step"); }, {path(), "/nothing"});
    expect_error([&] { file.write("/more", std::vector<double>{1}); }, {path(), "/more"});  // opened for reading
    expect_error([&] { file.set_attribute("/", "more", std::int64_t{1}); }, {path(), "more"});
    EXPECT_FALSE(file.exists("/no/thing/at/all"));
    EXPECT_FALSE(file.has_attribute("/nothing", "step"));
  }
  {
    h5::File file = h5::File::create(directory_ / "other.h5");
    file.write("/data", std::vector<double>{1});
    expect_error([&] { file.write("/data", std::vector<double>{1}); }, {"other.h5", "/data"});  // there already
    expect_error([&] { file.write("/data/below", std::vector<double>{1}); }, {"/data/below"});
    const std::string huge(70'000, 'x');  // more than the 64 KiB that older formats of HDF5 allow
    file.set_attribute("/", "huge", huge);
    EXPECT_EQ(file.text_attribute("/", "huge"), huge);
  }
  damage_dataset(path(), "/data");
  expect_error([&] { h5::File::open(path()).read<double>("/data"); }, {path(), "cannot read dataset /data"});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(H5RowWriter, WritesWhatWriteWouldInBlocksOfChunks) {
  TemporaryDirectory directory;
  // 700 rows of 300 doubles are more than one chunk of 1 MiB; with a leading dimension each index ends a block.
  for (const std::size_t axis : {0U, 1U}) {
    const h5::Shape shape = axis == 0 ? h5::Shape{700, 300} : h5::Shape{3, 700, 300};
    std::vector<double> values(shape[0] * shape[1] * (axis == 0 ? 1 : shape[2]));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i) * 0.5;
    const std::string path = directory / ("axis" + std::to_string(axis) + ".h5");
    {
      h5::File file = h5::File::create(path);
      h5::RowWriter<double> writer(file, "/rows", shape, axis);
      for (const double value : values) writer.push(value);
      writer.finish();
      file.close();
    }
    h5::Shape found;
    EXPECT_EQ(h5::File::open(path).read<double>("/rows", &found), values);
    EXPECT_EQ(found, shape);
  }
}

TEST(H5RowWriter, RefusesTooFewAndTooManyValues) {
  TemporaryDirectory directory;
  h5::File file = h5::File::create(directory / "rows.h5");
  h5::RowWriter<double> few(file, "/few", {2, 2});
  for (int i = 0; i < 2; ++i) few.push(1);
  EXPECT_THROW(few.finish(), std::logic_error);
  h5::RowWriter<double> many(file, "/many", {2, 2});
  for (int i = 0; i < 4; ++i) many.push(1);
  EXPECT_THROW(
      {
        for (int i = 0; i < 4; ++i) many.push(1);
        many.finish();
      },
      std::logic_error);
}

}  // namespace
}  // namespace gradscape::testing
