#include <brood/process.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/arena.hpp"
#include "support/watchdog.hpp"

namespace {

// BROOD_TEST_START_METHOD: the method that everything is started by which does not name one. The suites that must hold
// under every method run once for each.
void choose_start_method() {
  const char* const name = std::getenv("BROOD_TEST_START_METHOD");
  if (name == nullptr || *name == '\0') return;
  const std::string method = name;
  if (method == "fork") return brood::set_start_method(brood::StartMethod::fork);
  if (method == "forkserver") return brood::set_start_method(brood::StartMethod::forkserver);
  if (method == "spawn") return brood::set_start_method(brood::StartMethod::spawn);
  std::fprintf(stderr, "BROOD_TEST_START_METHOD=%s: must be fork, forkserver or spawn\n", name);
  std::exit(2);
}

}  // namespace

int main(int argc, char** argv) {
  brood::testing::map_arena();
  brood::init(argc, argv);
  choose_start_method();
  ::testing::InitGoogleTest(&argc, argv);
  brood::testing::install_watchdog();
  return RUN_ALL_TESTS();
}
