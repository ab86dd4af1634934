// Failures at unusual places: in destructors, in exit handlers, for want of memory, from inside callbacks; and values
// of gigabytes.
#include <atomic>
#include <fstream>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

// Dies when it is destroyed in a worker.
struct Doomed {
  int value = 0;
  Death how = Death::killed;
  pid_t caller = ::getpid();

  Doomed() = default;
  Doomed(int number, Death death) : value(number), how(death) {}
  Doomed(const Doomed&) = default;
  Doomed& operator=(const Doomed&) = default;
  ~Doomed() {
    if (::getpid() != caller && value < 0) die(how);
  }
  template <class A>
  void serialize(A& archive) {
    archive(value, how, caller);
  }
};

class Accidents : public EveryDeath {};
INSTANTIATE_TEST_SUITE_P(All, Accidents, ::testing::ValuesIn(kDeaths), name_of_death);

// The task has its result already, or it dies: one or the other.
TEST_P(Accidents, DestructorOfAnArgument) {
  Pool pool(2);
  const auto task = [](const Doomed& x) { return x.value; };
  for (int i = 1; i < 10; ++i) {
    try {
      EXPECT_EQ(pool.apply(task, Doomed(-i, GetParam())), -i);
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.exitcode(), exitcode_of(GetParam()));
    }
  }
  std::vector<Doomed> some;
  for (int i = 0; i < 50; ++i) some.emplace_back(i == 13 ? -13 : i, GetParam());
  auto stream = pool.with({.chunksize = 10}).imap(task, some);
  for (int i = 0; i < 50; ++i) {
    try {
      EXPECT_EQ(stream.next(), i == 13 ? -13 : i);
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.task_index(), 13U);
    }
  }
  expect_recovers(pool);
}

TEST_P(Accidents, DestructorOfTheCallable) {
  Pool pool(2);
  struct Task {
    Doomed doomed;
    int operator()(int x) const { return x; }
  };
  for (int i = 0; i < 20; ++i) {
    try {
      EXPECT_EQ(pool.apply(Task{Doomed(-1, GetParam())}, i), i);
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.exitcode(), exitcode_of(GetParam()));
    }
  }
  expect_recovers(pool);
}

TEST_P(Accidents, DestructorOfAnException) {
  Pool pool(2);
  struct Broken : std::runtime_error {
    explicit Broken(Death death) : std::runtime_error("broken"), doomed(std::make_shared<Doomed>(-1, death)) {}
    std::shared_ptr<Doomed> doomed;
  };
  for (int i = 0; i < 5; ++i) {
    EXPECT_THROW(pool.apply([how = GetParam()] { throw Broken(how); }), Error);  // itself, or WorkerDied
  }
  expect_recovers(pool);
}

// A worker that ends in peace runs no exit handlers; one whose task calls exit() does, and may die in them.
TEST_P(Accidents, ExitHandler) {
  Counters handled;
  {
    Pool pool(1);
    static Counter* counter = nullptr;
    static Death death = Death::killed;
    const auto arm = [at = handled.get(), how = GetParam()] {
      counter = at;
      death = how;
      std::atexit([] {
        if (++*counter == 1) die(death == Death::exit_0 || death == Death::exit_3 ? Death::quick_exit_3 : death);
      });
    };
    pool.apply(arm);
    EXPECT_THROW(pool.apply([] { std::exit(0); }), WorkerDied);
    EXPECT_EQ(*handled, 1);
    pool.apply(arm);
  }
  EXPECT_EQ(*handled, 1);
  EXPECT_FALSE(has_children());
}

// --- out of memory ----------------------------------------------------------------------------------------------

constexpr std::size_t kMiB = std::size_t{1} << 20U;

// Leaves this process so much more address space than it has.
void limit_memory(std::size_t more) {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t most = pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)) + more;
  const rlimit limit{most, most};
  ::setrlimit(RLIMIT_AS, &limit);
}

TEST(OutOfMemory, InATask) {
  if (kSanitized) GTEST_SKIP() << "sanitizers reserve the address space";
  Pool pool(PoolOptions{.processes = 2, .initializer = [] { limit_memory(128 * kMiB); }});
  const auto eat = [](std::size_t bytes) { return std::vector<char>(bytes).size(); };
  EXPECT_EQ(pool.apply(eat, kMiB), kMiB);
  for (int i = 0; i < 5; ++i) {
    EXPECT_THROW(pool.apply(eat, 256 * kMiB), std::bad_alloc);
    EXPECT_THROW(pool.map(eat, std::vector<std::size_t>{1, 256 * kMiB, 2}), std::bad_alloc);
  }
  // Large arrays need no second copy.
  EXPECT_EQ(pool.apply([] { return std::vector<char>(90 * kMiB); }).size(), 90 * kMiB);
  // Not enough for the argument.
  const std::vector<char> large(160 * kMiB);
  EXPECT_THROW(pool.apply([](const std::vector<char>& x) { return x.size(); }, large), std::bad_alloc);
  EXPECT_THROW(pool.apply_async([](const std::vector<char>& x) { return x.size(); }, large).get(), std::bad_alloc);
  // Enough for the result, but not for its bytes beside it.
  EXPECT_THROW(pool.apply([] { return std::vector<std::string>(900'000, std::string(60, 'x')); }), std::bad_alloc);
  expect_works(pool);
}

// --- from inside a callback -----------------------------------------------------------------------------------------

enum class Place { save_in_caller, load_in_worker, save_in_worker, load_in_caller };

struct Mine {
  Place place = Place::save_in_caller;
  bool dies = false;
  Death death = Death::killed;
  pid_t caller = ::getpid();

  template <class A>
  void serialize(A& archive) {
    if (A::is_saving::value) step_on(::getpid() == caller ? Place::save_in_caller : Place::save_in_worker);
    archive(place, dies, death, caller);
    if (A::is_loading::value) step_on(::getpid() == caller ? Place::load_in_caller : Place::load_in_worker);
  }
  void step_on(Place at) const {
    if (at != place) return;
    if (dies) die(death);
    throw std::domain_error("mine");
  }
};
Mine echo(const Mine& mine) { return mine; }

TEST(FromACallback, ValuesThatThrow) {
  std::atomic<int> right{0};
  {
    Pool pool(2);
    for (const Place place :
         {Place::save_in_caller, Place::load_in_worker, Place::save_in_worker, Place::load_in_caller}) {
      pool.apply_async(negate, 1).then([&, place](int) {
        try {
          pool.apply(echo, Mine{place});
        } catch (const std::domain_error&) {
          ++right;
        }
        try {
          pool.map(echo, std::vector<Mine>(10, Mine{place}));
        } catch (const std::domain_error&) {
          ++right;
        }
        right += pool.apply(negate, -1);
      });
    }
    EXPECT_TRUE(eventually([&] { return right == 12; })) << right;
    expect_works(pool);
  }
}

TEST_P(Accidents, InTheWorkerFromACallback) {
  std::atomic<int> right{0};
  {
    Pool pool(2);
    for (const Place place : {Place::load_in_worker, Place::save_in_worker}) {
      pool.apply_async(negate, 1).then([&, place](int) {
        try {
          pool.apply(echo, Mine{place, true, GetParam()});
        } catch (const WorkerDied& error) {
          right += error.exitcode() == exitcode_of(GetParam()) ? 1 : 0;
        }
        right += pool.apply(negate, -1);
      });
    }
    EXPECT_TRUE(eventually([&] { return right == 4; })) << right;
  }
}

TEST_P(Accidents, InTheCallerFromACallback) {
  for (const Place place : {Place::save_in_caller, Place::load_in_caller}) {
    EXPECT_EQ(run_in_child([&] {
                Pool pool(2);
                pool.apply_async(negate, 1).then([&](int) { pool.apply(echo, Mine{place, true, GetParam()}); });
                for (;;) ::pause();
                return 77;
              }),
              exitcode_of(GetParam()));
  }
}

// --- gigabytes ------------------------------------------------------------------------------------------------------

// Needs 15 GB of memory, so only when asked for.
TEST(Gigabytes, SoakMoreThanFourInEachDirection) {
  if (std::getenv("BROOD_LONG_TESTS") == nullptr) GTEST_SKIP() << "set BROOD_LONG_TESTS for it";
  Pool pool(1);
  for (const std::size_t gib_tenths : {21U, 43U}) {
    const std::size_t count = gib_tenths * ((std::size_t{1} << 30U) / 10) / sizeof(std::uint64_t);
    const auto made = pool.apply(
        [](std::size_t n) {
          std::vector<std::uint64_t> all(n);
          for (std::size_t i = 0; i < n; i += 1000) all[i] = i;
          return all;
        },
        count);
    ASSERT_EQ(made.size(), count);
    for (std::size_t i = 0; i < count; i += 1000) ASSERT_EQ(made[i], i);
    const auto sum = pool.apply(
        [](const std::vector<std::uint64_t>& all) {
          std::uint64_t right = 0;
          for (std::size_t i = 0; i < all.size(); i += 1000) right += all[i] == i ? 1U : 0U;
          return right;
        },
        made);
    EXPECT_EQ(sum, (count + 999) / 1000);
  }
  expect_works(pool);
}

}  // namespace
}  // namespace brood::pool_tests
