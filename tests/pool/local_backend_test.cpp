// Workers that are processes: their channels, and what happens when descriptors run out.
#include "pool/local_backend.hpp"

#include <brood/process.hpp>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "os/poll.hpp"
#include "os/support.hpp"

namespace brood::engine::testing {
namespace {

using Kind = WorkerEvent::Kind;
using os::testing::count_fds;
using os::testing::eventually;
using os::testing::run_in_child;

constexpr channel::RingSizes kSmall{.tasks = 4096, .results = 4096};

// What an engine has, without its dispatcher.
struct Local {
  Local() = default;
  Local(const Local&) = delete;
  Local& operator=(const Local&) = delete;
  ~Local() {
    if (backend) backend->terminate();
  }

  std::unique_ptr<channel::DispatcherEnd> start(unsigned slot) { return backend->start(slot, ++epoch); }
  WorkerEvent wait() {
    for (;;) {
      if (const auto event = backend->next_event()) return *event;
      os::wait_readable(backend->event_fd(), os::Deadline::never());
    }
  }
  WorkerEvent wait_for(Kind kind) {
    for (;;) {
      const WorkerEvent event = wait();
      if (event.kind == kind) return event;
    }
  }

  os::Fd page = channel::make_pool_memory();
  os::Event doorbell;
  std::unique_ptr<LocalBackend> backend =
      std::make_unique<LocalBackend>(kSmall, get_start_method(), page.get(), doorbell.fd());
  std::uint64_t epoch = 0;
};

TEST(LocalBackend, StartsAndKills) {
  Local local;
  const auto end = local.start(3);
  const WorkerEvent started = local.wait();
  EXPECT_EQ(started.kind, Kind::started);
  EXPECT_EQ(started.slot, 3U);
  EXPECT_EQ(started.epoch, 1U);
  EXPECT_GT(started.pid, 0);
  local.backend->kill(3);
  const WorkerEvent ended = local.wait();
  EXPECT_EQ(ended.kind, Kind::ended);
  EXPECT_EQ(ended.slot, 3U);
  EXPECT_EQ(ended.epoch, 1U);
  EXPECT_EQ(ended.pid, started.pid);
  EXPECT_EQ(ended.status.code, -SIGKILL);
  local.backend->kill(3);
  local.backend->kill(7);
}

TEST(LocalBackend, AChannelServesTheNextWorker) {
  Local local;
  auto first = local.start(0);
  const channel::Words* const words = &first->words();
  first->tasks.window(64);
  first->tasks.publish(64);
  local.wait_for(Kind::started);
  local.backend->kill(0);
  local.wait_for(Kind::ended);

  auto second = local.start(0);
  EXPECT_NE(&second->words(), words) << "the last words of the first have not been read yet";
  local.wait_for(Kind::started);
  local.backend->kill(0);
  local.wait_for(Kind::ended);
  first.reset();
  second.reset();

  std::set<const channel::Words*> used;
  std::vector<std::unique_ptr<channel::DispatcherEnd>> ends;
  for (unsigned slot = 0; slot < 3; ++slot) {
    ends.push_back(local.start(slot));
    used.insert(&ends.back()->words());
    EXPECT_EQ(ends.back()->words().task_tail.load(), 0U);
    EXPECT_EQ(ends.back()->words().taken.load(), 0U);
    EXPECT_TRUE(ends.back()->tasks.empty());
  }
  EXPECT_TRUE(used.contains(words));
  EXPECT_EQ(used.size(), 3U);
}

// More channels than the memory had room for at first; each worker answers in its own.
TEST(LocalBackend, ManyChannels) {
  constexpr unsigned kWorkers = 30;
  Local local;
  std::vector<std::unique_ptr<channel::DispatcherEnd>> ends;
  for (unsigned slot = 0; slot < kWorkers; ++slot) ends.push_back(local.start(slot));
  for (unsigned i = 0; i < kWorkers; ++i) EXPECT_EQ(local.wait().kind, Kind::started);
  for (const auto& end : ends) {
    EXPECT_TRUE(eventually([&] { return end->words().sleep.load() == channel::Sleep::for_tasks; }));
  }
}

std::string memory_name() { return "/memfd:brood-channels"; }

bool has_open(pid_t pid, const std::string& what) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone).string().starts_with(what)) return true;
  }
  return false;
}

TEST(LocalBackend, AWorkerCannotReachTheOthersChannels) {
  Local local;
  EXPECT_TRUE(has_open(::getpid(), memory_name()));
  const auto end = local.start(0);
  const pid_t pid = local.wait_for(Kind::started).pid;
  EXPECT_TRUE(eventually([&] { return end->words().sleep.load() == channel::Sleep::for_tasks; }));
  EXPECT_FALSE(has_open(pid, memory_name()));
}

// A process that was forked in between has the descriptor and lives on.
TEST(LocalBackend, TheMemoryIsFreedAtTheEnd) {
  os::Fd copy;
  {
    Local local;
    const auto end = local.start(0);
    std::ranges::fill(end->tasks.window(kSmall.tasks), std::byte{1});
    for (int fd = 0; fd < 1024 && !copy; ++fd) {
      std::error_code none;
      const auto name = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), none).string();
      if (name.starts_with(memory_name())) copy = os::Fd(::dup(fd));
    }
    ASSERT_TRUE(copy);
    EXPECT_EQ(run_in_child([&] {
                local.backend.reset();  // the copy in a child does nothing
                return 0;
              }),
              0);
    struct stat status {};
    ::fstat(copy.get(), &status);
    EXPECT_GT(status.st_blocks, 0);
  }
  struct stat status {};
  ::fstat(copy.get(), &status);
  EXPECT_EQ(status.st_blocks, 0);
}

TEST(LocalBackend, LeavesNothing) {
  { const Local first; }  // of a program: it may begin a fork server
  const int before = count_fds();
  for (int i = 0; i < 20; ++i) {
    Local local;
    const auto first = local.start(0);
    const auto second = local.start(1);
  }
  EXPECT_EQ(count_fds(), before);
}

// The template dies: what is not provably dead keeps its channel.
TEST(LocalBackend, ALostTemplate) {
  Local local;
  auto end = local.start(0);
  const WorkerEvent started = local.wait_for(Kind::started);
  const channel::Words* const words = &end->words();
  std::ifstream stat("/proc/" + std::to_string(started.pid) + "/stat");
  std::string pid, name, state;
  pid_t parent = 0;
  stat >> pid >> name >> state >> parent;
  ASSERT_GT(parent, 1);
  ::kill(parent, SIGKILL);
  const WorkerEvent ended = local.wait();
  EXPECT_EQ(ended.kind, Kind::ended);
  EXPECT_EQ(ended.slot, 0U);
  end.reset();
  end = local.start(0);
  EXPECT_EQ(&end->words(), words);
  EXPECT_EQ(local.wait().kind, Kind::started);
}

// More events than a socket holds, read while the requests were sent.
TEST(LocalBackend, NoEventIsSleptUpon) {
  constexpr unsigned kWorkers = 400;
  Local local;
  std::vector<std::unique_ptr<channel::DispatcherEnd>> ends;
  for (unsigned slot = 0; slot < kWorkers; ++slot) ends.push_back(local.start(slot));
  for (unsigned i = 0; i < kWorkers; ++i) {
    os::wait_readable(local.backend->event_fd(), os::Deadline::never());
    EXPECT_EQ(local.wait().kind, Kind::started);
  }
}

// The caller is at its limit when the worker starts: there is no pidfd, and still it can be killed.
TEST(LocalBackend, KillsAWorkerWithoutAPidfd) {
  EXPECT_EQ(run_in_child([] {
              for (const bool early : {false, true}) {
                Local local;
                rlimit limit{};
                ::getrlimit(RLIMIT_NOFILE, &limit);
                const rlimit old = limit;
                const auto end = local.start(0);
                const int before = count_fds();
                limit.rlim_cur = 3;
                ::setrlimit(RLIMIT_NOFILE, &limit);
                if (early) local.backend->kill(0);
                const WorkerEvent started = local.wait();
                ::setrlimit(RLIMIT_NOFILE, &old);
                if (started.kind != Kind::started || count_fds() != before) return 1;
                if (!early) local.backend->kill(0);
                const WorkerEvent ended = local.wait();
                if (ended.kind != Kind::ended || ended.status.code != -SIGKILL) return 2;
              }
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace brood::engine::testing
