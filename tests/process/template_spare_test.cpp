// The child that a template forks before it is asked for.
#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <random>
#include <set>
#include <string>

#include "os/memory.hpp"
#include "process/template_children.hpp"
#include "process/template_process.hpp"
#include "support/scale.hpp"

namespace brood::proc::testing {
namespace {

using Kind = ChildEvent::Kind;
using brood::testing::scaled;

std::set<pid_t> children_of(pid_t parent) {
  const std::string pid = std::to_string(parent);
  std::ifstream list("/proc/" + pid + "/task/" + pid + "/children");
  std::set<pid_t> children;
  for (pid_t child = 0; list >> child;) children.insert(child);
  return children;
}

int sleep_unless_even(std::uint64_t id, Fds = {}) {
  if (id % 2 == 0) return static_cast<int>(id);
  run_for_ever();
}

// A template whose child has just been killed, and the spare that takes its place.
struct Bereaved {
  explicit Bereaved(Body body = sleep_unless_even) : parent(std::move(body)) {
    const ChildEvent child = parent.start(1);
    ::kill(child.pid, SIGKILL);
    EXPECT_EQ(parent.wait().kind, Kind::ended);
    EXPECT_TRUE(eventually([&] { return children_of(parent.process.pid()).size() == 1; }));
    for (const pid_t one : children_of(parent.process.pid())) spare = one;
  }

  Template parent;
  pid_t spare = 0;
};

TEST(TemplateSpare, TakesThePlaceOfTheDead) {
  Bereaved family;
  const ChildEvent child = family.parent.start(4);
  EXPECT_EQ(child.id, 4U);
  EXPECT_EQ(child.pid, family.spare);
  EXPECT_TRUE(child.pidfd);
  const ChildEvent ended = family.parent.wait();
  EXPECT_EQ(ended.kind, Kind::ended);
  EXPECT_EQ(ended.id, 4U);
  EXPECT_EQ(ended.pid, family.spare);
  EXPECT_EQ(ended.status.code, 4);
}

TEST(TemplateSpare, OneAtATime) {
  Template parent(sleep_unless_even);
  std::vector<pid_t> pids;
  for (int i = 0; i < 4; ++i) pids.push_back(parent.start(1).pid);
  for (const pid_t pid : pids) ::kill(pid, SIGKILL);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(parent.wait().kind, Kind::ended);
  EXPECT_TRUE(eventually([&] { return !children_of(parent.process.pid()).empty(); }));
  std::set<pid_t> started;
  for (int i = 0; i < 4; ++i) started.insert(parent.start(1).pid);
  EXPECT_EQ(started.size(), 4U);
  for (int i = 0; i < 20; ++i) {
    const std::set<pid_t> children = children_of(parent.process.pid());
    EXPECT_LE(children.size(), 5U);
    EXPECT_TRUE(std::ranges::includes(children, started));
    ::usleep(1000);
  }
}

TEST(TemplateSpare, NotAfterAGoodEnd) {
  Template parent([](std::uint64_t, Fds) { return 0; });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(parent.status_of_child().code, 0);
    EXPECT_EQ(children_of(parent.process.pid()).size(), 0U);
  }
}

// For a while after a death there is one at hand.
TEST(TemplateSpare, AgainAfterItWasNamed) {
  Bereaved family;
  pid_t last = family.spare;
  for (int i = 0; i < 5; ++i) {
    const ChildEvent child = family.parent.start(1);
    EXPECT_EQ(child.pid, last);
    EXPECT_TRUE(eventually([&] { return children_of(family.parent.process.pid()).size() == 2; }));
    for (const pid_t one : children_of(family.parent.process.pid())) last = one == child.pid ? last : one;
    os::send_signal(child.pidfd, SIGKILL);
    EXPECT_EQ(family.parent.wait().kind, Kind::ended);
  }
}

// What the template holds when it forks the spare is not what it holds at a spawn: descriptors cannot be handed over.
TEST(TemplateSpare, WithDescriptorsItIsAFork) {
  Pipe answers;
  Bereaved family([&](std::uint64_t id, Fds fds) {
    if (fds.empty()) return sleep_unless_even(id);
    os::write_all(fds[0].get(), "x", 1);
    return 0;
  });
  const int fd = answers.writer.get();
  EXPECT_NE(family.parent.start(3, std::span(&fd, 1)).pid, family.spare);
  EXPECT_EQ(family.parent.wait().status.code, 0);
  EXPECT_EQ(answers.get_value<char>(), 'x');
  EXPECT_EQ(family.parent.start(5).pid, family.spare);
}

std::string fds_and_signals() {
  std::string text;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("Sig") || line.starts_with("Shd") || line.starts_with("PPid")) text += line + "\n";
  }
  text.erase(text.find("SigQ"), text.find('\n', text.find("SigQ")) - text.find("SigQ"));
  for (int fd = 0; fd < 256; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) text += std::to_string(fd) + " ";
  }
  return text;
}

TEST(TemplateSpare, IsLikeAnyOther) {
  Pipe answers;
  Template parent([&](std::uint64_t, Fds) -> int {
    const std::string text = fds_and_signals();
    answers.put_value(text.size());
    answers.put(text);
    run_for_ever();
  });
  const auto read_text = [&] {
    std::string text(answers.get_value<std::size_t>(), ' ');
    EXPECT_EQ(os::read_all(answers.reader.get(), text.data(), text.size()), text.size());
    return text;
  };
  const ChildEvent first = parent.start();
  const std::string expected = read_text();
  ::kill(first.pid, SIGKILL);
  EXPECT_EQ(parent.wait().kind, Kind::ended);
  EXPECT_TRUE(eventually([&] { return children_of(parent.process.pid()).size() == 1; }));
  const std::set<pid_t> spare = children_of(parent.process.pid());
  EXPECT_TRUE(spare.contains(parent.start().pid));
  EXPECT_EQ(read_text(), expected);
}

TEST(TemplateSpare, KilledBeforeItIsWanted) {
  Bereaved family;
  ::kill(family.spare, SIGKILL);
  EXPECT_TRUE(eventually([&] { return children_of(family.parent.process.pid()).empty(); }));
  EXPECT_FALSE(family.parent.process.next_event()) << "nobody knew of it";
  EXPECT_NE(family.parent.start(4).pid, family.spare);
  EXPECT_EQ(family.parent.wait().status.code, 4);
}

// At the very moment: it died as the child that it was made, or another took its place.
TEST(TemplateSpare, KilledWhileItIsNamed) {
  for (std::size_t i = 0; i < scaled(100); ++i) {
    Bereaved family;
    ASSERT_TRUE(family.parent.process.spawn(4, {}));
    ::kill(family.spare, SIGKILL);
    const ChildEvent child = family.parent.wait();
    EXPECT_EQ(child.kind, Kind::spawned);
    const ChildEvent ended = family.parent.wait();
    EXPECT_EQ(ended.kind, Kind::ended);
    EXPECT_EQ(ended.id, 4U);
    EXPECT_EQ(ended.pid, child.pid);
    if (child.pid == family.spare) {
      EXPECT_TRUE(ended.status.code == -SIGKILL || ended.status.code == 4) << ended.status.code;
    } else {
      EXPECT_EQ(ended.status.code, 4);
    }
  }
}

TEST(TemplateSpare, LeavesWhenNobodyWantsIt) {
  Bereaved family;
  EXPECT_TRUE(eventually([&] { return children_of(family.parent.process.pid()).empty(); }));
  EXPECT_FALSE(family.parent.process.next_event());
}

TEST(TemplateSpare, EndsWithTheTemplate) {
  for (int how = 0; how < 3; ++how) {
    Pipe alive;
    {
      Bereaved family;
      alive.writer.reset();
      if (how == 0) {
        EXPECT_TRUE(family.parent.process.finish(os::Deadline::never()));
      }
      if (how == 1) family.parent.process.terminate_now();
      if (how == 2) ::kill(family.parent.process.pid(), SIGKILL);
      EXPECT_EQ(alive.rest(), "");
    }
    EXPECT_FALSE(has_children());
  }
}

TEST(TemplateSpare, EndsWithTheCaller) {
  Pipe alive, ready;
  const pid_t middle = fork_child([&] {
    Bereaved family;
    ready.put_value(family.spare);
    run_for_ever();
    return 0;
  });
  const pid_t spare = ready.get_value<pid_t>();
  ::kill(middle, SIGKILL);
  EXPECT_EQ(exit_code_of(middle), -SIGKILL);
  ready.writer.reset();
  EXPECT_EQ(alive.rest(), "");
  EXPECT_TRUE(eventually([&] { return has_ended(spare); }));
}

std::atomic<int>* forks_to_fail = nullptr;  // in memory that the template shares

int fail_forks(os::Call id) noexcept {
  if (id != os::Call::fork || forks_to_fail->load() == 0) return 0;
  forks_to_fail->fetch_sub(1);
  return EAGAIN;
}

TEST(TemplateSpare, AForkThatFailsIsNoMatter) {
  const os::Mapping memory = os::Mapping::anonymous_shared(sizeof *forks_to_fail);
  forks_to_fail = new (memory.data()) std::atomic<int>(0);
  os::fault_injector = &fail_forks;
  Template parent(sleep_unless_even);
  os::fault_injector = nullptr;
  const ChildEvent child = parent.start(1);
  *forks_to_fail = 1;
  ::kill(child.pid, SIGKILL);
  EXPECT_EQ(parent.wait().kind, Kind::ended);
  EXPECT_TRUE(eventually([&] { return *forks_to_fail == 0; }));
  EXPECT_EQ(parent.start(2).id, 2U);
  EXPECT_EQ(parent.wait().status.code, 2);
}

// Deaths of children and spares in any order: every child that was asked for begins once and ends once.
TEST(TemplateSpare, Storm) {
  std::minstd_rand random(7);
  Template parent(sleep_unless_even);
  std::map<std::uint64_t, pid_t> living;
  std::set<std::uint64_t> spawned, ended;
  std::uint64_t next = 1;
  const auto take = [&] {
    while (auto event = parent.process.next_event()) {
      if (event->kind == Kind::spawned) {
        EXPECT_TRUE(spawned.insert(event->id).second);
        living[event->id] = event->pid;
      } else {
        ASSERT_EQ(event->kind, Kind::ended);
        EXPECT_TRUE(spawned.contains(event->id));
        EXPECT_TRUE(ended.insert(event->id).second);
        living.erase(event->id);
      }
    }
  };
  for (std::size_t round = 0; round < scaled(600); ++round) {
    const auto kind = random() % 4;
    if (kind < 2 && living.size() < 8) {
      ASSERT_TRUE(parent.process.spawn(next++, {}));
    }
    if (kind == 2) {
      const std::set<pid_t> all = children_of(parent.process.pid());
      if (!all.empty()) ::kill(*std::next(all.begin(), static_cast<std::ptrdiff_t>(random() % all.size())), SIGKILL);
    }
    if (kind == 3) ::usleep(static_cast<useconds_t>(random() % 300));
    take();
  }
  while (spawned.size() < next - 1) take();
  while (!living.empty()) {
    for (const auto& [id, pid] : living) ::kill(pid, SIGKILL);
    take();
  }
  EXPECT_EQ(ended, spawned);
  EXPECT_TRUE(parent.process.finish(os::Deadline::never()));
  EXPECT_FALSE(has_children());
}

}  // namespace
}  // namespace brood::proc::testing
