// What is special about pools whose template process is a fresh one: what their workers have and have not, functions
// and values that cannot be taken over, templates and fork servers that die, and all methods in one program.
//
// The other suites of this folder run once for each method; these name their methods themselves.
#include <dlfcn.h>
#include <fcntl.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool/orphans.hpp"

namespace brood::pool_tests {
namespace {

namespace fs = std::filesystem;

constexpr StartMethod kMethods[] = {StartMethod::fork, StartMethod::forkserver, StartMethod::spawn};

std::string name_of(StartMethod method) {
  constexpr const char* kNames[] = {"fork", "forkserver", "spawn"};
  return kNames[static_cast<int>(method)];
}

class EveryMethod : public ::testing::TestWithParam<StartMethod> {
 protected:
  static PoolOptions options(unsigned processes = 2) { return {.processes = processes, .start_method = GetParam()}; }
  static bool inherits() { return GetParam() == StartMethod::fork; }
};
INSTANTIATE_TEST_SUITE_P(All, EveryMethod, ::testing::ValuesIn(kMethods),
                         [](const auto& test) { return name_of(test.param); });

pid_t parent_of(pid_t pid) { return stat_of(pid).value().parent; }

// --- what a worker has -------------------------------------------------------------------------------------------

int changed_at_run_time = 0;

TEST_P(EveryMethod, MemoryIsInheritedByForkOnly) {
  changed_at_run_time = 5;
  Pool pool(options());
  changed_at_run_time = 0;
  EXPECT_EQ(pool.apply([] { return changed_at_run_time; }), inherits() ? 5 : 0);
  EXPECT_THROW(pool.apply([] { die(Death::killed); }), WorkerDied);
  EXPECT_EQ(pool.apply([] { return changed_at_run_time; }), inherits() ? 5 : 0);  // a replacement
  expect_works(pool);
}

TEST_P(EveryMethod, DescriptorsAreInheritedByForkOnly) {
  const os::Fd open_across_exec(::open("/dev/zero", O_RDONLY));  // NOLINT(android-cloexec-open): that is the point
  Pool pool(options());
  const auto has_it = [] {
    for (const auto& entry : fs::directory_iterator("/proc/self/fd")) {
      std::error_code gone;
      if (fs::read_symlink(entry.path(), gone) == "/dev/zero") return true;
    }
    return false;
  };
  EXPECT_EQ(pool.apply(has_it), inherits());
}

TEST_P(EveryMethod, DirectoryAndEnvironmentAreThoseOfTheCaller) {
  EXPECT_EQ(run_in_child([&] {
              if (::chdir("/proc") != 0) return 1;
              ::setenv("BROOD_TEST_OF_NOW", "here", 1);
              Pool pool(options(1));
              if (pool.apply([] { return fs::current_path().string(); }) != "/proc") return 2;
              const auto variable = [](const std::string& name) {
                const char* const text = std::getenv(name.c_str());
                return std::string(text == nullptr ? "nothing" : text);
              };
              if (pool.apply(variable, std::string("BROOD_TEST_OF_NOW")) != "here") return 3;
              return pool.apply(variable, std::string("BROOD_BEGUN")) == "nothing" ? 0 : 4;
            }),
            0);
}

TEST_P(EveryMethod, StandardStreamsMayBeClosed) {
  EXPECT_EQ(run_in_child([&] {
              for (const int fd : {0, 1, 2}) ::close(fd);
              Pool pool(options());
              return pool.map(negate, numbers(100)).back() == -99 ? 0 : 1;
            }),
            0);
}

TEST_P(EveryMethod, WorkersHaveTheCallersChoice) {
  EXPECT_EQ(run_in_child([] {
              set_start_method(GetParam());
              changed_at_run_time = 5;
              Pool pool(1);
              if (pool.apply([] { return changed_at_run_time; }) != (inherits() ? 5 : 0)) return 1;
              if (pool.apply([] { return get_start_method(); }) != GetParam()) return 2;
              // The one the pool names is its own affair.
              Pool other(PoolOptions{.processes = 1, .start_method = StartMethod::spawn});
              if (other.apply([] { return changed_at_run_time; }) != 0) return 3;
              return other.apply([] { return get_start_method(); }) == GetParam() ? 0 : 4;
            }),
            0);
}

// The template is forked by this process, by its fork server, or executed anew.
TEST_P(EveryMethod, ParentsOfAWorker) {
  Pool pool(options());
  const auto pids = pool.pids();
  const pid_t the_template = template_of(pool);
  for (const pid_t pid : pids) EXPECT_EQ(parent_of(pid), the_template);
  if (GetParam() == StartMethod::forkserver) {
    EXPECT_TRUE(is_fork_server(parent_of(the_template)));
    EXPECT_EQ(parent_of(parent_of(the_template)), ::getpid());
  } else {
    EXPECT_EQ(parent_of(the_template), ::getpid());
  }
}

TEST_P(EveryMethod, InitializerWithBoundArguments) {
  static std::string words;
  PoolOptions all = options();
  all.initializer = brood::bind(
      [](const std::vector<std::string>& parts, int times) {
        for (int i = 0; i < times; ++i) {
          for (const std::string& part : parts) words += part;
        }
      },
      std::vector<std::string>{"a", std::string(100'000, 'b')}, 2);
  Pool pool(all);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(pool.apply([] { return words.size(); }), 200'002U);
    EXPECT_THROW(pool.apply([] { die(Death::segfault); }), WorkerDied);
  }
  EXPECT_EQ(words, "");
}

// --- what cannot be taken over -----------------------------------------------------------------------------------

// Cannot be read anywhere.
struct Unreadable {
  int value = 0;
  template <class A>
  void serialize(A& archive) {
    archive(value);
    if (A::is_loading::value) throw std::domain_error("unreadable");
  }
};

TEST_P(EveryMethod, ArgumentsThatCannotBeRead) {
  Pool pool(options());
  const auto task = [](const Unreadable& x) { return x.value; };
  EXPECT_STREQ(thrown_by<std::domain_error>([&] { pool.apply(task, Unreadable()); }).what(), "unreadable");
  EXPECT_THROW(pool.map(task, std::vector<Unreadable>(100)), std::domain_error);
  EXPECT_THROW(pool.apply_async(brood::bind(task, Unreadable())).get(), std::domain_error);
  expect_works(pool);
}

TEST_P(EveryMethod, InitializerThatCannotBeRead) {
  PoolOptions all = options();
  all.initializer = brood::bind([](const Unreadable&) {}, Unreadable());
  Pool pool(all);
  EXPECT_STREQ(thrown_by<std::domain_error>([&] { pool.apply(negate, 1); }).what(), "unreadable");
  EXPECT_THROW(pool.map(negate, numbers(10)), std::domain_error);
  EXPECT_THROW(pool.apply_async(negate, 1).get(), std::domain_error);
}

// A library that the program has opened itself.
class LibraryForEveryMethod : public EveryMethod {
 protected:
  LibraryForEveryMethod() {
    std::string folder = (fs::temp_directory_path() / "brood-start-method-XXXXXX").string();
    if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = fs::canonical(folder);
  }
  ~LibraryForEveryMethod() override {
    for (void* const library : open_) ::dlclose(library);
    fs::remove_all(folder_);
  }
  using Call = int (*)(int, int);

  Call open(const char* file, const fs::path& as) {
    fs::copy_file(file, as);
    void* const library = ::dlopen(as.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(::dlerror());
    open_.push_back(library);
    return reinterpret_cast<Call>(::dlsym(library, "library_function"));
  }

  fs::path folder_;
  std::vector<void*> open_;
};
INSTANTIATE_TEST_SUITE_P(All, LibraryForEveryMethod, ::testing::ValuesIn(kMethods),
                         [](const auto& test) { return name_of(test.param); });

TEST_P(LibraryForEveryMethod, OpenedBeforeThePoolWasMade) {
  const Call call = open(BROOD_WIRE_FUNCTIONS_1, folder_ / "before.so");
  Pool pool(options());
  const std::vector<std::tuple<int, int>> pairs(50, {20, 22});
  EXPECT_EQ(pool.starmap(call, pairs), std::vector<int>(50, 1042));
  EXPECT_THROW(pool.apply([] { die(Death::killed); }), WorkerDied);
  EXPECT_EQ(pool.apply(brood::bind(call, 40), 2), 1042);
}

// Whoever inherits it has it; the others say which file they miss, and go on.
TEST_P(LibraryForEveryMethod, FileThatIsGone) {
  const Call call = open(BROOD_WIRE_FUNCTIONS_1, folder_ / "gone.so");
  fs::remove(folder_ / "gone.so");
  Pool pool(options());
  if (inherits()) {
    EXPECT_EQ(pool.apply(call, 1, 2), 1003);
  } else {
    const auto error = thrown_by<RemoteError>([&] { pool.apply(call, 1, 2); });
    EXPECT_NE(error.message().find("gone.so"), std::string::npos) << error.message();
  }
  expect_works(pool);
}

// --- several methods at once -----------------------------------------------------------------------------------------

TEST(Methods, SideBySide) {
  std::vector<std::unique_ptr<Pool>> pools;
  for (const StartMethod method : kMethods) {
    pools.push_back(std::make_unique<Pool>(PoolOptions{.processes = 2, .start_method = method}));
    pools.push_back(std::make_unique<Pool>(PoolOptions{.processes = 1, .start_method = method}));
  }
  for (int round = 0; round < 3; ++round) {
    for (auto& pool : pools) expect_works(*pool);
  }
}

TEST(Methods, FromManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (const StartMethod method : kMethods) {
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([method] {
        for (std::size_t round = 0; round < scaled(10); ++round) {
          Pool pool(PoolOptions{.processes = 2, .start_method = method});
          expect_works(pool);
        }
      });
    }
  }
  for (auto& thread : threads) thread.join();
}

TEST(Methods, PoolsInTasksOfPoolsOfEveryOther) {
  for (const StartMethod outer : kMethods) {
    Pool pool(PoolOptions{.processes = 2, .start_method = outer});
    for (const StartMethod inner : kMethods) {
      const auto task = [inner](int x) {
        Pool mine(PoolOptions{.processes = 2, .start_method = inner});
        return mine.map(twice, std::vector{x, x + 1}).back();
      };
      EXPECT_EQ(pool.map(task, std::vector{1, 2, 3}), (std::vector{4, 6, 8})) << name_of(outer) << name_of(inner);
    }
  }
  EXPECT_FALSE(has_children());
}

int depth_reached(int depth) {
  if (depth == 0) return 0;
  Pool pool(PoolOptions{.processes = 1, .start_method = kMethods[depth % 3]});
  return 1 + pool.apply(depth_reached, depth - 1);
}
TEST(Methods, SixDeep) { EXPECT_EQ(depth_reached(6), 6); }

// --- deaths ------------------------------------------------------------------------------------------------------

TEST_P(EveryMethod, WorkersDieWithTheirTemplate) {
  Pool pool(options());
  for (int round = 0; round < 3; ++round) {
    Counters begun;
    auto answer = pool.apply_async([begun = begun.get()] {
      ++*begun;
      for (;;) ::pause();
    });
    await(*begun);
    const auto pids = pool.pids();
    const pid_t first = template_of(pool);
    ASSERT_GT(first, 1);
    ::kill(first, SIGKILL);
    EXPECT_THROW(answer.get(), WorkerDied);
    for (const pid_t pid : pids) EXPECT_TRUE(eventually([&] { return !is_running(pid); }));
    expect_recovers(pool);
    EXPECT_NE(template_of(pool), first);
  }
}

// A template that was forked does not need the server any more; the next one is forked by the next server.
TEST(ForkServer, DiesDuringAMap) {
  Pool pool(PoolOptions{.processes = 2, .start_method = StartMethod::forkserver});
  for (int round = 0; round < 3; ++round) {
    const auto pids = pool.pids();
    const pid_t the_template = template_of(pool);
    const pid_t server = parent_of(the_template);
    ASSERT_TRUE(is_fork_server(server));
    Counters gates(2);
    std::thread killer([&] {
      await(gates[0]);
      ::kill(server, SIGKILL);
      while (is_running(server)) ::usleep(200);
      gates[1] = 1;
    });
    const auto task = [gates = gates.get()](int x) {
      gates[0] = 1;
      await(gates[1]);
      return -x;
    };
    EXPECT_EQ(pool.with({.chunksize = 1}).map(task, numbers(100)).back(), -99);
    killer.join();
    EXPECT_EQ(pool.pids(), pids);
    EXPECT_THROW(pool.apply([] { die(Death::killed); }), WorkerDied);
    expect_recovers(pool);
    EXPECT_EQ(template_of(pool), the_template);
    ::kill(the_template, SIGKILL);
    expect_recovers(pool);
    EXPECT_NE(parent_of(template_of(pool)), server);
    // And for a pool that comes later.
    Pool other(PoolOptions{.processes = 1, .start_method = StartMethod::forkserver});
    expect_works(other);
  }
}

TEST(ForkServer, StoppedWhileThePoolWorksAndEnds) {
  Pool first(PoolOptions{.processes = 1, .start_method = StartMethod::forkserver});
  const pid_t server = parent_of(template_of(first));
  ASSERT_TRUE(is_fork_server(server));
  ::kill(server, SIGSTOP);
  expect_works(first);
  first.close();
  first.join();
  ::kill(server, SIGCONT);
  Pool second(PoolOptions{.processes = 1, .start_method = StartMethod::forkserver});
  expect_works(second);
}

TEST_P(EveryMethod, FiftyPoolsLeaveNothing) {
  EXPECT_EQ(run_in_child([] {
              const auto live = [](std::size_t i) {
                Pool pool(options(1 + static_cast<unsigned>(i % 3)));
                if (pool.apply(negate, 1) != -1) return false;
                if (i % 4 == 1) pool.terminate();
                return true;
              };
              if (!live(0)) return 1;
              const int before = count_fds();
              for (std::size_t i = 0; i < scaled(50); ++i) {
                if (!live(i)) return 2;
              }
              if (count_fds() != before) return 3;
              return eventually([] { return family().empty(); }) ? 0 : 4;
            }),
            0);
}

class OrphansOfAllMethods : public Orphans {};

TEST_F(OrphansOfAllMethods, InTheMiddleOfLongTasks) {
  expect_none_survives([](Pipe& pipe) {
    Counters ready;
    std::vector<std::unique_ptr<Pool>> pools;
    for (const StartMethod method : kMethods) {
      pools.push_back(std::make_unique<Pool>(PoolOptions{.processes = 2, .start_method = method}));
      for (int i = 0; i < 2; ++i) {
        pools.back()->apply_async([ready = ready.get()] {
          ++*ready;
          for (volatile int x = 0;;) x = x + 1;
        });
      }
    }
    while (*ready < 6) ::usleep(100);
    pipe.put("x");
    ::pause();
  });
}

TEST_F(OrphansOfAllMethods, WhileStartingUp) {
  for (std::size_t round = 0; round < scaled(60); ++round) {
    expect_none_survives(
        [round](Pipe&) {
          for (;;) {
            Pool pool(PoolOptions{.processes = 2, .start_method = kMethods[round % 3]});
            pool.apply(negate, 1);
          }
        },
        static_cast<int>(100 + round * 211));
  }
}

}  // namespace
}  // namespace brood::pool_tests
