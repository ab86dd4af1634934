// A million tasks of a few hundred nanoseconds each, in a loop and through the pool with its defaults.
// Better here: nobody has to cut the input in pieces and try sizes; chunks follow the measured time of a task.
#include <brood/pool.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <vector>

std::uint32_t collatz_steps(std::uint32_t n) {
  std::uint32_t steps = 0;
  for (std::uint64_t value = n; value > 1; ++steps) value = value % 2 == 0 ? value / 2 : 3 * value + 1;
  return steps;
}

template <class F>
double seconds_of(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int main() {
  std::vector<std::uint32_t> numbers(1'000'000);
  std::iota(numbers.begin(), numbers.end(), 1U);

  std::vector<std::uint32_t> serial, parallel;
  const double serial_seconds = seconds_of([&] {
    for (std::uint32_t n : numbers) serial.push_back(collatz_steps(n));
  });
  brood::Pool pool;
  const double pool_seconds = seconds_of([&] { parallel = pool.map(collatz_steps, numbers); });

  std::printf("one process: %.3f s, pool of %u: %.3f s\n", serial_seconds, pool.size(), pool_seconds);
  std::printf("same results: %s\n", serial == parallel ? "yes" : "no");
}
