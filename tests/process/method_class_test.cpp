// Classes derived from ProcessType, and the handle of a process, under every start method.
#include <poll.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using Classes = EveryMethod;
BROOD_EVERY_METHOD(Classes);
using Handles = EveryMethod;
BROOD_EVERY_METHOD(Handles);

struct Report {
  int pid;
  bool alive, daemon, joined, constructed_again;
  char name[64];
  int sum;
  Word ready;
};

class Counter : public ProcessType<Counter> {
 public:
  Counter() { ++constructions; }
  Counter(ProcessOptions options, Report* report, std::map<std::string, int> numbers)
      : ProcessType(std::move(options)), report_(report), numbers_(std::move(numbers)) {}

  void run() override {
    report_->pid = pid();
    report_->alive = is_alive();
    report_->daemon = daemon();
    report_->joined = misuse_of([&] { join(); }).find("not the parent") == std::string::npos;
    name().copy(report_->name, sizeof report_->name - 1);
    for (const auto& [word, number] : numbers_) report_->sum += number * static_cast<int>(word.size());
    report_->constructed_again = constructions == 1;
    if (name() != current_process().name) ::_exit(50);
    ::_exit(not_sent_);
  }

  template <class A>
  void serialize(A& archive) {
    auto place = reinterpret_cast<std::uintptr_t>(report_);
    archive(place, numbers_);
    report_ = reinterpret_cast<Report*>(place);
  }
  void set_not_sent(int value) { not_sent_ = value; }

 private:
  static inline int constructions = 0;
  Report* report_ = nullptr;
  std::map<std::string, int> numbers_;
  int not_sent_ = 7;
};

TEST_P(Classes, RunWithTheirMembers) {
  const Shared<Report> report;
  Counter counter(options(), report.get(), {{"ab", 10}, {"c", 1}});
  counter.set_not_sent(8);
  counter.start();
  counter.join();
  // What serialize() does not name has its first value in a process that inherits nothing.
  EXPECT_EQ(counter.exitcode(), GetParam() == StartMethod::fork ? 8 : 7);
  EXPECT_EQ(report->sum, 21);
  EXPECT_EQ(report->pid, counter.pid());
  EXPECT_TRUE(report->alive);
  EXPECT_FALSE(report->daemon);
  EXPECT_FALSE(report->joined);
  EXPECT_EQ(report->name, counter.name());
  EXPECT_EQ(report->constructed_again, GetParam() != StartMethod::fork);
}

TEST_P(Classes, DaemonWithAName) {
  const Shared<Report> report;
  ProcessOptions daemon = options(true);
  daemon.name = "counter";
  Counter counter(daemon, report.get(), {});
  counter.start();
  counter.join();
  EXPECT_TRUE(report->daemon);
  EXPECT_STREQ(report->name, "counter");
}

class Bare : public ProcessType<Bare> {
 public:
  using ProcessType::ProcessType;
  void run() override { ::_exit(9); }
};

TEST_P(Classes, WithoutMembers) {
  Bare bare(options());
  bare.start();
  bare.join();
  EXPECT_EQ(bare.exitcode(), 9);
}

// What run() throws, and what its destructor does, belong to the child.
class Thrower : public ProcessType<Thrower> {
 public:
  using ProcessType::ProcessType;
  void run() override { throw std::range_error("from run"); }
};

TEST_P(Classes, RunThrows) {
  const std::string text = written_to(2, [&] {
    Thrower thrower(options());
    thrower.start();
    thrower.join();
    if (thrower.exitcode() != 1) ::_exit(1);
  });
  EXPECT_NE(text.find("std::range_error: from run\n"), std::string::npos) << text;
}

TEST_P(Classes, MoveWithTheirMembers) {
  const Shared<Report> report;
  std::vector<Counter> counters;
  for (int i = 0; i < 3; ++i) counters.emplace_back(options(), report.get(), std::map<std::string, int>{{"x", 1 << i}});
  for (Counter& counter : counters) {
    counter.start();
    counter.join();
  }
  EXPECT_EQ(report->sum, 7);
}

TEST_P(Classes, DestroyedThroughTheBase) {
  const Shared<Report> report;
  {
    const std::unique_ptr<Process> process =
        std::make_unique<Counter>(options(), report.get(), std::map<std::string, int>{{"x", 5}});
    process->start();
  }
  EXPECT_EQ(report->sum, 5);
  EXPECT_TRUE(nothing_left());
}

// --- the handle -----------------------------------------------------------------------------------------------------

TEST_P(Handles, LifeSeenFromOutside) {
  Process process(options(), run_for_ever);
  EXPECT_EQ(process.pid(), 0);
  EXPECT_FALSE(process.is_alive());
  process.start();
  EXPECT_GT(process.pid(), 0);
  EXPECT_TRUE(process.is_alive());
  EXPECT_EQ(process.exitcode(), std::nullopt);
  EXPECT_FALSE(process.join_for(2ms));
  EXPECT_NE(misuse_of([&] { process.start(); }).find("started twice"), std::string::npos);
  EXPECT_NE(misuse_of([&] { process.close(); }).find("while it runs"), std::string::npos);
  process.kill();
  EXPECT_TRUE(process.join_for(std::chrono::hours(1)));
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), -SIGKILL);
  process.kill();  // nothing
  process.terminate();
  EXPECT_EQ(process.exitcode(), -SIGKILL);
  EXPECT_NE(misuse_of([&] { process.start(); }).find("started twice"), std::string::npos);
}

TEST_P(Handles, Terminate) {
  Process process(options(), run_for_ever);
  process.start();
  process.terminate();
  process.join();
  EXPECT_EQ(process.exitcode(), -SIGTERM);
}

TEST_P(Handles, TheProcessHasTheHandlesPid) {
  const Shared<Word> pid;
  Process process(options(), [pid = pid.get()] { *pid = ::getpid(); });
  process.start();
  process.join();
  EXPECT_EQ(*pid, process.pid());
}

TEST_P(Handles, Sentinel) {
  const Shared<Word> go;
  Process process(options(), [go = go.get()] { await(*go); });
  process.start();
  pollfd item{process.sentinel(), POLLIN, 0};
  EXPECT_TRUE(os::testing::is_close_on_exec(item.fd));
  EXPECT_EQ(::poll(&item, 1, 2), 0);
  *go = 1;
  EXPECT_EQ(::poll(&item, 1, -1), 1);
  EXPECT_FALSE(process.is_alive());
  EXPECT_EQ(process.exitcode(), 0);
  EXPECT_EQ(::poll(&item, 1, 0), 1);
}

TEST_P(Handles, CloseGivesEverythingBack) {
  EXPECT_EQ(run([] {}), 0);
  const int before = count_fds();
  Process process(options(), [] {});
  process.start();
  process.join();
  process.close();
  process.close();
  EXPECT_EQ(count_fds(), before);
  EXPECT_FALSE(process.name().empty());
  for (const auto& use :
       {std::function<void()>([&] { process.join(); }), std::function<void()>([&] { process.kill(); }),
        std::function<void()>([&] { process.start(); }), std::function<void()>([&] { (void)process.is_alive(); }),
        std::function<void()>([&] { (void)process.exitcode(); }), std::function<void()>([&] { (void)process.pid(); }),
        std::function<void()>([&] { (void)process.sentinel(); })}) {
    EXPECT_NE(misuse_of(use).find("closed"), std::string::npos);
  }
}

TEST_P(Handles, DestructionJoins) {
  const Shared<Word> done;
  {
    Process process(options(), [done = done.get()] {
      ::usleep(20000);
      *done = 1;
    });
    process.start();
  }
  EXPECT_EQ(*done, 1);
  EXPECT_TRUE(nothing_left());
}

TEST_P(Handles, DestructionEndsADaemon) {
  for (const bool stubborn : {false, true}) {
    const Shared<Word> ready;
    pid_t pid = 0;
    {
      Process daemon(
          options(true),
          [ready = ready.get()](bool ignores) {
            if (ignores) std::signal(SIGTERM, SIG_IGN);
            *ready = 1;
            run_for_ever();
          },
          stubborn);
      daemon.start();
      await(*ready);
      pid = daemon.pid();
    }
    EXPECT_TRUE(is_gone(pid));
    EXPECT_TRUE(nothing_left());
  }
}

TEST_P(Handles, StoppedDaemonIsKilledByDestruction) {
  pid_t pid = 0;
  {
    Process daemon(options(true), [] { ::raise(SIGSTOP); });
    daemon.start();
    pid = daemon.pid();
    EXPECT_TRUE(eventually([&] { return state_of(pid) == 'T'; }));
  }
  EXPECT_TRUE(is_gone(pid));
}

TEST_P(Handles, Move) {
  const Shared<Word> go;
  Process a(options(), [go = go.get()] { await(*go); });
  Process b = std::move(a);
  b.start();
  const pid_t pid = b.pid();
  Process c = std::move(b);
  EXPECT_EQ(c.pid(), pid);
  EXPECT_TRUE(c.is_alive());
  *go = 1;
  c.join();
  EXPECT_EQ(c.exitcode(), 0);
}

TEST_P(Handles, AreRefusedInAChild) {
  Process process(options(), run_for_ever);
  process.start();
  EXPECT_EQ(run_in_child([&] {
              if (misuse_of([&] { process.join(); }).find("not the parent") == std::string::npos) return 1;
              if (misuse_of([&] { process.kill(); }).find("not the parent") == std::string::npos) return 2;
              if (!active_children().empty()) return 3;
              const Process end = std::move(process);  // its destructor neither waits nor kills
              return 0;
            }),
            0);
  EXPECT_TRUE(process.is_alive());
  process.kill();
}

}  // namespace
}  // namespace brood
