#include <gtest/gtest.h>

#include "support/watchdog.hpp"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  brood::testing::install_watchdog();
  return RUN_ALL_TESTS();
}
