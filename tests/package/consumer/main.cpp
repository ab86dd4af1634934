#include <brood/brood.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

// Uses the library as a program of somebody else does: workers that run its functions and lambdas, a stream, a process,
// an exception that crosses the borders of the process and of the library.
namespace {

int square(int x) { return x * x; }

void check(bool good, const char* what) {
  if (good) return;
  std::printf("wrong: %s\n", what);
  std::fflush(stdout);
  throw std::logic_error(what);
}

}  // namespace

int main() {
  try {
    throw brood::WorkerDied(1, -9, 7);
  } catch (const std::runtime_error& error) {
    std::printf("brood %s: %s\n", brood::version(), error.what());
    check(dynamic_cast<const brood::Error*>(&error) != nullptr, "the type of an error of the library");
  }

  brood::Pool pool(2);
  const std::string suffix = "!";
  check(pool.map(square, std::vector{1, 2, 3}) == std::vector{1, 4, 9}, "map");
  check(pool.apply(brood::bind([](const std::string& a, const std::string& b) { return b + a; }, suffix), "text") ==
            "text!",
        "apply");
  int sum = 0;
  for (const int x : pool.imap(square, std::vector{1, 2, 3})) sum += x;
  check(sum == 14, "imap");
  check(pool.apply_async([](int x) { return x + 1; }, 41).get() == 42, "apply_async");
  try {
    pool.apply([](int) -> int { throw std::out_of_range("from a worker"); }, 1);
    check(false, "an exception of a task");
  } catch (const std::out_of_range& error) {
    check(std::string(error.what()) == "from a worker", "the text of a task's exception");
  }

  brood::Process process([] {});
  process.start();
  process.join();
  check(process.exitcode() == 0, "a process");
  return 0;
}
