// What the tests of the pool share: memory seen by all processes, ways to die, and a look at processes from outside.
#pragma once

#include <brood/pool.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include "os/clock.hpp"
#include "pool/processes.hpp"
#include "process/support.hpp"
#include "support/arena.hpp"
#include "support/ranges.hpp"
#include "support/sanitizer.hpp"
#include "support/scale.hpp"

namespace brood::pool_tests {

using brood::testing::Counted;
using brood::testing::Endless;
using brood::testing::kSanitized;
using brood::testing::scaled;
using os::testing::count_fds;
using os::testing::eventually;
using os::testing::exit_code_of;
using os::testing::fork_child;
using os::testing::run_in_child;
using proc::testing::Pipe;

using namespace std::chrono_literals;

// Zeroed memory that this process shares with all that it starts, whatever the method. A task reaches it through a
// captured pointer.
template <class T>
class Shared {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit Shared(std::size_t count = 1)
      : data_(static_cast<T*>(brood::testing::allocate_shared(count * sizeof(T)))), count_(count) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { brood::testing::free_shared(data_, count_ * sizeof(T)); }

  T* get() const noexcept { return data_; }
  std::size_t size() const noexcept { return count_; }
  T& operator*() const noexcept { return *data_; }
  T& operator[](std::size_t i) const noexcept { return data_[i]; }
  T* begin() const noexcept { return data_; }
  T* end() const noexcept { return data_ + count_; }

 private:
  T* data_;
  std::size_t count_;
};
using Counter = std::atomic<int>;
using Counters = Shared<Counter>;

// The E that `f` throws.
template <class E, class F>
E thrown_by(F&& f) {
  try {
    std::forward<F>(f)();
  } catch (const E& error) {
    return error;
  } catch (const std::exception& error) {
    throw std::logic_error(std::string("not a ") + typeid(E).name() + ": " + error.what());
  }
  throw std::logic_error(std::string("no ") + typeid(E).name() + " was thrown");
}

inline std::vector<int> numbers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

// Tasks.
inline int negate(int x) { return -x; }
inline int twice(int x) { return 2 * x; }

inline void sleep_ms(int ms) { ::usleep(static_cast<useconds_t>(ms) * 1000); }
// Until `word` is no longer 0.
inline void await(const Counter& word) {
  while (word.load() == 0) ::usleep(200);
}

// What a process begins once and keeps, for those who count: the fork server.
inline void warm_up() { Pool pool(1); }

// The pool does its work with all its workers.
inline void expect_works(Pool& pool) {
  std::vector<int> negated = numbers(100);
  for (int& x : negated) x = -x;
  EXPECT_EQ(pool.map(negate, numbers(100)), negated);
  EXPECT_EQ(pool.with({.chunksize = 1}).map(negate, numbers(100)), negated);
  EXPECT_EQ(pool.apply(negate, 7), -7);
  EXPECT_EQ(pool.pids().size(), pool.size());
}

// The same after workers were killed: whoever was killed a moment ago may still take a task and die with it.
inline void expect_recovers(Pool& pool) {
  EXPECT_TRUE(eventually([&] {
    try {
      pool.with({.chunksize = 1}).map(negate, numbers(20));
      sleep_ms(1);
      pool.with({.chunksize = 1}).map(negate, numbers(20));
      return true;
    } catch (const WorkerDied&) {
      return false;
    }
  }));
  expect_works(pool);
}

enum class Death { killed, segfault, aborted, quick_exit_3, exit_0, exit_3 };
inline constexpr Death kDeaths[] = {Death::killed,       Death::segfault, Death::aborted,
                                    Death::quick_exit_3, Death::exit_0,   Death::exit_3};

[[noreturn]] inline void die(Death how) {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  switch (how) {
    case Death::killed:
      ::raise(SIGKILL);
      break;
    case Death::segfault: {
      ::signal(SIGSEGV, SIG_DFL);  // a sanitizer would make an exit of it
      volatile std::uintptr_t nowhere = 64;
      *reinterpret_cast<volatile int*>(nowhere) = 1;
      break;
    }
    case Death::aborted:
      std::abort();
    case Death::quick_exit_3:
      ::_exit(3);
    case Death::exit_0:
      std::exit(0);
    case Death::exit_3:
      std::exit(3);
  }
  std::abort();
}

inline int exitcode_of(Death how) {
  switch (how) {
    case Death::killed:
      return -SIGKILL;
    case Death::segfault:
      return -SIGSEGV;
    case Death::aborted:
      return -SIGABRT;
    case Death::quick_exit_3:
    case Death::exit_3:
      return 3;
    case Death::exit_0:
      return 0;
  }
  return -1000;
}

inline std::string name_of(Death how) {
  constexpr const char* kNames[] = {"killed", "segfault", "aborted", "quick_exit_3", "exit_0", "exit_3"};
  return kNames[static_cast<int>(how)];
}

// What a pool should know of itself when a task of its says so; used by tests that go through all deaths.
class EveryDeath : public ::testing::TestWithParam<Death> {};
inline std::string name_of_death(const ::testing::TestParamInfo<Death>& info) { return name_of(info.param); }

}  // namespace brood::pool_tests
