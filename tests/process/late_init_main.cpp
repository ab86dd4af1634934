// A program that calls brood::init() too late: what it does before runs in its children as well, and no further.
//
// Prints a line for each time main() begins, and one when it goes on after init(). Without arguments it starts one
// process by spawn; "before" as argument: it tries to before init(); "close": it closes all descriptors before init(),
// as some libraries do when they are loaded.
#include <brood/brood.hpp>

#include <unistd.h>

#include <cstdio>
#include <string>

namespace {

int start_one() {
  brood::Process process(brood::ProcessOptions{.start_method = brood::StartMethod::spawn}, [] { std::puts("child"); });
  try {
    process.start();
  } catch (const brood::ProcessError&) {
    std::puts("refused");
    std::fflush(stdout);
    return 4;
  }
  process.join();
  return process.exitcode().value();
}

}  // namespace

int main(int argc, char** argv) {
  std::puts("begin");
  std::fflush(stdout);
  const std::string how = argc > 1 ? argv[1] : "";
  if (how == "before") start_one();
  if (how == "close") {
    for (int fd = 3; fd < 100; ++fd) ::close(fd);
  }
  brood::init(argc, argv);
  std::puts("main");
  std::fflush(stdout);
  return start_one();
}
