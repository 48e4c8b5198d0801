#include <gtest/gtest.h>

#include "gradscape/core/nearest.hpp"

namespace gradscape::testing {
namespace {

TEST(Nearest, FindsTheNameThatWasMeant) {
  const std::vector<std::string> names = {"lr", "lr_min", "momentum", "weight_decay", "batch_size", "steps"};
  EXPECT_EQ(nearest("lr", names), "lr");
  EXPECT_EQ(nearest("lr_mni", names), "lr_min");
  EXPECT_EQ(nearest("momentm", names), "momentum");
  EXPECT_EQ(nearest("batchsize", names), "batch_size");
  EXPECT_EQ(nearest("weigth_decay", names), "weight_decay");
  EXPECT_EQ(nearest("step", names), "steps");
  EXPECT_EQ(nearest("completely_different", names), "");
  EXPECT_EQ(nearest("lr", {}), "");
}

}  // namespace
}  // namespace gradscape::testing
