#include "process/template_process.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "process/template_children.hpp"
#include "support/scale.hpp"

namespace brood::proc::testing {
namespace {

using Kind = ChildEvent::Kind;
using brood::testing::scaled;

[[noreturn]] int sleep_for_ever(std::uint64_t = 0, Fds = {}) { run_for_ever(); }

TEST(TemplateProcess, AChildAndItsEnd) {
  Template parent([](std::uint64_t id, Fds) { return static_cast<int>(id); });
  ASSERT_TRUE(parent.process.spawn(42, {}));
  const ChildEvent spawned = parent.wait();
  EXPECT_EQ(spawned.kind, Kind::spawned);
  EXPECT_EQ(spawned.id, 42U);
  EXPECT_GT(spawned.pid, 0);
  EXPECT_NE(spawned.pid, parent.process.pid());
  EXPECT_TRUE(spawned.pidfd);
  const ChildEvent ended = parent.wait();
  EXPECT_EQ(ended.kind, Kind::ended);
  EXPECT_EQ(ended.id, 42U);
  EXPECT_EQ(ended.pid, spawned.pid);
  EXPECT_EQ(ended.status.code, 42);
  EXPECT_GT(ended.status.max_rss_kib, 0);
  EXPECT_FALSE(parent.process.next_event());
}

TEST(TemplateProcess, ExitStatuses) {
  EXPECT_EQ(Template([](std::uint64_t, Fds) { return 0; }).status_of_child().code, 0);
  EXPECT_EQ(Template([](std::uint64_t, Fds) -> int { ::_exit(3); }).status_of_child().code, 3);
  EXPECT_EQ(Template([](std::uint64_t, Fds) -> int { std::exit(255); }).status_of_child().code, 255);
  for (const int signal : {SIGKILL, SIGTERM, SIGABRT}) {
    const auto status = Template([signal](std::uint64_t, Fds) {
                          const rlimit no_core{0, 0};
                          ::setrlimit(RLIMIT_CORE, &no_core);
                          ::signal(signal, SIG_DFL);
                          return ::raise(signal);
                        }).status_of_child();
    EXPECT_EQ(status.code, -signal);
    EXPECT_FALSE(status.core);
  }
}

// Nothing of the program above the template on the stack may go on in a child.
TEST(TemplateProcess, AnExceptionEndsTheChildAndNothingElse) {
  const pid_t self = ::getpid();
  try {
    Template parent([](std::uint64_t, Fds) -> int { throw std::runtime_error("from the child"); });
    EXPECT_NE(parent.status_of_child().code, 0);
  } catch (...) {
    if (::getpid() != self) ::_exit(77);
    FAIL() << "it reached the caller";
  }
}

TEST(TemplateProcess, DescriptorsArePassed) {
  Pipe first, second;
  Template parent([](std::uint64_t, Fds fds) {
    if (fds.size() != 2) return 1;
    os::write_all(fds[0].get(), "one", 3);
    os::write_all(fds[1].get(), "two", 3);
    return 0;
  });
  const int fds[] = {second.writer.get(), first.writer.get()};
  parent.start(1, fds);
  EXPECT_EQ(parent.wait().status.code, 0);
  parent.process.terminate_now();  // the pipes end with their last holder
  EXPECT_EQ(first.rest(), "two");
  EXPECT_EQ(second.rest(), "one");
}

std::set<int> open_fds() {
  std::set<int> fds;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (const dirent* const entry = ::readdir(folder)) {
    if (entry->d_name[0] != '.') fds.insert(std::atoi(entry->d_name));
  }
  fds.erase(::dirfd(folder));
  ::closedir(folder);
  return fds;
}

// A child has what the caller had when it made the template, except what is brood's own, and what was sent along.
TEST(TemplateProcess, NoDescriptorLeaksIntoChildren) {
  Pipe answers;
  const std::set<int> before = open_fds();
  Template parent([&](std::uint64_t, Fds fds) {
    const std::set<int> mine = open_fds();
    std::string extra;
    for (const int fd : mine) {
      const bool sent = std::any_of(fds.begin(), fds.end(), [&](const os::Fd& one) { return one.get() == fd; });
      if (!before.contains(fd) && !sent) extra += std::to_string(fd) + " ";
    }
    for (const int fd : {0, 1, 2, answers.reader.get(), answers.writer.get()}) {
      if (!mine.contains(fd)) extra += "missing " + std::to_string(fd) + " ";
    }
    answers.put(extra);
    return static_cast<int>(fds.size());
  });
  for (int round = 0; round < 5; ++round) {  // a later child must not have what an earlier one was sent
    const int sent[] = {answers.reader.get(), answers.reader.get()};
    parent.start(1, sent);
    EXPECT_EQ(parent.wait().status.code, 2);
  }
  EXPECT_EQ(open_fds().size(), before.size() + 3) << "the caller keeps a socket, a pidfd and the set of both";
  parent.process.terminate_now();
  EXPECT_EQ(answers.rest(), "");
}

TEST(TemplateProcess, ChildrenSeeTheMemoryOfTheMoment) {
  int value = 1;
  Template parent([&](std::uint64_t, Fds) { return value; });
  value = 2;
  EXPECT_EQ(parent.status_of_child().code, 1);
}

TEST(TemplateProcess, AKilledChild) {
  Template parent(sleep_for_ever);
  const ChildEvent child = parent.start();
  EXPECT_TRUE(os::send_signal(child.pidfd, SIGKILL));
  const ChildEvent ended = parent.wait();
  EXPECT_EQ(ended.kind, Kind::ended);
  EXPECT_EQ(ended.status.code, -SIGKILL);
  EXPECT_EQ(ended.pid, child.pid);
}

TEST(TemplateProcess, AKilledTemplateTakesItsChildrenAlong) {
  Pipe alive;
  auto parent = std::make_unique<Template>(sleep_for_ever);
  for (std::uint64_t i = 0; i < 5; ++i) parent->start(i);
  alive.writer.reset();
  ::kill(parent->process.pid(), SIGKILL);
  EXPECT_EQ(parent->wait().kind, Kind::template_died);
  EXPECT_FALSE(parent->process.next_event()) << "it is said once";
  EXPECT_FALSE(parent->process.spawn(9, {}));
  EXPECT_EQ(alive.rest(), "") << "returns when the last child is gone";
  parent.reset();
  EXPECT_FALSE(has_children());
}

TEST(TemplateProcess, FinishWaitsForTheChildren) {
  Pipe go;
  Template parent([&](std::uint64_t, Fds) { return go.get_value<char>() == 'g' ? 0 : 1; });
  for (std::uint64_t i = 0; i < 3; ++i) parent.start(i);
  EXPECT_FALSE(parent.process.finish(os::Deadline::after(20ms)));
  EXPECT_FALSE(parent.process.finish(os::Deadline::after(1ms)));
  go.put("ggg");
  EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
  EXPECT_TRUE(parent.process.finish(os::Deadline::never())) << "again";
  EXPECT_FALSE(has_children());
}

TEST(TemplateProcess, FinishWithoutChildren) {
  Template parent(sleep_for_ever);
  EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
}

TEST(TemplateProcess, FinishAfterTheTemplateDied) {
  Template parent(sleep_for_ever);
  parent.start();
  ::kill(parent.process.pid(), SIGKILL);
  EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
}

// More requests and replies under way than the socket holds.
TEST(TemplateProcess, ThreeHundredAtOnce) {
  constexpr std::uint64_t kCount = 300;
  Template parent([](std::uint64_t id, Fds fds) { return static_cast<int>(id % 7 + 10 * fds.size()); });
  const int fd = 2;
  for (std::uint64_t id = 0; id < kCount; ++id) ASSERT_TRUE(parent.process.spawn(id, std::span(&fd, 1)));
  std::map<std::uint64_t, int> spawned, ended;
  while (ended.size() < kCount) {
    const ChildEvent event = parent.wait();
    ASSERT_TRUE(event.kind == Kind::spawned || event.kind == Kind::ended)
        << static_cast<int>(event.kind) << " " << event.error;
    EXPECT_EQ(++(event.kind == Kind::spawned ? spawned : ended)[event.id], 1);
    if (event.kind == Kind::ended) {
      EXPECT_EQ(spawned.count(event.id), 1U) << "ended before it was spawned";
      EXPECT_EQ(event.status.code, static_cast<int>(event.id % 7 + 10));
    }
  }
  EXPECT_EQ(spawned.size(), kCount);
}

TEST(TemplateProcess, FinishWithManyUnreadEvents) {
  Template parent([](std::uint64_t, Fds) { return 0; });
  for (std::uint64_t id = 0; id < 500; ++id) ASSERT_TRUE(parent.process.spawn(id, {}));
  EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
}

TEST(TemplateProcess, TerminateWithManyUnreadEvents) {
  Template parent([](std::uint64_t, Fds) { return 0; });
  for (std::uint64_t id = 0; id < 500; ++id) ASSERT_TRUE(parent.process.spawn(id, {}));
  parent.process.terminate_now();
  EXPECT_FALSE(has_children());
}

TEST(TemplateProcess, ManyCyclesLeaveNothing) {
  const int fds = count_fds();
  for (std::size_t i = 0; i < scaled(200); ++i) {
    Template parent([](std::uint64_t, Fds) { return 0; });
    parent.start();
    if (i % 2 == 0) {
      EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
    }
  }
  EXPECT_EQ(count_fds(), fds);
  EXPECT_FALSE(has_children());
}

// --- what can fail -------------------------------------------------------------------------------------------------

pid_t spared = 0;  // faults happen in its children only
os::Call failing{};
int fail_with = 0;

int fail_in_children(os::Call id) noexcept { return id == failing && ::getpid() != spared ? fail_with : 0; }

class FaultInTemplate {
 public:
  FaultInTemplate(os::Call id, int error) {
    spared = ::getpid();
    failing = id;
    fail_with = error;
    os::fault_injector = &fail_in_children;
  }
  FaultInTemplate(const FaultInTemplate&) = delete;
  FaultInTemplate& operator=(const FaultInTemplate&) = delete;
  ~FaultInTemplate() { os::fault_injector = nullptr; }
};

TEST(TemplateProcess, AForkThatFailsIsReported) {
  const FaultInTemplate fault(os::Call::fork, EAGAIN);
  Template parent(sleep_for_ever);
  for (std::uint64_t id = 0; id < 3; ++id) {
    ASSERT_TRUE(parent.process.spawn(id, {}));
    const ChildEvent event = parent.wait();
    EXPECT_EQ(event.kind, Kind::failed);
    EXPECT_EQ(event.id, id);
    EXPECT_EQ(event.error, EAGAIN);
  }
  EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
}

// The template alone can be sure whom it kills.
TEST(TemplateProcess, AChildWithoutAPidfd) {
  Pipe alive;
  const FaultInTemplate fault(os::Call::pidfd_open, EMFILE);
  Template parent(sleep_for_ever);
  const ChildEvent other = parent.start(1);
  const ChildEvent child = parent.start(2);
  EXPECT_FALSE(child.pidfd);
  EXPECT_TRUE(parent.process.kill(3)) << "there is no such child";
  EXPECT_TRUE(parent.process.kill(2));
  const ChildEvent ended = parent.wait();
  EXPECT_EQ(ended.kind, Kind::ended);
  EXPECT_EQ(ended.id, 2U);
  EXPECT_EQ(ended.pid, child.pid);
  EXPECT_EQ(ended.status.code, -SIGKILL);
  EXPECT_TRUE(parent.process.kill(2)) << "again";
  EXPECT_EQ(::kill(other.pid, 0), 0);
  parent.process.terminate_now();
  EXPECT_EQ(alive.rest(), "");
  EXPECT_FALSE(parent.process.kill(1));
}

TEST(TemplateProcess, ASignalfdThatFailsEndsTheTemplateOnly) {
  const FaultInTemplate fault(os::Call::signalfd, EMFILE);
  Template parent(sleep_for_ever);
  parent.process.spawn(1, {});
  EXPECT_EQ(parent.wait().kind, Kind::template_died);
}

TEST(TemplateProcess, AConstructorThatFailsLeavesNothing) {
  const int fds = count_fds();
  const std::pair<os::Call, int> calls[] = {
      {os::Call::socketpair, 1}, {os::Call::pidfd_open, 2}, {os::Call::fork, 1}, {os::Call::poll, 3}};
  for (const auto& [call, times] : calls) {
    for (int nth = 1; nth <= times; ++nth) {
      const Fault fault(call, EMFILE, nth);
      EXPECT_THROW(Template parent(sleep_for_ever), std::system_error);
      EXPECT_FALSE(has_children());
    }
  }
  EXPECT_EQ(count_fds(), fds);
}

// The caller has no room for a pidfd: the event comes all the same.
int child_without_room() {
  Template parent([](std::uint64_t, Fds) { return 5; });
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit old = limit;
  limit.rlim_cur = 3;  // poll() of more is an error
  ::setrlimit(RLIMIT_NOFILE, &limit);
  parent.process.spawn(1, {});
  const ChildEvent spawned = parent.wait();
  ::setrlimit(RLIMIT_NOFILE, &old);
  if (spawned.kind != Kind::spawned || spawned.pid <= 0 || spawned.pidfd) return 1;
  return parent.wait().status.code == 5 ? 0 : 2;
}

// Another thread forks at the worst of all moments: its child holds both ends of the socket.
pid_t holder = 0;

int fork_holder(os::Call id) noexcept {
  if (id != os::Call::fork || holder != 0) return 0;
  holder = ::fork();
  if (holder == 0) run_for_ever();
  return 0;
}

TEST(TemplateProcess, ItsDeathIsSeenWhoeverHoldsTheSocket) {
  holder = 0;
  os::fault_injector = &fork_holder;
  Template parent([](std::uint64_t, Fds) { return 6; });
  os::fault_injector = nullptr;
  ASSERT_GT(holder, 0);
  EXPECT_EQ(parent.status_of_child().code, 6);
  ::kill(parent.process.pid(), SIGSTOP);
  EXPECT_TRUE(parent.process.spawn(2, {}));
  EXPECT_FALSE(parent.process.next_event());
  ::kill(parent.process.pid(), SIGKILL);
  EXPECT_EQ(parent.wait().kind, Kind::template_died);
  EXPECT_FALSE(parent.process.next_event());
  EXPECT_FALSE(parent.process.spawn(3, {}));
  ::kill(holder, SIGKILL);
  EXPECT_EQ(exit_code_of(holder), -SIGKILL);
}

// The same while the socket is full of what nobody reads any more.
TEST(TemplateProcess, ItsDeathEndsAWaitForRoom) {
  holder = 0;
  os::fault_injector = &fork_holder;
  Template parent(sleep_for_ever);
  os::fault_injector = nullptr;
  ::kill(parent.process.pid(), SIGSTOP);
  std::thread killer([&] {
    ::usleep(20'000);
    ::kill(parent.process.pid(), SIGKILL);
  });
  std::uint64_t sent = 0;
  while (parent.process.spawn(++sent, {})) {
  }
  EXPECT_GT(sent, 10U);
  killer.join();
  EXPECT_EQ(parent.wait().kind, Kind::template_died);
  ::kill(holder, SIGKILL);
  exit_code_of(holder);
}

// What was read while a request waited for room makes no descriptor readable.
TEST(TemplateProcess, EventsThatWereReadEarly) {
  constexpr std::uint64_t kCount = 600;
  Template parent([](std::uint64_t, Fds) { return 0; });
  for (std::uint64_t id = 0; id < kCount; ++id) ASSERT_TRUE(parent.process.spawn(id, {}));
  ASSERT_TRUE(parent.process.has_event());
  std::uint64_t ended = 0;
  while (ended < kCount) {
    if (!parent.process.has_event()) os::wait_readable(parent.process.event_fd(), os::Deadline::never());
    const auto event = parent.process.next_event();
    if (event && event->kind == Kind::ended) ++ended;
  }
  EXPECT_FALSE(parent.process.has_event());
}

TEST(TemplateProcess, NoRoomForAPidfd) {
  EXPECT_EQ(run_in_child([] {
              try {
                return child_without_room();
              } catch (const std::system_error&) {
                return 3;
              }
            }),
            0);
}

}  // namespace
}  // namespace brood::proc::testing
