// A program without brood::init(): its starts by spawn and forkserver are refused, and its main() runs once.
//
// Prints a line for each run of main(); the test counts them. Exit code 0: everything was refused as it should be.
#include <brood/brood.hpp>

#include <cstdio>
#include <string>

namespace {

bool is_refused(const brood::StartMethod method) {
  brood::Process process(brood::ProcessOptions{.start_method = method}, [] {});
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      process.start();
      return false;
    } catch (const brood::ProcessError& error) {
      if (std::string(error.what()).find("brood::init(argc, argv)") == std::string::npos) return false;
    }
  }
  return process.pid() == 0 && !process.is_alive() && brood::active_children().empty();
}

bool pool_is_refused(const brood::StartMethod method) {
  try {
    brood::Pool pool(brood::PoolOptions{.processes = 1, .start_method = method});
    return false;
  } catch (const brood::ProcessError& error) {
    return std::string(error.what()).find("brood::init(argc, argv)") != std::string::npos;
  }
}

bool fork_works() {
  brood::Process process([] {});
  process.start();
  process.join();
  return process.exitcode() == 0;
}

}  // namespace

int main() {
  std::puts("main");
  std::fflush(stdout);
  for (const brood::StartMethod method : {brood::StartMethod::spawn, brood::StartMethod::forkserver}) {
    if (!is_refused(method)) return 1;
    if (!pool_is_refused(method)) return 2;
  }
  return fork_works() ? 0 : 3;
}
