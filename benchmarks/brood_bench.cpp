// brood's side of every measure. `compare` runs one measure per process, so none profits from another's warm-up.
#include <brood/error.hpp>
#include <brood/pool.hpp>

#include <signal.h>
#include <unistd.h>

#include <numeric>
#include <stdexcept>

#include "bench.hpp"
#include "proc_info.hpp"

namespace {

int ident(int x) { return x; }

std::vector<double> echo(std::vector<double> values) { return values; }

pid_t worker_pid() { return getpid(); }

std::vector<int> numbers_up_to(std::size_t count) {
  std::vector<int> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

void must(bool condition) {
  if (!condition) throw std::runtime_error("a wrong result: the figures would mean nothing");
}

// Runs once to warm up, then reports tasks per second by the median.
template <class F>
void report_rate(const char* key, std::size_t tasks, int repeats, F&& once) {
  once();
  bench::report(key, static_cast<double>(tasks) / bench::median_seconds(repeats, once), "tasks/s");
}

void map_rate(const char* key, std::size_t tasks, std::size_t chunksize) {
  const std::vector<int> numbers = numbers_up_to(tasks);
  brood::Pool pool(2);
  report_rate(key, tasks, 7,
              [&] { must(pool.with(brood::TaskOptions{.chunksize = chunksize}).map(ident, numbers).size() == tasks); });
}

void map_defaults(bool quick) { map_rate("map_defaults", quick ? 100'000 : 1'000'000, 0); }
void map_chunk1(bool quick) { map_rate("map_chunk1", quick ? 50'000 : 300'000, 1); }

template <bool unordered>
void imap_rate(const char* key, std::size_t tasks, std::size_t chunksize) {
  const std::vector<int> numbers = numbers_up_to(tasks);
  const std::int64_t expected = std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
  brood::Pool pool(2);
  report_rate(key, tasks, 5, [&] {
    std::int64_t sum = 0;
    const brood::TaskOptions options{.chunksize = chunksize};
    if constexpr (unordered) {
      for (int value : pool.with(options).imap_unordered(ident, numbers)) sum += value;
    } else {
      for (int value : pool.with(options).imap(ident, numbers)) sum += value;
    }
    must(sum == expected);
  });
}

void imap(bool quick) { imap_rate<false>("imap", quick ? 100'000 : 1'000'000, 0); }
void imap_unordered(bool quick) { imap_rate<true>("imap_unordered", quick ? 100'000 : 1'000'000, 0); }
void imap_chunk1(bool quick) { imap_rate<false>("imap_chunk1", quick ? 50'000 : 300'000, 1); }
void imap_unordered_chunk1(bool quick) { imap_rate<true>("imap_unordered_chunk1", quick ? 50'000 : 300'000, 1); }

void apply_time(const char* key, unsigned workers, int calls) {
  brood::Pool pool(workers);
  const auto once = [&] {
    for (int i = 0; i < calls; ++i) must(pool.apply(ident, i) == i);
  };
  once();
  bench::report(key, bench::median_seconds(5, once) / calls * 1e6, "us");
}

void apply(bool quick) { apply_time("apply", 2, quick ? 2'000 : 50'000); }
void apply_1(bool quick) { apply_time("apply_1", 1, quick ? 2'000 : 50'000); }

void apply_async(bool quick) {
  constexpr int kTasks = 50'000;
  brood::Pool pool(2);
  report_rate("apply_async", kTasks, quick ? 3 : 7, [&] {
    std::vector<brood::AsyncResult<int>> results;
    results.reserve(kTasks);
    for (int i = 0; i < kTasks; ++i) results.push_back(pool.apply_async(ident, i));
    for (int i = 0; i < kTasks; ++i) must(results[static_cast<std::size_t>(i)].get() == i);
  });
}

void vector_64mib(bool quick) {
  constexpr std::size_t kBytes = 64 << 20;
  const std::vector<double> values(kBytes / sizeof(double), 1.5);
  brood::Pool pool(2);
  const auto once = [&] { must(pool.apply(echo, values).size() == values.size()); };
  once();
  const double seconds = bench::median_seconds(quick ? 3 : 7, once);
  bench::report("vector_64mib", seconds * 1e3, "ms");
  bench::report("vector_64mib_bandwidth", 2 * static_cast<double>(kBytes) / seconds, "B/s");
}

void pool_start(bool quick) {
  const double empty = bench::median_seconds(quick ? 10 : 100, [] { brood::Pool pool(4); });
  bench::report("pool_start", empty * 1e6, "us");
  const double used = bench::median_seconds(quick ? 10 : 100, [] {
    brood::Pool pool(4);
    must(pool.with(brood::TaskOptions{.chunksize = 1}).map(ident, std::vector<int>{1, 2, 3, 4}).size() == 4);
  });
  bench::report("pool_start_used", used * 1e6, "us");
}

// From the kill of an idle pool's only worker to the answer of the next task, which another process gives.
void replace_worker(bool quick) {
  brood::Pool pool(1);
  pid_t pid = pool.apply(worker_pid);
  std::vector<double> seconds;
  for (int i = 0; i < (quick ? 10 : 50); ++i) {
    usleep(50'000);
    const pid_t old = pid;
    seconds.push_back(bench::seconds_of([&] {
      kill(old, SIGKILL);
      while (pid == old) {
        try {
          pid = pool.apply(worker_pid);
        } catch (const brood::WorkerDied&) {
          // The task was faster than the signal.
        }
      }
    }));
  }
  bench::report("replace_worker", bench::median(seconds) * 1e6, "us");
}

double cpu_us_per_task(unsigned workers, std::uint32_t steps, std::size_t tasks) {
  const std::vector<std::uint32_t> inputs(tasks, steps);
  brood::Pool pool(workers);
  pool.map(bench::spin, inputs);
  const std::vector<pid_t> family = bench::family_of(pool.pids());
  std::vector<double> seconds;
  for (int i = 0; i < 3; ++i) {
    const double before = bench::cpu_seconds(family);
    must(pool.map(bench::spin, inputs).size() == tasks);
    seconds.push_back(bench::cpu_seconds(family) - before);
  }
  return bench::median(seconds) / static_cast<double>(tasks) * 1e6;
}

void cpu_per_task(const char* key_2, const char* key_256, double microseconds, std::size_t tasks) {
  const std::uint32_t steps = bench::steps_for(microseconds);
  bench::report(key_2, cpu_us_per_task(2, steps, tasks), "us");
  bench::report(key_256, cpu_us_per_task(256, steps, tasks), "us");
}

void cpu_1us(bool quick) { cpu_per_task("cpu_1us_2", "cpu_1us_256", 1, quick ? 50'000 : 500'000); }
void cpu_20us(bool quick) { cpu_per_task("cpu_20us_2", "cpu_20us_256", 20, quick ? 5'000 : 50'000); }

void report_memory(const char* key_pss, const char* key_private, const std::vector<pid_t>& pids) {
  std::vector<double> pss, unshared;
  for (const pid_t pid : pids) {
    const bench::Memory memory = bench::memory_of(pid);
    pss.push_back(memory.pss_mib);
    unshared.push_back(memory.private_mib);
  }
  bench::report(key_pss, bench::median(pss), "MiB");
  bench::report(key_private, bench::median(unshared), "MiB");
}

void memory(bool quick) {
  brood::Pool pool(2);
  // After the pool: what the caller holds when it makes one is shared with the workers, and would count here.
  const std::vector<int> numbers = numbers_up_to(quick ? 100'000 : 1'000'000);
  usleep(300'000);
  report_memory("memory_start_pss", "memory_start_private", pool.pids());
  pool.map(ident, numbers);
  usleep(300'000);
  report_memory("memory_map_pss", "memory_map_private", pool.pids());
}

// CPU time that a pool which nobody uses takes in two seconds: the workers, the template process, and the caller
// without the thread that measures.
void idle_cpu(bool quick) {
  brood::Pool pool(2);
  pool.map(ident, numbers_up_to(100'000));
  usleep(300'000);
  const std::vector<pid_t> family = bench::family_of(pool.pids());
  const auto cpu_seconds = [&] { return bench::cpu_seconds(family) - bench::thread_cpu_seconds(); };
  const double before = cpu_seconds();
  usleep(quick ? 500'000 : 2'000'000);
  // The two clocks are read one after the other: a difference below zero is none.
  bench::report("idle_cpu", std::max(0.0, cpu_seconds() - before) * 1e6, "us");
}

void work(const char* key, const char* serial_key, double microseconds, std::size_t tasks) {
  const std::vector<std::uint32_t> inputs(tasks, bench::steps_for(microseconds));
  std::vector<std::uint32_t> results(tasks);
  report_rate(serial_key, tasks, 3, [&] {
    for (std::size_t i = 0; i < tasks; ++i) results[i] = bench::spin(inputs[i]);
  });
  brood::Pool pool(2);
  report_rate(key, tasks, 3, [&] { must(pool.map(bench::spin, inputs) == results); });
}

void work_1us(bool quick) { work("work_1us", "serial_1us", 1, quick ? 50'000 : 500'000); }
void work_20us(bool quick) { work("work_20us", "serial_20us", 20, quick ? 5'000 : 50'000); }

constexpr bench::Measure kMeasures[] = {
    {"map_defaults", map_defaults},
    {"map_chunk1", map_chunk1},
    {"imap", imap},
    {"imap_unordered", imap_unordered},
    {"imap_chunk1", imap_chunk1},
    {"imap_unordered_chunk1", imap_unordered_chunk1},
    {"apply", apply},
    {"apply_1", apply_1},
    {"apply_async", apply_async},
    {"vector_64mib", vector_64mib},
    {"pool_start", pool_start},
    {"replace_worker", replace_worker},
    {"cpu_1us", cpu_1us},
    {"cpu_20us", cpu_20us},
    {"memory", memory},
    {"idle_cpu", idle_cpu},
    {"work_1us", work_1us},
    {"work_20us", work_20us},
};

}  // namespace

int main(int argc, char** argv) { return bench::main(argc, argv, kMeasures); }
