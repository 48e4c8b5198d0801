#include <gtest/gtest.h>

#include "gradscape/host/isa.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

class SelectIsa : public ::testing::Test {
 protected:
  ~SelectIsa() override { select_isa("auto"); }
};

TEST_F(SelectIsa, TakesItsNames) {
  EXPECT_EQ(isa_names(), (std::vector<std::string>{"auto", "avx2", "avx512"}));
  const Isa own = selected_isa();
  select_isa("avx2");
  EXPECT_EQ(selected_isa(), Isa::avx2);
  select_isa("auto");
  EXPECT_EQ(selected_isa(), own) << "auto is what holds before any choice";
}

TEST_F(SelectIsa, RefusesWhatTheCpuLacks) {
  select_isa("avx2");
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl")) {
    select_isa("avx512");
    EXPECT_EQ(selected_isa(), Isa::avx512);
  } else {
    expect_error<UsageError>([] { select_isa("avx512"); }, {"--isa", "no AVX-512"});
    EXPECT_EQ(selected_isa(), Isa::avx2) << "the choice stays";
  }
}

TEST_F(SelectIsa, RefusesOtherNames) {
  for (const char* name : {"", "avx", "AVX2", "sse2"})
    expect_error<UsageError>([&] { select_isa(name); },
                             {"--isa", std::string("\"") + name + "\"", "auto | avx2 | avx512"});
}

}  // namespace
}  // namespace gradscape::testing
