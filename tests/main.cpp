#include <gtest/gtest.h>

#include "gradscape/core/parallel.hpp"

int main(int argc, char** argv) {
  gradscape::parallel::initialise();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
