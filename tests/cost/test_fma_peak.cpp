#include <gtest/gtest.h>

#include "gradscape/core/parallel.hpp"
#include "gradscape/cost/fma_peak.hpp"
#include "gradscape/host/cpu_info.hpp"

namespace gradscape::testing {
namespace {

TEST(FmaPeak, EveryInstructionSetOfTheProcessorHasOne) {
  std::vector<std::string> expected = {"avx2"};
  if (read_cpu_info().avx512) expected.push_back("avx512");
  std::vector<std::string> found;
  for (const FmaPeak& peak : measure_fma_peaks<float>()) {
    found.push_back(peak.isa);
    EXPECT_GT(peak.gflops, 0) << peak.isa;
    // No core does four multiply-adds of a vector per cycle, or 6 GHz: a loop that the compiler left out would.
    const double lanes = peak.isa == "avx512" ? 16 : 8;
    EXPECT_LT(peak.gflops, 4 * 2 * lanes * 6 * parallel::threads()) << peak.isa;
  }
  EXPECT_EQ(found, expected);
}

}  // namespace
}  // namespace gradscape::testing
