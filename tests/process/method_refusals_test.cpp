// Starts that cannot work end in one clear error, leave nothing behind, and may be repeated.
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "process/every_method.hpp"

namespace brood {
namespace {

using namespace proc::testing;

using Refusals = EveryMethod;
BROOD_EVERY_METHOD(Refusals);

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_P(Refusals, CaptureByReference) {
  int captured = 5;
  Process process(options(), [&captured] { ::_exit(captured); });
  if (GetParam() == StartMethod::fork) {
    process.start();
    process.join();
    EXPECT_EQ(process.exitcode(), 5);
    return;
  }
  const std::string text = misuse_of([&] { process.start(); });
  EXPECT_TRUE(contains(text, "never by reference")) << text;
  EXPECT_TRUE(contains(text, "brood::bind")) << text;
  EXPECT_EQ(process.pid(), 0);
  EXPECT_FALSE(process.is_alive());
  EXPECT_TRUE(nothing_left());
}

TEST_P(Refusals, CaptureThatIsNotTrivial) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "inherits everything";
  const std::string text = refusal_of([words = std::string("x")] { ::_exit(words.empty() ? 1 : 0); });
  EXPECT_TRUE(contains(text, "trivially copyable")) << text;
}

TEST_P(Refusals, ArgumentThatCannotBeArchived) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "inherits everything";
  std::string text = refusal_of([](std::ostringstream) {}, std::ostringstream("x"));
  EXPECT_TRUE(contains(text, "cannot be archived")) << text;
  int local = 0;
  text = refusal_of([](int*) {}, &local);
  EXPECT_TRUE(contains(text, "cannot be archived")) << text;
  text = refusal_of([](int& x) { ++x; }, std::ref(local));
  EXPECT_TRUE(contains(text, "cannot be archived")) << text;
}

class Plain : public Process {
 public:
  using Process::Process;
  void run() override { ::_exit(3); }
};

TEST_P(Refusals, PlainSubclassSaysWhatToDeriveFrom) {
  Plain plain(options());
  if (GetParam() == StartMethod::fork) {
    plain.start();
    plain.join();
    EXPECT_EQ(plain.exitcode(), 3);
    return;
  }
  const std::string text = misuse_of([&] { plain.start(); });
  EXPECT_TRUE(contains(text, "brood::ProcessType")) << text;
  EXPECT_TRUE(contains(text, "serialize")) << text;
  EXPECT_TRUE(nothing_left());
}

class WithoutSerialize : public ProcessType<WithoutSerialize> {
 public:
  using ProcessType::ProcessType;
  void run() override { ::_exit(value_); }

 private:
  int value_ = 4;
};
class WithoutDefault : public ProcessType<WithoutDefault> {
 public:
  WithoutDefault(ProcessOptions options, int value) : ProcessType(std::move(options)), value_(value) {}
  void run() override { ::_exit(value_); }
  template <class A>
  void serialize(A& archive) {
    archive(value_);
  }

 private:
  int value_;
};
class First : public ProcessType<First> {
 public:
  using ProcessType::ProcessType;
  void run() override { ::_exit(1); }
};
class Second : public First {
 public:
  using First::First;
  void run() override { ::_exit(2); }
};

TEST_P(Refusals, IncompleteProcessTypes) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "inherits everything";
  WithoutSerialize without_serialize(options());
  std::string text = misuse_of([&] { without_serialize.start(); });
  EXPECT_TRUE(contains(text, "serialize")) << text;
  WithoutDefault without_default(options(), 5);
  text = misuse_of([&] { without_default.start(); });
  EXPECT_TRUE(contains(text, "default constructor")) << text;
}

// What is derived from a ProcessType<First> is no First: another process would run the wrong function.
TEST_P(Refusals, ClassDerivedFromAProcessType) {
  Second second(options());
  if (GetParam() == StartMethod::fork) {
    second.start();
    second.join();
    EXPECT_EQ(second.exitcode(), 2);
    return;
  }
  const std::string text = misuse_of([&] { second.start(); });
  EXPECT_TRUE(contains(text, "ProcessType")) << text;
}

// --- loading --------------------------------------------------------------------------------------------------------

enum class Deed { nothing, throw_standard, throw_other, segfault, kill, abort, exit, exit_now, leave_thread };

// Does its deed where it is loaded.
struct Trap {
  Deed deed = Deed::nothing;
  template <class A>
  void serialize(A& archive) {
    archive(deed);
    if constexpr (A::is_loading::value) spring(deed);
  }
  static void spring(Deed deed) {
    no_core();
    switch (deed) {
      case Deed::nothing:
        return;
      case Deed::throw_standard:
        throw std::out_of_range("no such value");
      case Deed::throw_other:
        throw 42;
      case Deed::segfault:
        std::signal(SIGSEGV, SIG_DFL);
        ::raise(SIGSEGV);
        return;
      case Deed::kill:
        ::raise(SIGKILL);
        return;
      case Deed::abort:
        std::signal(SIGABRT, SIG_DFL);
        std::abort();
      case Deed::exit:
        std::exit(3);
      case Deed::exit_now:
        ::_exit(0);
      case Deed::leave_thread:
        ::pthread_exit(nullptr);
    }
  }
};

struct Trapped {
  Deed deed;
  const char* expected;  // in the text
};

TEST_P(Refusals, LoadingThatFails) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "loads nothing";
  const Shared<Word> runs;
  for (const auto& [deed, expected] :
       {Trapped{Deed::throw_standard, "std::out_of_range: no such value"}, Trapped{Deed::throw_other, "int"},
        Trapped{Deed::segfault, "SIGSEGV"}, Trapped{Deed::kill, "SIGKILL"}, Trapped{Deed::abort, "SIGABRT"},
        Trapped{Deed::exit, "status 3"}, Trapped{Deed::exit_now, "status 0"}}) {
    Process process(
        options(), [runs = runs.get()](const Trap&) { ++*runs; }, Trap{deed});
    const std::string name = process.name();
    for (int attempt = 0; attempt < 2; ++attempt) {  // it may be repeated, and fails again
      const std::string text = misuse_of([&] { process.start(); });
      EXPECT_TRUE(contains(text, name)) << text;
      EXPECT_TRUE(contains(text, expected)) << text;
      EXPECT_TRUE(contains(text, name_of(GetParam()))) << text;
      EXPECT_EQ(process.pid(), 0);
      EXPECT_EQ(process.exitcode(), std::nullopt);
    }
    EXPECT_TRUE(active_children().empty());
    EXPECT_TRUE(nothing_left());
  }
  EXPECT_EQ(run([](const Trap&) {}, Trap{}), 0);  // nothing is broken
  EXPECT_EQ(*runs, 0);
}

TEST_P(Refusals, LoadingThatEndsItsThread) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "loads nothing";
  EXPECT_NE(refusal_of([](const Trap&) {}, Trap{Deed::leave_thread}), "nothing was thrown");
  EXPECT_TRUE(nothing_left());
}

// An undecodable argument: what it is loaded as does not fit what was saved.
struct Uneven {
  template <class A>
  void serialize(A& archive) {
    int number = 5;
    archive(number);
    if constexpr (A::is_loading::value) {
      std::string much;
      archive(much);
    }
  }
};
struct Leftover {
  template <class A>
  void serialize(A& archive) {
    int number = 5;
    archive(number);
    if constexpr (A::is_saving::value) archive(number, number);
  }
};

TEST_P(Refusals, Undecodable) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "loads nothing";
  std::string text = refusal_of([](const Uneven&) {}, Uneven{});
  EXPECT_TRUE(contains(text, "ArchiveError")) << text;
  text = refusal_of([](const Leftover&) {}, Leftover{});
  EXPECT_TRUE(contains(text, "ArchiveError")) << text;
}

struct Stuck {
  std::uintptr_t place = 0;
  template <class A>
  void serialize(A& archive) {
    archive(place);
    if constexpr (A::is_loading::value) {
      *reinterpret_cast<Word*>(place) = ::getpid();
      run_for_ever();
    }
  }
};

// A process that is stuck where it loads can be ended from outside; start() then says so.
TEST_P(Refusals, LoadingThatNeverEnds) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "loads nothing";
  const Shared<Word> pid;
  Process process(
      options(), [](const Stuck&) {}, Stuck{reinterpret_cast<std::uintptr_t>(pid.get())});
  std::thread ender([&] {
    await(*pid);
    ::kill(*pid, SIGKILL);
  });
  const std::string text = misuse_of([&] { process.start(); });
  ender.join();
  EXPECT_TRUE(contains(text, "SIGKILL")) << text;
  EXPECT_TRUE(nothing_left());
}

// --- saving ---------------------------------------------------------------------------------------------------------

struct Reluctant {
  bool* refuse = nullptr;
  int value = 0;
  template <class A>
  void serialize(A& archive) {
    archive(value);
    if constexpr (A::is_saving::value) {
      if (*refuse) throw std::runtime_error("not now");
    }
  }
};

TEST_P(Refusals, SavingThatThrowsMayBeRepeated) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "saves nothing";
  bool refuse = true;
  Process process(
      options(), [](const Reluctant& r) { ::_exit(r.value); }, Reluctant{.refuse = &refuse, .value = 6});
  EXPECT_EQ(os::testing::message_of([&] { process.start(); }), "not now");
  EXPECT_EQ(process.pid(), 0);
  EXPECT_TRUE(active_children().empty());
  EXPECT_TRUE(nothing_left());
  refuse = false;
  process.start();
  process.join();
  EXPECT_EQ(process.exitcode(), 6);
}

// Failed starts leave no descriptor either.
TEST_P(Refusals, LeakNothing) {
  if (GetParam() == StartMethod::fork) GTEST_SKIP() << "loads nothing";
  const auto fail = [&](Deed deed) { EXPECT_NE(refusal_of([](const Trap&) {}, Trap{deed}), "nothing was thrown"); };
  fail(Deed::kill);
  const int before = count_fds();
  for (std::size_t i = 0; i < scaled(30); ++i) {
    for (const Deed deed : {Deed::throw_standard, Deed::exit_now, Deed::kill}) fail(deed);
  }
  EXPECT_EQ(count_fds(), before);
  EXPECT_TRUE(nothing_left());
}

}  // namespace
}  // namespace brood
