#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <limits>
#include <numeric>

#include "gradscape/file/h5.hpp"
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

TEST_F(H5File, NumbersAreNotReadAsWhatCannotHoldThem) {
  {
    h5::File file = h5::File::create(path());
    file.write("/double", std::vector<double>{0.5});
    file.write("/float", std::vector<float>{0.5});
    file.write("/long", std::vector<std::int64_t>{1});
  }
  const h5::File file = h5::File::open(path());
  expect_error([&] { file.read<std::int64_t>("/double"); }, {path(), "/double is float64, int64 is wanted"});
  expect_error([&] { file.read<float>("/double"); }, {path(), "/double is float64"});
  expect_error([&] { file.read<std::int32_t>("/long"); }, {path(), "/long is int64"});
  EXPECT_EQ(file.read<double>("/float"), std::vector<double>{0.5});
}

// As docs/format.md says: name, type, number of dimensions, extents, values.
TEST_F(H5File, EveryDatasetCarriesItsHash) {
  const std::vector<double> values = {1.5, -2, 0, 7, 0.25, 3};
  {
    h5::File file = h5::File::create(path());
    file.write("/a/values", values.data(), {2, 3});
    file.write("/scalar", values.data(), {});
    file.write("/empty", values.data(), {0, 3});
    h5::RowWriter<double> rows(file, "/rows", {2, 3});
    for (const double value : values) rows.push(value);
    rows.finish();
    file.close();
  }
  const auto hash_of = [&](const std::string& name, std::vector<std::uint64_t> extents, std::size_t count) {
    std::string bytes = name;
    bytes.push_back('\0');
    bytes += "float64";
    bytes.push_back('\0');
    extents.insert(extents.begin(), extents.size());
    bytes.append(reinterpret_cast<const char*>(extents.data()), 8 * extents.size());
    bytes.append(reinterpret_cast<const char*>(values.data()), 8 * count);
    Fingerprint hash;
    hash.add(bytes);
    return hash.value();
  };
  const h5::File file = h5::File::open(path());
  EXPECT_EQ(file.hash_attribute("/a/values", "xxh3"), hash_of("/a/values", {2, 3}, 6));
  EXPECT_EQ(file.hash_attribute("/scalar", "xxh3"), hash_of("/scalar", {}, 1));
  EXPECT_EQ(file.hash_attribute("/empty", "xxh3"), hash_of("/empty", {0, 3}, 0));
  EXPECT_EQ(file.hash_attribute("/rows", "xxh3"), hash_of("/rows", {2, 3}, 6));
}

TEST_F(H5File, ValuesAreComparedWithTheirHash) {
  {
    h5::File file = h5::File::create(path());
    file.write("/group/values", std::vector<float>{1, 2, 3, 4});
    file.write("/other", std::vector<float>{1, 2, 3, 5});
  }
  overwrite_dataset<float>(path(), "/group/values", {1, 2, 3, 5});
  const auto refused = [&](const std::string& name) {
    const h5::File file = h5::File::open(path());
    const std::vector<std::string> words = {path(), name + " does not hold what was written", "hint"};
    expect_error([&] { file.read<float>(name); }, words);
    expect_error([&] { file.read<double>(name); }, words);
    std::vector<float> values(4);
    expect_error([&] { file.read_into(name, values.data(), 4); }, words);
  };
  refused("/group/values");
  { H5Lmove(open_for_changes(path()).get(), "/other", H5L_SAME_LOC, "/another", H5P_DEFAULT, H5P_DEFAULT); }
  refused("/another");
}

TEST_F(H5File, EqualCallsMakeEqualBytes) {
  const auto make = [&](const std::string& file_path) {
    h5::File file = h5::File::create(file_path);
    std::vector<double> values(200'000);
    std::iota(values.begin(), values.end(), 0.5);
    for (int i = 0; i < 20; ++i) file.write("/group/inner/values" + std::to_string(i), std::vector<double>{1.0 * i});
    file.write("/large", values);
    file.write("/x", std::vector<double>{1, 2});
    file.make_scale("/x", "x");
    file.write("/y", std::vector<double>{1, 2});
    file.attach_scale("/y", "/x", 0);
    file.set_attribute("/", "text", std::string("words"));
    file.close();
    return read_bytes(file_path);
  };
  const std::string first = make(path());
  ::usleep(1'100'000);  // HDF5 counts whole seconds
  EXPECT_TRUE(make(directory_ / "again.h5") == first);
}

TEST_F(H5File, IsNotWholeWhereAnObjectIsOpenOrACloseFailed) {
  {
    h5::File file = h5::File::create(path());
    h5::RowWriter<double> unfinished(file, "/rows", {2, 2});
    unfinished.push(1);
    EXPECT_THROW(file.close(), std::logic_error);
  }
  h5::File file = h5::File::create(directory_ / "other.h5");
  {
    const h5::Handle not_open(12345, H5Dclose);  // whose destructor is told that this fails
  }
  expect_error([&] { file.flush(); }, {"other.h5", "closing an object failed"});
  expect_error([&] { file.close(); }, {"other.h5", "closing an object failed"});
}

/// A file of HDF5's that gradscape would not write: made here by the library itself.
class StrangeH5File : public H5File {
 protected:
  template <class Make>
  void make(Make&& fill) const {
    const h5::Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
    H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110);
    const h5::Handle file(H5Fcreate(path().c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose);
    const h5::Handle space(H5Screate(H5S_SCALAR), H5Sclose);
    const double one = 1;
    const h5::Handle value(
        H5Dcreate2(file.get(), "/value", H5T_NATIVE_DOUBLE, space.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
        H5Dclose);
    H5Dwrite(value.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &one);
    fill(file.get());
  }

  /// A dataset of doubles, chunked, without values.
  static void make_dataset(hid_t file, const char* name, const h5::Shape& shape, const h5::Shape& chunk,
                           hid_t type = H5T_NATIVE_DOUBLE) {
    const h5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_chunk(creation.get(), static_cast<int>(chunk.size()), chunk.data());
    const h5::Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
    const h5::Handle dataset(H5Dcreate2(file, name, type, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                             H5Dclose);
    EXPECT_GE(dataset.get(), 0);
  }

  /// What is strange is refused as it is listed, and where it is asked for by name.
  void expect_refused(const std::string& name, const std::string& words) const {
    expect_error([&] { h5::File::open(path()).members("/"); }, {path(), words});
    expect_error([&] { h5::File::open(path()).exists(name); }, {path(), words});
    expect_error([&] { h5::File::open(path()).read<double>(name); }, {path(), words});
    EXPECT_EQ(h5::File::open(path()).read<double>("/value"), std::vector<double>{1}) << "the rest can be read";
  }
};

TEST_F(StrangeH5File, LinksAreNotFollowed) {
  make([](hid_t file) { H5Lcreate_soft("/value", file, "/link", H5P_DEFAULT, H5P_DEFAULT); });
  expect_refused("/link", "link is a link");
  make([&](hid_t file) { H5Lcreate_external("other.h5", "/value", file, "/link", H5P_DEFAULT, H5P_DEFAULT); });
  expect_refused("/link", "link is a link");
  make([](hid_t file) {
    const h5::Handle group(H5Gcreate2(file, "/group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    H5Lcreate_soft("/value", file, "/group/link", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refused("/group/link", "link is a link");
}

TEST_F(StrangeH5File, GroupsThatLeadBackOrDeepAreRefused) {
  make([](hid_t file) {
    const h5::Handle group(H5Gcreate2(file, "/group", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    H5Lcreate_hard(file, "/", group.get(), "root", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_hard(file, "/", group.get(), "again", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_error([&] { h5::File::open(path()).members("/"); }, {path()});
  make([](hid_t file) {
    std::string name;
    for (int i = 0; i < 50; ++i) {
      name += "/g";
      const h5::Handle group(H5Gcreate2(file, name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
    }
  });
  expect_error([&] { h5::File::open(path()).members("/"); }, {path(), "deep"});
}

TEST_F(StrangeH5File, OtherKindsAndTypesAreRefused) {
  make([](hid_t file) {
    const h5::Handle type(H5Tcopy(H5T_NATIVE_DOUBLE), H5Tclose);
    H5Tcommit2(file, "/type", type.get(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refused("/type", "/type is no group and no dataset");
  for (const hid_t type : {H5T_C_S1, H5T_IEEE_F64BE, H5T_NATIVE_UINT64, H5T_STD_REF_OBJ, H5T_NATIVE_LDOUBLE}) {
    make([&](hid_t file) { make_dataset(file, "/strange", {2}, {2}, type); });
    expect_refused("/strange", "/strange is of a type");
  }
}

TEST_F(StrangeH5File, ClaimsBeyondTheFileAreRefusedBeforeMemoryIsTaken) {
  const std::string more = "claims more values than the file has room for";
  make([](hid_t file) { make_dataset(file, "/huge", {hsize_t{1} << 28}, {1024}); });
  expect_refused("/huge", more);
  make([](hid_t file) { make_dataset(file, "/huge", {hsize_t{1} << 32, hsize_t{1} << 32}, {1024, 1024}); });  // 2^64: 0
  expect_refused("/huge", more);
  make([](hid_t file) {  // each alone would fit
    for (int i = 0; i < 40; ++i) make_dataset(file, ("/part" + std::to_string(i)).c_str(), {4096}, {1024});
  });
  expect_error([&] { h5::File::open(path()).members("/"); }, {path(), "claim more values"});
  make([](hid_t file) { make_dataset(file, "/unwritten", {16}, {4}); });
  expect_error([&] { h5::File::open(path()).read<double>("/unwritten"); }, {path(), "/unwritten lacks values"});
  make([](hid_t file) {
    const h5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const hsize_t extent = 4, unlimited = H5S_UNLIMITED, chunk = hsize_t{1} << 26;
    H5Pset_chunk(creation.get(), 1, &chunk);
    const h5::Handle space(H5Screate_simple(1, &extent, &unlimited), H5Sclose);
    const h5::Handle dataset(
        H5Dcreate2(file, "/chunk", H5T_NATIVE_DOUBLE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Dclose);
  });
  expect_error([&] { h5::File::open(path()).read<double>("/chunk"); }, {path(), "chunks larger than the file"});
}

TEST_F(StrangeH5File, ValuesInOtherFilesAreNotRead) {
  write_bytes(directory_ / "secret", "secret words 123");
  make([&](hid_t file) {
    const h5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_external(creation.get(), (directory_ / "secret").c_str(), 0, 16);
    const hsize_t extent = 2;
    const h5::Handle space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
    const h5::Handle dataset(
        H5Dcreate2(file, "/external", H5T_NATIVE_DOUBLE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
        H5Dclose);
  });
  expect_error([&] { h5::File::open(path()).read<double>("/external"); },
               {path(), "/external has its values in other files"});
  make([&](hid_t file) {
    const h5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const hsize_t extent = 2;
    const h5::Handle space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
    H5Pset_virtual(creation.get(), space.get(), "other.h5", "/value", space.get());
    const h5::Handle dataset(
        H5Dcreate2(file, "/virtual", H5T_NATIVE_DOUBLE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
        H5Dclose);
  });
  expect_error([&] { h5::File::open(path()).read<double>("/virtual"); },
               {path(), "/virtual has its values in other files"});
}

// Users compress files that they keep.
TEST_F(StrangeH5File, CompressedValuesAreRead) {
  std::vector<double> values(1000, 2.5);
  make([&](hid_t file) {
    const h5::Handle creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    const hsize_t extent = values.size();
    H5Pset_chunk(creation.get(), 1, &extent);
    H5Pset_deflate(creation.get(), 6);
    const h5::Handle space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
    const h5::Handle dataset(
        H5Dcreate2(file, "/small", H5T_NATIVE_DOUBLE, space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT), H5Dclose);
    H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  });
  EXPECT_EQ(h5::File::open(path()).read<double>("/small"), values);
}

TEST_F(StrangeH5File, AttributesAreReadOnlyAsWhatTheyAre) {
  make([](hid_t file) {
    const auto attach = [&](const char* name, hid_t type, hsize_t extent, const void* value) {
      const h5::Handle space(H5Screate_simple(1, &extent, nullptr), H5Sclose);
      const h5::Handle attribute(H5Acreate2(file, name, type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
      EXPECT_GE(H5Awrite(attribute.get(), type, value), 0);
    };
    const std::vector<std::int64_t> many(1000, 7);
    attach("many", H5T_NATIVE_INT64, many.size(), many.data());
    attach("double", H5T_NATIVE_DOUBLE, 1, many.data());
    attach("byte", H5T_NATIVE_INT8, 1, many.data());
    const h5::Handle text(H5Tcopy(H5T_C_S1), H5Tclose), variable(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(text.get(), 4);
    attach("texts", text.get(), 2, "fourfour");
    H5Tset_size(variable.get(), H5T_VARIABLE);
    const char* word = "word";
    attach("variable", variable.get(), 1, &word);
  });
  const h5::File file = h5::File::open(path());
  for (const std::string name : {"many", "double", "byte", "texts", "variable"}) {
    expect_error([&] { file.integer_attribute("/", name); }, {path(), name, "is not an integer"});
    expect_error([&] { file.hash_attribute("/", name); }, {path(), name, "is not a hash"});
    expect_error([&] { file.text_attribute("/", name); }, {path(), name, "is not a text"});
  }
}

// Says that it is for now, and not that the file is damaged.
TEST_F(H5File, WhatCannotBeHadNowIsNotCalledDamaged) {
  {
    h5::File file = h5::File::create(path());
    file.write("/data", std::vector<double>{1, 2});
    file.close();
  }
  {
    const h5::Handle writer = open_for_changes(path());
    const std::string bytes = read_bytes(path());  // marked as open for writing, as HDF5 leaves it where it is killed
    write_bytes(directory_ / "marked.h5", bytes);
  }
  const std::string text = expect_error<AccessError>([&] { h5::File::open(directory_ / "marked.h5"); },
                                                     {"marked.h5", "open for writing", "h5clear"});
  EXPECT_EQ(text.find("deleted"), std::string::npos);
  std::vector<int> taken;
  for (int descriptor = ::dup(0); descriptor >= 0; descriptor = ::dup(0)) taken.push_back(descriptor);
  expect_error<AccessError>([&] { h5::File::open(path()); }, {path(), "Too many open files"});
  for (const int descriptor : taken) ::close(descriptor);
  EXPECT_EQ(h5::File::open(path()).read<double>("/data"), (std::vector<double>{1, 2}));
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

// 3 million numbers in chunks of 1 MiB, so that a slab ends inside; also conversions, hashes, and what has no rows.
TEST_F(H5File, SlabsAreTheWholeInOrder) {
  std::vector<std::int32_t> values(3'000'000);
  std::iota(values.begin(), values.end(), -5);
  {
    h5::File file = h5::File::create(path());
    file.write("/values", values.data(), {3'000'000 / 6, 2, 3});
    file.write("/none", values.data(), {0, 3});
    file.write("/scalar", values.data(), {});
    file.close();
  }
  const h5::File file = h5::File::open(path());
  std::size_t slabs = 0;
  std::vector<std::int32_t> same;
  file.read_slabs<std::int32_t>("/values", [&](std::span<const std::int32_t> slab) {
    same.insert(same.end(), slab.begin(), slab.end());
    ++slabs;
  });
  EXPECT_EQ(same, values);
  EXPECT_EQ(slabs, 2u) << "12 MB in slabs of 8 MiB";
  std::vector<double> wider;
  file.read_slabs<double>("/values",
                          [&](std::span<const double> slab) { wider.insert(wider.end(), slab.begin(), slab.end()); });
  EXPECT_TRUE(std::equal(wider.begin(), wider.end(), values.begin(), values.end()));
  for (const char* name : {"/none", "/scalar"})
    file.read_slabs<std::int32_t>(name, [&](std::span<const std::int32_t>) { ADD_FAILURE() << name; });
  expect_error([&] { file.read_slabs<float>("/values", [](std::span<const float>) {}); },
               {"int32", "float32 is wanted"});
  expect_error([&] { file.read_slabs<float>("/other", [](std::span<const float>) {}); }, {"no dataset /other"});
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
  expect_error([&] { h5::File::open(missing); }, {missing, "does not exist"});
  expect_error([&] { h5::File::open(text_file); }, {text_file, "cannot be read as an HDF5 file"});
  expect_error([&] { h5::File::open(directory_.path()); }, {directory_.path(), "is a directory"});
  ASSERT_EQ(::mkfifo((directory_ / "pipe.h5").c_str(), 0600), 0);
  expect_error([&] { h5::File::open(directory_ / "pipe.h5"); }, {"pipe.h5", "is a pipe"});
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
