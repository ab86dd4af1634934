// Ctrl-C while a pool works: the waiting call throws Interrupted, the pool ends, nothing is left behind.
// Better here: no initializer that ignores SIGINT in the workers, no tracebacks, no hanging join.
#include <brood/error.hpp>
#include <brood/pool.hpp>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <thread>
#include <vector>

constexpr unsigned kNumProcesses = 4;

int slow_square(int a) {
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return a * a;
}

int main() {
  std::vector<int> numbers(400);
  std::iota(numbers.begin(), numbers.end(), 0);
  try {
    brood::Pool pool(kNumProcesses);
    std::puts("Press Ctrl-C.");
    std::fflush(stdout);
    pool.map(slow_square, numbers);
  } catch (const brood::Interrupted&) {
    std::puts("Interrupted, the pool has ended.");
    return 130;
  }
  std::puts("Nobody pressed it.");
}
