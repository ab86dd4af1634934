// The same jobs in threads of one process, by oneTBB: what is possible when nothing has to leave the process.
#ifdef BROOD_HAVE_TBB

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_group.h>

#include <numeric>

#include "bench.hpp"

namespace {

constexpr std::size_t kThreads = 2;

int ident(int x) { return x; }

void apply_async(bool quick) {
  constexpr std::size_t kTasks = 50'000;
  std::vector<int> results(kTasks);
  const auto once = [&] {
    oneapi::tbb::task_group group;
    for (std::size_t i = 0; i < kTasks; ++i) group.run([&results, i] { results[i] = ident(static_cast<int>(i)); });
    group.wait();
  };
  once();
  bench::report("apply_async", kTasks / bench::median_seconds(quick ? 3 : 7, once), "tasks/s");
}

void map_defaults(bool quick) {
  const std::size_t tasks = quick ? 100'000 : 1'000'000;
  std::vector<int> numbers(tasks), results(tasks);
  std::iota(numbers.begin(), numbers.end(), 0);
  const auto once = [&] {
    oneapi::tbb::parallel_for(std::size_t{0}, tasks, [&](std::size_t i) { results[i] = ident(numbers[i]); });
    asm volatile("" : : "r"(results.data()) : "memory");
  };
  once();
  bench::report("map_defaults", static_cast<double>(tasks) / bench::median_seconds(7, once), "tasks/s");
}

void work(const char* key, double microseconds, std::size_t tasks) {
  const std::uint32_t steps = bench::steps_for(microseconds);
  std::vector<std::uint32_t> results(tasks);
  const auto once = [&] {
    oneapi::tbb::parallel_for(std::size_t{0}, tasks, [&](std::size_t i) { results[i] = bench::spin(steps); });
  };
  once();
  bench::report(key, static_cast<double>(tasks) / bench::median_seconds(3, once), "tasks/s");
}

void work_1us(bool quick) { work("work_1us", 1, quick ? 50'000 : 500'000); }
void work_20us(bool quick) { work("work_20us", 20, quick ? 5'000 : 50'000); }

constexpr bench::Measure kMeasures[] = {
    {"apply_async", apply_async},
    {"map_defaults", map_defaults},
    {"work_1us", work_1us},
    {"work_20us", work_20us},
};

}  // namespace

int main(int argc, char** argv) {
  const oneapi::tbb::global_control threads(oneapi::tbb::global_control::max_allowed_parallelism, kThreads);
  return bench::main(argc, argv, kMeasures);
}

#else

#include <cstdio>

int main() {
  std::fputs("tbb_bench: built without oneTBB (libtbb-dev); its figures are left out\n", stderr);
  return 3;
}

#endif
