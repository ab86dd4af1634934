// What is left after pools, tasks and deaths: no process, no descriptor, no memory, nothing in /dev/shm.
#include <dirent.h>

#include <cerrno>
#include <fstream>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "pool/chaos.hpp"
#include "pool/processes.hpp"

namespace brood::pool_tests {
namespace {

std::size_t count_mappings() {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

std::set<std::string> names_in(const char* folder) {
  std::set<std::string> names;
  if (DIR* const directory = ::opendir(folder)) {
    while (const dirent* const entry = ::readdir(directory)) names.insert(entry->d_name);
    ::closedir(directory);
  }
  return names;
}

long resident_kib(pid_t pid = 0) {
  std::ifstream status("/proc/" + (pid == 0 ? "self" : std::to_string(pid)) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  }
  return 0;
}

// Everything a pool can be used for, in short.
void live() {
  Pool pool(PoolOptions{.processes = 3, .initializer = [] {}, .finalizer = [] {}});
  expect_works(pool);
  pool.map_async(negate, numbers(100)).then([](const std::vector<int>&) {});
  auto kept = pool.apply_async(negate, 1);
  auto stream = pool.imap(negate, Endless(0));
  for (int i = 0; i < 20; ++i) stream.next();
  EXPECT_THROW(pool.apply([] { throw std::out_of_range("x"); }), std::out_of_range);
  EXPECT_THROW(pool.apply([] { die(Death::killed); }), WorkerDied);
  EXPECT_THROW(pool.with({.retries = 1}).apply([] { die(Death::exit_3); }), WorkerDied);
  pool.apply([] { return std::vector<double>(100'000, 1.0); });
  pool.apply([](const std::vector<double>& x) { return x.size(); }, std::vector<double>(100'000, 1.0));
  pool.apply(brood::bind([](const std::string&) {}, "bound"));
  kept.get();
}
void live_and_be_terminated() {
  Pool pool(2);
  auto answers = pool.map_async([](int) { sleep_ms(600'000); }, numbers(100));
  auto large = pool.apply_async([](const std::vector<double>& x) { return x; }, std::vector<double>(500'000, 1.0));
  pool.terminate();
}
void live_and_throw() {
  try {
    Pool pool(2);
    pool.apply_async([] { sleep_ms(600'000); });
    throw std::runtime_error("unwinds");
  } catch (const std::runtime_error&) {
  }
}

// The allocator's arenas, and what the ThreadSanitizer keeps about threads and memory: 50 after four rounds of the
// following test, 80 after forty.
constexpr std::size_t kMoreMappings = kSanitized ? 140 : 40;

TEST(Leaks, NoProcessDescriptorOrMapping) {
  live();  // what is allocated once and kept
  live_and_be_terminated();
  live_and_throw();
  const int fds = count_fds();
  const std::size_t mappings = count_mappings();
  const auto shm = names_in("/dev/shm");
  const auto tmp = names_in("/tmp");
  for (std::size_t round = 0; round < scaled(40); ++round) {
    live();
    live_and_be_terminated();
    live_and_throw();
    EXPECT_FALSE(has_children());
  }
  EXPECT_EQ(count_fds(), fds);
  EXPECT_LE(count_mappings(), mappings + kMoreMappings);
  EXPECT_EQ(names_in("/dev/shm"), shm);
  EXPECT_TRUE(family().empty());
}

TEST(Leaks, ReplacedWorkers) {
  Pool pool(2);
  const auto kill_all = [&] {
    for (const pid_t pid : pool.pids()) ::kill(pid, SIGKILL);
    expect_recovers(pool);
  };
  for (int i = 0; i < 5; ++i) kill_all();
  const int fds = count_fds();
  const std::size_t mappings = count_mappings();
  for (std::size_t i = 0; i < scaled(100); ++i) kill_all();
  EXPECT_EQ(count_fds(), fds);
  EXPECT_LE(count_mappings(), mappings + kMoreMappings);
  // The template process and two workers; no zombies.
  EXPECT_TRUE(eventually([&] { return pool.pids().size() == 2 && family().size() == 3; }));
}

TEST(Leaks, SoakManyPools) {
  { Pool pool(2); }
  const int fds = count_fds();
  const long before_kib = resident_kib();
  for (std::size_t i = 0; i < scaled(2000); ++i) {
    Pool pool(2);
    if (i % 2 == 0) pool.apply(negate, 1);
    if (i % 3 == 0) pool.apply_async(negate, 1);
    if (i % 5 == 0) pool.terminate();
  }
  EXPECT_EQ(count_fds(), fds);
  EXPECT_FALSE(has_children());
  EXPECT_LT(resident_kib(), before_kib + 8 * 1024);
}

// Memory stays flat over a long stream, whatever its results weigh.
TEST(Leaks, SoakLongStream) {
  Pool pool(2);
  auto stream = pool.imap([](int x) { return std::string(static_cast<std::size_t>(x % 1000), 'x'); }, Endless(0));
  const auto take = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) static_cast<void>(stream.next());
  };
  take(scaled(50'000));
  const long before_kib = resident_kib();
  std::vector<long> workers_before;
  for (const pid_t pid : pool.pids()) workers_before.push_back(resident_kib(pid));
  take(scaled(500'000));
  EXPECT_LT(resident_kib(), before_kib + 16 * 1024);
  const auto pids = pool.pids();
  for (std::size_t i = 0; i < pids.size(); ++i) EXPECT_LT(resident_kib(pids[i]), workers_before[i] + 4 * 1024);
}

TEST(Leaks, SoakManyFunctions) {
  Pool pool(2);
  const auto call = [&](std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      pool.apply(brood::bind([](const std::string& text) { return text.size(); }, std::string(1000, 'x')));
      pool.apply_async([i] { return i; });
    }
  };
  call(scaled(5000));
  const long before_kib = resident_kib();
  call(scaled(50'000));
  EXPECT_LT(resident_kib(), before_kib + 16 * 1024);
}

TEST(Leaks, UnderChaos) {
  live();
  const int fds = count_fds();
  {
    Pool pool(3);
    Killer killer(pool, 2000);
    for (std::size_t i = 0; i < scaled(2000); ++i) {
      try {
        pool.apply_async([](int x) { return ::usleep(100), x; }, 1).get();
      } catch (const WorkerDied&) {
      }
    }
  }
  EXPECT_EQ(count_fds(), fds);
  EXPECT_FALSE(has_children());
}

// Not even the owner of SIGCHLD notices more than its arrival.
TEST(Leaks, ProgramThatReapsEverything) {
  const int code = run_in_child([] {
    struct sigaction action = {};
    action.sa_handler = [](int) {
      const int saved = errno;
      while (::waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      errno = saved;
    };
    ::sigaction(SIGCHLD, &action, nullptr);
    for (int i = 0; i < 20; ++i) {
      Pool pool(2);
      if (pool.apply(negate, 1) != -1) return 1;
      try {
        pool.apply([] { die(Death::killed); });
        return 2;
      } catch (const WorkerDied& error) {
        if (error.signal() != SIGKILL) return 3;
      }
      if (pool.map(negate, numbers(100)).back() != -99) return 4;
      if (i % 2 == 0) pool.terminate();
    }
    return 0;
  });
  EXPECT_EQ(code, 0);
}

TEST(Leaks, ProgramThatIgnoresSigchld) {
  const int code = run_in_child([] {
    ::signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 20; ++i) {
      Pool pool(2);
      if (pool.apply(negate, 1) != -1) return 1;
      try {
        pool.apply([] { die(Death::quick_exit_3); });
        return 2;
      } catch (const WorkerDied& error) {
        if (error.exitcode() != 3) return 3;
      }
      if (i % 2 == 0) pool.terminate();
    }
    return 0;
  });
  EXPECT_EQ(code, 0);
}

// Descriptors that the pool needs are not there: an error, and nothing lost.
TEST(Leaks, OutOfDescriptors) {
  const int code = run_in_child([] {
    warm_up();
    const int before = count_fds();
    const int none = ::dup(0);  // the lowest number that is free
    ::close(none);
    for (int allowed = none; allowed < none + 40; ++allowed) {
      const rlimit limit{static_cast<rlim_t>(allowed), 4096};
      ::setrlimit(RLIMIT_NOFILE, &limit);
      std::optional<Pool> pool;
      bool failed = false;
      try {
        pool.emplace(2);
        if (pool->apply(negate, 1) != -1) return 1;
      } catch (const std::exception&) {
        failed = true;
      }
      pool.reset();
      const rlimit enough{4096, 4096};
      ::setrlimit(RLIMIT_NOFILE, &enough);
      if (count_fds() != before) return 2;
      if (has_children()) return 3;
      if (allowed == none && !failed) return 4;
    }
    Pool pool(2);
    return pool.apply(negate, 1) == -1 ? 0 : 5;
  });
  EXPECT_EQ(code, 0);
}

// --- an idle pool uses no CPU ------------------------------------------------------------------------------

TEST(IdlePool, UsesNoCpu) {
  Pool pool(3);
  expect_works(pool);
  pool.apply_async(negate, 1).get();  // a service thread
  auto stream = pool.imap(negate, Endless(0));
  stream.next();
  sleep_ms(100);
  std::set<pid_t> all = family();
  all.insert(::getpid());
  EXPECT_EQ(all.size(), 5U);
  const auto ticks = [&] {
    unsigned long sum = 0;
    for (const pid_t pid : all) sum += stat_of(pid).value().ticks;
    return sum;
  };
  const unsigned long before = ticks();
  sleep_ms(1000);
  EXPECT_LE(ticks() - before, 2U);
}

TEST(IdlePool, WaitingForASlowTaskUsesNoCpu) {
  Pool pool(2);
  const unsigned long before = stat_of(::getpid())->ticks;
  auto answer = pool.apply_async([] { sleep_ms(600); });
  pool.map([](int) { sleep_ms(600); }, numbers(1));
  answer.get();
  EXPECT_LE(stat_of(::getpid())->ticks - before, 4U);
}

}  // namespace
}  // namespace brood::pool_tests
