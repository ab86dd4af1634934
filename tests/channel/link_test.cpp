#include "channel/link.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "channel/support.hpp"

namespace brood::channel::testing {
namespace {

constexpr RingSizes kSmall{.tasks = 4096, .results = 8192};

// How a child that does `access` ends.
template <class F>
int ending_of(F&& access) {
  return run_in_child([&] {
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer has a handler of its own
    access();
    return 0;
  });
}

TEST(Link, ANewChannel) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  EXPECT_EQ(dispatcher.tasks.capacity(), kSmall.tasks);
  EXPECT_EQ(worker.tasks.capacity(), kSmall.tasks);
  EXPECT_EQ(dispatcher.results.capacity(), kSmall.results);
  EXPECT_EQ(worker.results.capacity(), kSmall.results);
  EXPECT_EQ(worker.words().revoke_from.load(), kNeverRevoked);
  EXPECT_EQ(worker.words().state.load(), WorkerState::starting);
  EXPECT_EQ(worker.words().sleep.load(), Sleep::awake);
  EXPECT_EQ(worker.words().taken.load(), 0U);
  EXPECT_FALSE(worker.tasks.ready());
  EXPECT_FALSE(dispatcher.results.ready());
  EXPECT_LT(::ftruncate(memory.get(), 1), 0) << "the memory can be cut off under a mapping";
  EXPECT_LT(::ftruncate(memory.get(), 1 << 20), 0);
}

TEST(Link, BothDirections) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  std::memcpy(dispatcher.tasks.window(5).data(), "hello", 5);
  dispatcher.tasks.publish(5);
  ASSERT_EQ(worker.tasks.window().size(), 5U);
  EXPECT_EQ(std::memcmp(worker.tasks.window().data(), "hello", 5), 0);
  std::memcpy(worker.results.window(3).data(), "you", 3);
  worker.results.publish(3);
  ASSERT_EQ(dispatcher.results.window().size(), 3U);
  EXPECT_EQ(std::memcmp(dispatcher.results.window().data(), "you", 3), 0);
}

TEST(Link, TheMemoryLivesAsLongAsOneEnd) {
  os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  {
    WorkerEnd worker(memory.get(), kSmall);
    memory.reset();
    worker.results.window(1)[0] = std::byte{7};
    worker.results.publish(1);
  }
  EXPECT_EQ(dispatcher.results.window()[0], std::byte{7});
}

TEST(Link, SeveralChannelsInOneMemory) {
  constexpr std::size_t kChannels = 3;
  const os::Fd memory = make_growing_channel_memory(kSmall, 1);
  grow_channel_memory(memory.get(), kSmall, kChannels);
  std::vector<std::unique_ptr<DispatcherEnd>> dispatchers;
  std::vector<std::unique_ptr<WorkerEnd>> workers;
  for (std::size_t i = 0; i < kChannels; ++i) {
    dispatchers.push_back(std::make_unique<DispatcherEnd>(DispatcherEnd::map(memory.get(), kSmall, i), kSmall));
    workers.push_back(std::make_unique<WorkerEnd>(memory.get(), kSmall, i));
  }
  for (std::size_t i = 0; i < kChannels; ++i) {
    const auto mark = static_cast<std::byte>(i + 1);
    std::ranges::fill(dispatchers[i]->tasks.window(kSmall.tasks), mark);
    dispatchers[i]->tasks.publish(kSmall.tasks);
    std::ranges::fill(workers[i]->results.window(kSmall.results), mark);
    workers[i]->results.publish(kSmall.results);
    workers[i]->words().taken.store(i + 1);
  }
  for (std::size_t i = 0; i < kChannels; ++i) {
    const auto all = [&](std::span<const std::byte> bytes) {
      return std::ranges::count(bytes, static_cast<std::byte>(i + 1));
    };
    EXPECT_EQ(all(workers[i]->tasks.window()), static_cast<std::ptrdiff_t>(kSmall.tasks));
    EXPECT_EQ(all(dispatchers[i]->results.window()), static_cast<std::ptrdiff_t>(kSmall.results));
    EXPECT_EQ(dispatchers[i]->words().taken.load(), i + 1);
  }
  EXPECT_LT(::ftruncate(memory.get(), 4096), 0) << "the memory can be cut off under a mapping";
}

// A channel after the death of its worker, whatever that one left in it.
TEST(Link, UsedAgainItIsAsNew) {
  const os::Fd memory = make_channel_memory(kSmall);
  const auto mapping = DispatcherEnd::map(memory.get(), kSmall, 0);
  {
    DispatcherEnd dispatcher(mapping, kSmall);
    dispatcher.tasks.window(100);
    dispatcher.tasks.publish(100);
    dispatcher.words().revoke_from.store(3);
    dispatcher.words().wake_at.store(9);
    WorkerEnd worker(memory.get(), kSmall);
    worker.results.window(50);
    worker.results.publish(50);
    auto* const wild = reinterpret_cast<unsigned char*>(&worker.words());
    for (std::size_t i = sizeof(Words) / 2; i < kHeaderBytes; ++i) wild[i] = 0xEE;
  }
  DispatcherEnd::renew(*mapping);
  DispatcherEnd dispatcher(mapping, kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  const auto* const bytes = reinterpret_cast<const unsigned char*>(&worker.words());
  std::size_t set = 0;
  for (std::size_t i = 0; i < kHeaderBytes; ++i) set += bytes[i] != 0;
  EXPECT_EQ(set, sizeof kNeverRevoked) << "all but one word are zero";
  EXPECT_EQ(worker.words().revoke_from.load(), kNeverRevoked);
  EXPECT_EQ(dispatcher.tasks.window(1).size(), kSmall.tasks);
  EXPECT_FALSE(worker.tasks.ready());
  EXPECT_EQ(worker.results.window(1).size(), kSmall.results);
  EXPECT_FALSE(dispatcher.results.ready());
}

TEST(Link, DiscardedMemoryIsGivenBack) {
  const os::Fd memory = make_channel_memory(kSmall, 2);
  {
    DispatcherEnd dispatcher(DispatcherEnd::map(memory.get(), kSmall, 1), kSmall);
    std::ranges::fill(dispatcher.tasks.window(kSmall.tasks), std::byte{1});
  }
  struct stat status {};
  ::fstat(memory.get(), &status);
  EXPECT_GT(status.st_blocks, 0);
  discard_channel_memory(memory.get(), kSmall, 2);
  ::fstat(memory.get(), &status);
  EXPECT_EQ(status.st_blocks, 0);
}

// What a wild store in a task cannot damage.
TEST(Link, AnEndCannotWriteTheOthersRing) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  dispatcher.tasks.window(1)[0] = std::byte{1};
  dispatcher.tasks.publish(1);
  EXPECT_EQ(ending_of([&] {
              WorkerEnd worker(memory.get(), kSmall);
              const_cast<std::byte&>(worker.tasks.window()[0]) = std::byte{2};
            }),
            -SIGSEGV);
  EXPECT_EQ(ending_of([&] {
              WorkerEnd worker(memory.get(), kSmall);
              worker.results.window(1)[0] = std::byte{1};
              worker.results.publish(1);
              DispatcherEnd another(memory.get(), kSmall);
              const_cast<std::byte&>(another.results.window()[0]) = std::byte{2};
            }),
            -SIGSEGV);
}

TEST(Link, ChildrenOfForkHaveNeitherEnd) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  EXPECT_EQ(ending_of([&] { (void)dispatcher.words().taken.load(); }), -SIGSEGV);
  EXPECT_EQ(ending_of([&] { dispatcher.tasks.window(1)[0] = std::byte{1}; }), -SIGSEGV);
  EXPECT_EQ(ending_of([&] { (void)worker.words().task_tail.load(); }), -SIGSEGV);
  EXPECT_EQ(ending_of([&] { worker.results.window(1)[0] = std::byte{1}; }), -SIGSEGV);
  // And no page of it: a child that lives long must not keep the memory.
  EXPECT_EQ(run_in_child([] {
              std::ifstream maps("/proc/self/maps");
              for (std::string line; std::getline(maps, line);) {
                if (line.find("brood-channel") != std::string::npos) return 1;
              }
              return 0;
            }),
            0);
}

TEST(Link, DestroyedInAChildOfFork) {
  const os::Fd memory = make_channel_memory(kSmall);
  auto dispatcher = std::make_unique<DispatcherEnd>(memory.get(), kSmall);
  auto worker = std::make_unique<WorkerEnd>(memory.get(), kSmall);
  EXPECT_EQ(run_in_child([&] {
              dispatcher.reset();
              worker.reset();
              return 0;
            }),
            0);
  dispatcher->tasks.window(1);
  dispatcher->tasks.publish(1);
  EXPECT_TRUE(worker->tasks.ready());
}

TEST(Link, ThePoolPage) {
  const os::Fd memory = make_pool_memory();
  PoolPage mine(memory.get(), os::Access::read_write);
  PoolPage theirs(memory.get(), os::Access::read);
  mine.words().sleep_epoch.store(9);
  EXPECT_EQ(theirs.words().sleep_epoch.load(), 9U);
  EXPECT_EQ(ending_of([&] { (void)mine.words().cpus.load(); }), -SIGSEGV) << "inherited by a child of fork";
  EXPECT_EQ(ending_of([&] {
              PoolPage page(memory.get(), os::Access::read);
              page.words().sleep_epoch.store(1);
            }),
            -SIGSEGV);
}

// --- sleep and wake ------------------------------------------------------------------------------------------------

TEST(Link, SleepEndsWhenTheWordHasMovedAlready) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  dispatcher.tasks.window(8);
  dispatcher.tasks.publish(8);
  int told = 0;
  worker.sleep(Sleep::for_tasks, 0, [&] {
    ++told;
    EXPECT_EQ(worker.words().sleep.load(), Sleep::for_tasks);
  });
  EXPECT_EQ(told, 1);
  EXPECT_EQ(worker.words().sleep.load(), Sleep::awake);
}

// The tail moves between the worker's saying so and its sleeping.
TEST(Link, PublishedWhileItFallsAsleep) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  worker.sleep(Sleep::for_tasks, 0, [&] {
    dispatcher.tasks.window(8);
    dispatcher.tasks.publish(8);
  });
  EXPECT_TRUE(worker.tasks.ready());
}

TEST(Link, WakesAWorkerThatSleepsForTasks) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  std::thread sleeper([&] {
    while (!worker.tasks.ready()) worker.sleep(Sleep::for_tasks, worker.tasks.position(), [] {});
  });
  while (worker.words().sleep.load() != Sleep::for_tasks) ::usleep(100);
  ::usleep(2000);
  dispatcher.wake();  // nothing was published: it may wake but must go to sleep again
  ::usleep(2000);
  dispatcher.tasks.window(8);
  dispatcher.tasks.publish(8);
  dispatcher.wake();
  sleeper.join();
  EXPECT_EQ(worker.words().sleep.load(), Sleep::awake);
}

TEST(Link, WakesAWorkerThatSleepsForSpace) {
  const os::Fd memory = make_channel_memory(kSmall);
  DispatcherEnd dispatcher(memory.get(), kSmall);
  WorkerEnd worker(memory.get(), kSmall);
  worker.results.window(kSmall.results);
  worker.results.publish(kSmall.results);
  std::thread sleeper([&] {
    for (;;) {
      const std::uint64_t seen = worker.words().result_head.load();
      if (worker.results.window(1).size() >= 1) return;
      worker.sleep(Sleep::for_space, seen, [] {});
    }
  });
  while (worker.words().sleep.load() != Sleep::for_space) ::usleep(100);
  ::usleep(2000);
  dispatcher.results.window();
  dispatcher.results.consume(100);
  dispatcher.results.release();
  dispatcher.wake();
  sleeper.join();
}

}  // namespace
}  // namespace brood::channel::testing
