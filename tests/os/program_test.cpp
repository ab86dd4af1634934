#include "os/program.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "os/support.hpp"

namespace brood::os {
namespace {

using namespace testing;

bool contains(const std::vector<std::string>& entries, const std::string& entry) {
  return std::find(entries.begin(), entries.end(), entry) != entries.end();
}

TEST(Program, EnvironmentIsThatOfTheMoment) {
  EXPECT_EQ(run_in_child([] {
              ::setenv("BROOD_TEST_A", "a=b", 1);
              if (!contains(environment(), "BROOD_TEST_A=a=b")) return 1;
              ::unsetenv("BROOD_TEST_A");
              if (contains(environment(), "BROOD_TEST_A=a=b")) return 2;
              ::clearenv();
              return environment().empty() ? 0 : 3;
            }),
            0);
}

TEST(Program, ReplaceEnvironment) {
  EXPECT_EQ(run_in_child([] {
              ::setenv("BROOD_TEST_OLD", "old", 1);
              const char* const old = std::getenv("BROOD_TEST_OLD");
              replace_environment({"BROOD_TEST_NEW=new", "BROOD_TEST_EMPTY="});
              if (std::getenv("BROOD_TEST_OLD") != nullptr) return 1;
              if (std::string(old) != "old") return 2;  // who asked before may keep the answer
              if (std::string(std::getenv("BROOD_TEST_NEW")) != "new") return 3;
              if (std::string(std::getenv("BROOD_TEST_EMPTY")) != "") return 4;
              ::setenv("BROOD_TEST_NEW", "a longer value", 1);
              ::setenv("BROOD_TEST_MORE", "more", 1);
              ::unsetenv("BROOD_TEST_EMPTY");
              const std::vector<std::string> now = environment();
              if (now.size() != 2 || !contains(now, "BROOD_TEST_NEW=a longer value")) return 5;
              return contains(now, "BROOD_TEST_MORE=more") ? 0 : 6;
            }),
            0);
}

TEST(Program, ReplaceEnvironmentByNothing) {
  EXPECT_EQ(run_in_child([] {
              replace_environment({});
              if (!environment().empty() || std::getenv("PATH") != nullptr) return 1;
              ::setenv("BROOD_TEST_A", "a", 1);
              return environment().size() == 1 ? 0 : 2;
            }),
            0);
}

TEST(Program, TakeVariable) {
  EXPECT_EQ(run_in_child([] {
              if (!take_variable("BROOD_TEST_A").empty()) return 1;
              ::setenv("BROOD_TEST_A", "value", 1);
              ::setenv("BROOD_TEST_AB", "other", 1);
              if (take_variable("BROOD_TEST_A") != "value") return 2;
              if (std::getenv("BROOD_TEST_A") != nullptr) return 3;
              if (!take_variable("BROOD_TEST_A").empty()) return 4;
              return std::string(std::getenv("BROOD_TEST_AB")) == "other" ? 0 : 5;
            }),
            0);
}

TEST(Program, HasNoElevatedRights) { EXPECT_FALSE(has_elevated_rights()); }

TEST(Program, WorkingDirectory) {
  EXPECT_EQ(run_in_child([] {
              if (::chdir("/usr") != 0) return 1;
              const Fd directory = open_working_directory();
              if (!is_close_on_exec(directory.get())) return 2;
              if (::chdir("/") != 0) return 3;
              enter_directory(directory);
              char path[100];
              return ::getcwd(path, sizeof path) != nullptr && std::string(path) == "/usr" ? 0 : 4;
            }),
            0);
}

TEST(Program, WorkingDirectoryThatIsGone) {
  EXPECT_EQ(run_in_child([] {
              std::string path = ::testing::TempDir() + "brood-gone-XXXXXX";
              if (::mkdtemp(path.data()) == nullptr || ::chdir(path.c_str()) != 0) return 1;
              if (::rmdir(path.c_str()) != 0) return 2;
              const Fd directory = open_working_directory();
              if (::chdir("/") != 0) return 3;
              enter_directory(directory);
              return ::getcwd(path.data(), path.size()) == nullptr && errno == ENOENT ? 0 : 4;
            }),
            0);
}

TEST(Program, ErrorsNameTheCall) {
  const Fd directory = open_working_directory();
  {
    const Fault fault(Call::chdir, EACCES);
    EXPECT_NE(message_of([&] { enter_directory(directory); }).find("fchdir("), std::string::npos);
  }
  {
    const Fault fault(Call::open, EMFILE);
    EXPECT_EQ(error_of([] { (void)open_working_directory(); }), EMFILE);
  }
  {
    const Fault fault(Call::open, ENFILE);
    EXPECT_EQ(error_of([] { (void)open_null(); }), ENFILE);
  }
  EXPECT_EQ(error_of([] { replace_fd(-1, 5); }), EBADF);
}

TEST(Program, IsOpen) {
  const Fd null = open_null();
  EXPECT_TRUE(is_open(null.get()));
  EXPECT_FALSE(is_open(-1));
  EXPECT_FALSE(is_open(987654));
}

TEST(Program, OpenNull) {
  const Fd null = open_null();
  EXPECT_TRUE(is_close_on_exec(null.get()));
  char byte = 0;
  EXPECT_EQ(::write(null.get(), &byte, 1), 1);
  EXPECT_EQ(::read(null.get(), &byte, 1), 0);
}

// Programs that are started later inherit the replacement, whatever the source was; one that is closed gets open.
TEST(Program, ReplaceFd) {
  EXPECT_EQ(run_in_child([] {
              const Fd null = open_null();
              const Fd place = null.duplicate();
              replace_fd(null.get(), place.get());
              if (is_close_on_exec(place.get())) return 1;
              ::close(0);
              replace_fd(null.get(), 0);
              return is_open(0) && !is_close_on_exec(0) ? 0 : 2;
            }),
            0);
}

TEST(Program, IgnoredSignals) {
  EXPECT_EQ(run_in_child([] {
              for (const int signal : {SIGUSR1, SIGUSR2, SIGRTMAX}) std::signal(signal, SIG_DFL);
              std::vector<int> before = ignored_signals();
              std::signal(SIGUSR1, SIG_IGN);
              std::signal(SIGRTMAX, SIG_IGN);
              struct sigaction action {};
              action.sa_sigaction = [](int, siginfo_t*, void*) {};
              action.sa_flags = SA_SIGINFO;
              ::sigaction(SIGUSR2, &action, nullptr);
              before.insert(before.end(), {SIGUSR1, SIGRTMAX});
              std::sort(before.begin(), before.end());
              return ignored_signals() == before ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace brood::os
