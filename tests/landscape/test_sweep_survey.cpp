#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/bits.hpp"
#include "support/errors.hpp"
#include "support/grids.hpp"
#include "support/h5_inspect.hpp"

namespace gradscape::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

class GridFile : public ::testing::Test {
 protected:
  std::string path() const { return directory_ / "grid.h5"; }
  Grid round_trip(const Grid& grid) const {
    write_grid(path(), {}, grid);
    return read_grid(path());
  }
  TemporaryDirectory directory_;
};

TEST_F(GridFile, ComesBackBitForBit) {
  Grid grid = make_grid({5, 7, 900'000'000'000});
  grid.direction = "update";
  grid.precision = "double";
  Cell& bad = grid.records[1].cells[0];
  bad.loss = kNan;
  bad.grad_norm = kInfinity;
  bad.grad_diff = -kInfinity;
  bad.beta = 5e-324;
  bad.grad_cos = -0.0;
  bad.status = CellStatus::non_finite;
  grid.records[2].cells[1].status = CellStatus::not_done;
  grid.records[2].cells[0].status = CellStatus::below_noise;
  grid.records[1].noise_floor = kNan;
  expect_same_grid(round_trip(grid), grid);
}

TEST_F(GridFile, ShortBatchesEndInMinusOne) {
  Grid grid = make_grid({0, 1, 2});
  grid.records[1].batch_index = {4, 0};
  grid.records[1].augmentation.resize(2);
  expect_same_grid(round_trip(grid), grid);
  EXPECT_EQ(RawDataset(path(), "/batch_index").shape(), (h5::Shape{3, 3}));
  EXPECT_EQ(h5::File::open(path()).read<std::int32_t>("/batch_index"),
            (std::vector<std::int32_t>{0, 1, 2, 4, 0, -1, 20, 21, 22}));
  EXPECT_EQ(h5::File::open(path()).read<std::int32_t>("/sample"), (std::vector<std::int32_t>{0, 1, 2}));
}

TEST_F(GridFile, AugmentationIsStoredWhereItIsUsed) {
  Grid grid = make_grid({0, 1});
  expect_same_grid(round_trip(grid), grid);
  for (const char* name : {"/batch_crop_y", "/batch_crop_x", "/batch_flip"})
    EXPECT_FALSE(h5::File::open(path()).exists(name)) << name;

  grid.records[0].augmentation = {{-4, 3, true}, {0, 0, false}, {16, -16, false}};
  grid.records[1].batch_index.pop_back();
  grid.records[1].augmentation = {{1, 0, false}, {0, 0, true}};
  expect_same_grid(round_trip(grid), grid);
  const h5::File file = h5::File::open(path());
  using Values = std::vector<std::int32_t>;
  EXPECT_EQ(file.read<std::int32_t>("/batch_crop_y"), (Values{-4, 0, 16, 1, 0, 0}));
  EXPECT_EQ(file.read<std::int32_t>("/batch_crop_x"), (Values{3, 0, -16, 0, 0, 0}));
  EXPECT_EQ(file.read<std::int32_t>("/batch_flip"), (Values{1, 0, 0, 0, 1, 0}));
  for (const char* name : {"/batch_crop_y", "/batch_crop_x", "/batch_flip"}) EXPECT_EQ(file.type_name(name), "int8");
}

TEST_F(GridFile, OneMovedImageIsAugmentation) {
  for (const Augmentation move : {Augmentation{1, 0, false}, Augmentation{0, -1, false}, Augmentation{0, 0, true}}) {
    Grid grid = make_grid({0});
    grid.records[0].augmentation[2] = move;
    expect_same_grid(round_trip(grid), grid);
    EXPECT_TRUE(h5::File::open(path()).exists("/batch_flip"));
  }
}

// Variables, types, units and dimensions as docs/format.md has them.
TEST_F(GridFile, DescribesItself) {
  write_grid(path(), {}, make_grid({0, 10}));
  const h5::File file = open_published(path(), "grid");
  const auto expect_variable = [&](const std::string& name, const std::string& type, const std::string& units,
                                   const std::vector<std::string>& dimensions) {
    SCOPED_TRACE(name);
    const RawDataset dataset(path(), name);
    EXPECT_EQ(file.type_name(name), type);
    EXPECT_EQ(dataset.text_attribute("units"), units);
    EXPECT_FALSE(dataset.text_attribute("long_name").empty());
    EXPECT_TRUE(dataset.has_checksum());
    const h5::Shape shape = dataset.shape();
    ASSERT_EQ(shape.size(), dimensions.size());
    for (unsigned axis = 0; axis < dimensions.size(); ++axis) {
      EXPECT_EQ(dataset.scales(axis), std::vector<std::string>{dimensions[axis]});
      EXPECT_EQ(shape[axis], RawDataset(path(), "/" + dimensions[axis]).shape()[0]);
    }
  };
  const std::vector<std::string> cell = {"step", "alpha"}, step = {"step"}, sample = {"step", "sample"};
  for (const std::string name : {"/accuracy", "/grad_cos"}) expect_variable(name, "float64", "1", cell);
  for (const std::string name : {"/grad_norm", "/grad_diff"}) expect_variable(name, "float64", "loss/weight", cell);
  expect_variable("/loss", "float64", "loss", cell);
  expect_variable("/distance", "float64", "weight", cell);
  expect_variable("/beta", "float64", "loss/weight^2", cell);
  expect_variable("/status", "uint8", "1", cell);
  for (const std::string name : {"/lr", "/noise_floor"}) expect_variable(name, "float64", "1", step);
  for (const std::string name : {"/train_loss", "/loss_min", "/loss_max"})
    expect_variable(name, "float64", "loss", step);
  for (const std::string name :
       {"/train_grad_norm", "/grad_norm_min", "/grad_norm_max", "/grad_diff_min", "/grad_diff_max"})
    expect_variable(name, "float64", "loss/weight", step);
  expect_variable("/beta_max", "float64", "loss/weight^2", step);
  expect_variable("/batch_index", "int32", "1", sample);
  for (const auto& [name, type] : {std::pair{"/step", "int64"}, {"/alpha", "float64"}, {"/sample", "int32"}}) {
    EXPECT_TRUE(RawDataset(path(), name).is_scale()) << name;
    EXPECT_EQ(file.type_name(name), type);
  }
  EXPECT_EQ(file.members("/").size(), 23u) << "and nothing else";
  EXPECT_EQ(file.read<double>("/alpha"), make_grid({}).multipliers);
  EXPECT_EQ(file.text_attribute("/", "direction"), "gradient");
  EXPECT_EQ(file.text_attribute("/", "probe_precision"), "native");
  EXPECT_EQ(file.text_attribute("/status", "flag_meanings"), "not_done ok non_finite below_noise");
  std::uint8_t flags[4] = {};
  const RawDataset status(path(), "/status");
  const h5::Handle attribute(H5Aopen(status.id(), "flag_values", H5P_DEFAULT), H5Aclose);
  H5Aread(attribute.get(), H5T_NATIVE_UINT8, flags);
  EXPECT_EQ(flags[0] + 10 * flags[1] + 100 * flags[2] + 1000 * flags[3], 3210);
}

TEST_F(GridFile, StoresTheBands) {
  Grid grid = make_grid({0, 1, 2});
  const std::vector<std::vector<double>> loss = {{3, 1}, {kNan, 5}, {7, kInfinity}};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 2; ++k) grid.records[i].cells[k].loss = loss[i][k];
  grid.records[0].cells[0].beta = 20;
  grid.records[0].cells[1].beta = 30;
  grid.records[2].train_grad_norm = 0;  // no direction: nothing to bound
  write_grid(path(), {}, grid);
  const h5::File file = h5::File::open(path());
  const auto low = file.read<double>("/loss_min"), high = file.read<double>("/loss_max");
  EXPECT_EQ(low[0], 1);
  EXPECT_EQ(high[0], 3);
  EXPECT_EQ(low[1], 5);
  EXPECT_EQ(high[1], 5);
  EXPECT_TRUE(std::isnan(low[2]) && std::isnan(high[2]));
  EXPECT_EQ(file.read<double>("/beta_max")[0], 30);
}

TEST_F(GridFile, BandsLeaveOutNoise) {
  Grid grid = make_grid({0, 1});
  grid.records[0].cells[0].status = CellStatus::below_noise;
  for (Cell& cell : grid.records[1].cells) cell.status = CellStatus::below_noise;
  write_grid(path(), {}, grid);
  const h5::File file = h5::File::open(path());
  for (const auto& [name, value] : {std::pair{"loss_min", &Cell::loss},
                                    {"loss_max", &Cell::loss},
                                    {"grad_diff_min", &Cell::grad_diff},
                                    {"grad_diff_max", &Cell::grad_diff},
                                    {"beta_max", &Cell::beta}}) {
    const auto band = file.read<double>(std::string("/") + name);
    EXPECT_EQ(band[0], grid.records[0].cells[1].*value) << name;
    EXPECT_TRUE(std::isnan(band[1])) << name;
  }
}

// Files of programs that knew no noise floor: it is unknown there, and all else is as it was.
TEST_F(GridFile, OlderFilesHaveNoNoiseFloor) {
  Grid grid = make_grid({0, 1});
  write_grid(path(), {}, grid);
  make_format_1(path());
  delete_dataset(path(), "/noise_floor");
  for (SweepRecord& record : grid.records) record.noise_floor = std::numeric_limits<double>::quiet_NaN();
  expect_same_grid(read_grid(path()), grid);
}

TEST_F(GridFile, VariablesMustFitTogether) {
  write_grid(path(), {}, make_grid({0, 1}));
  Provenance origin;
  origin.file_type = "grid";
  publish_h5(path(), origin, [](h5::File& file) {
    file.set_attribute("/", "direction", std::string("gradient"));
    file.set_attribute("/", "probe_precision", std::string("native"));
    file.write("/alpha", std::vector<double>{1});
    file.write("/step", std::vector<std::int64_t>{0, 1});
    file.write("/sample", std::vector<std::int32_t>{0});
    for (const char* name : {"/lr", "/train_loss"}) file.write(name, std::vector<double>{1, 2});
    file.write("/train_grad_norm", std::vector<double>{1, 2, 3});
  });
  expect_error([&] { read_grid(path()); }, {path(), "train_grad_norm", "extents"});
}

// What a file says twice must agree, also where it has no hashes.
TEST_F(GridFile, OlderFilesBandsMustBeTheirCells) {
  write_grid(path(), {}, make_grid({4, 6}));
  make_format_1(path());
  const std::string whole = read_bytes(path());
  EXPECT_NO_THROW(read_grid(path()));
  for (const std::string name : {"loss_min", "loss_max", "grad_diff_min", "grad_diff_max", "beta_max"}) {
    write_bytes(path(), whole);
    auto values = h5::File::open(path()).read<double>("/" + name);
    values[1] = 0;
    overwrite_dataset(path(), "/" + name, values);
    expect_error([&] { read_grid(path()); }, {path(), "at step 6", name + " is 0"});
  }
  write_bytes(path(), whole);
  overwrite_dataset<std::int32_t>(path(), "/sample", {0, 2, 1});
  expect_error([&] { read_grid(path()); }, {path(), "/sample"});
  write_bytes(path(), whole);
  overwrite_dataset<std::int64_t>(path(), "/step", {6, 4});
  expect_error([&] { read_grid(path()); }, {path(), "steps do not ascend"});
  write_bytes(path(), whole);
  overwrite_dataset<std::uint8_t>(path(), "/status", {1, 1, 1, 77});
  expect_error([&] { read_grid(path()); }, {path(), "status holds the value 77"});
}

// A record without a cell for each multiplier is a mistake of ours, to be found before anything is written.
TEST_F(GridFile, ARecordHasACellPerMultiplier) {
  Grid grid = make_grid({0, 1});
  grid.records[1].cells.pop_back();
  EXPECT_THROW(write_grid(path(), {}, grid), std::logic_error);
  EXPECT_TRUE(all_names(directory_.path()).empty());
}

TEST_F(GridFile, DamageInAnyVariableThatIsReadIsCaught) {
  Grid grid = make_grid({0, 1});
  grid.records[0].augmentation[0].flip = true;
  write_grid(path(), {}, grid);
  const std::string whole = read_bytes(path());
  for (const std::string name : {"/alpha", "/step", "/sample", "/lr", "/train_loss", "/train_grad_norm", "/noise_floor",
                                 "/loss", "/accuracy", "/grad_norm", "/grad_diff", "/grad_cos", "/distance", "/beta",
                                 "/status", "/batch_index", "/batch_crop_y", "/batch_crop_x", "/batch_flip"}) {
    write_bytes(path(), whole);
    damage_dataset(path(), name);
    expect_error([&] { read_grid(path()); }, {path(), name});
  }
}

}  // namespace
}  // namespace gradscape::testing
