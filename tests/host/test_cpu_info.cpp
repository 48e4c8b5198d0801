#include <gtest/gtest.h>

#include "gradscape/host/cpu_info.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

TEST(CpuInfo, ReadsTheFirstProcessor) {
  const TemporaryDirectory folder;
  write_bytes(folder / "cpuinfo",
              "processor\t: 0\nvendor_id\t: X\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC: 9\npower "
              "management:\n\nprocessor\t: 1\ncpu family\t: 6\nmodel\t\t: 3\nmodel name\t: other\n");
  CpuInfo info = read_cpu_info(folder / "cpuinfo");
  EXPECT_EQ(info.name, "AMD EPYC: 9");
  EXPECT_EQ(info.family, "26");
  EXPECT_EQ(info.model, "2");
  info.avx512 = true;
  EXPECT_EQ(info.text(), "AMD EPYC: 9 (family 26 model 2, AVX-512)");
  info.avx512 = false;
  EXPECT_EQ(info.text(), "AMD EPYC: 9 (family 26 model 2, no AVX-512)");
}

TEST(CpuInfo, SaysSoWhereNothingIsKnown) {
  const TemporaryDirectory folder;
  write_bytes(folder / "other", "processor\t: 0\nBogoMIPS\t: 48.00\nFeatures\t: fp\nmodel name\t:\n:\n: x\n");
  for (const std::string& path : {folder / "missing", folder / "other"}) {
    const CpuInfo info = read_cpu_info(path);
    EXPECT_EQ(info.name, "unknown CPU");
    EXPECT_EQ(info.family, "?");
    EXPECT_EQ(info.model, "?");
  }
}

}  // namespace
}  // namespace gradscape::testing
