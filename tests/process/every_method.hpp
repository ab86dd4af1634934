// What the tests of Process share that run under every start method.
//
// The function of a process that inherits nothing may capture only what is trivially copyable, so these tests talk to
// their processes through shared memory at one address (Shared) and through the standard streams.
#pragma once

#include <brood/process.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "process/support.hpp"
#include "support/arena.hpp"
#include "support/sanitizer.hpp"
#include "support/scale.hpp"

namespace brood::proc::testing {

using brood::testing::kSanitized;
using brood::testing::scaled;

inline constexpr std::array kEveryMethod{StartMethod::fork, StartMethod::forkserver, StartMethod::spawn};

inline const char* name_of(StartMethod method) {
  switch (method) {
    case StartMethod::fork:
      return "fork";
    case StartMethod::forkserver:
      return "forkserver";
    case StartMethod::spawn:
      return "spawn";
  }
  return "?";
}

// A suite that is instantiated for every method.
class EveryMethod : public ::testing::TestWithParam<StartMethod> {
 protected:
  // Begins the fork server, which is a child of this process, and ends it again.
  void SetUp() override;
  void TearDown() override;
  // Whether there are no more children, running or not, than at the beginning of the test.
  bool nothing_left() const;

  static ProcessOptions options(bool daemon = false) { return {.daemon = daemon, .start_method = GetParam()}; }

  // Starts f(args...), waits, and returns the exit code.
  template <class F, class... Args>
  static int run(F&& f, Args&&... args) {
    Process process(options(), std::forward<F>(f), std::forward<Args>(args)...);
    process.start();
    process.join();
    return process.exitcode().value();
  }

  // The text of the ProcessError of its start.
  template <class F, class... Args>
  static std::string refusal_of(F&& f, Args&&... args) {
    Process process(options(), std::forward<F>(f), std::forward<Args>(args)...);
    return misuse_of([&] { process.start(); });
  }

 private:
  std::size_t children_before_ = 0;
};

inline std::string name_of_instance(const ::testing::TestParamInfo<StartMethod>& instance) {
  return name_of(instance.param);
}

#define BROOD_EVERY_METHOD(Suite) \
  INSTANTIATE_TEST_SUITE_P(Every, Suite, ::testing::ValuesIn(kEveryMethod), name_of_instance)

// Zeroed memory that this process shares with all that it starts. Allocated by the test's own process only.
template <class T>
class Shared {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  Shared() : data_(static_cast<T*>(brood::testing::allocate_shared(sizeof(T)))) {}
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() { brood::testing::free_shared(data_, sizeof(T)); }

  T* get() const noexcept { return data_; }
  T& operator*() const noexcept { return *data_; }
  T* operator->() const noexcept { return data_; }

 private:
  T* data_;
};

using Word = std::atomic<int>;

// Until `word` is at least `value`. The process ends with code 99 when nobody says so for a minute.
inline void await(const Word& word, int value = 1) {
  if (!eventually([&] { return word.load() >= value; })) ::_exit(99);
}

// Text from one process to another.
struct Note {
  char text[4000];
  Word ready;

  void write(const std::string& words) {
    std::strncpy(text, words.c_str(), sizeof text - 1);
    ready = 1;
  }
  std::string read() const {
    await(ready);
    return text;
  }
};

// What goes to descriptor `fd` of a process of its own that runs `f`, and of all processes that it starts; all of them
// have closed it when this returns.
template <class F>
std::string written_to(int fd, F&& f) {
  Pipe pipe;
  const pid_t pid = fork_child([&] {
    ::dup2(pipe.writer.get(), fd);
    pipe.writer.reset();
    f();
    std::fflush(nullptr);
    return 0;
  });
  std::string text = pipe.rest();
  EXPECT_EQ(exit_code_of(pid), 0) << text;
  return text;
}

// The state letter of /proc: 'T' stopped, 'Z' zombie, 0 when there is no such process.
inline char state_of(pid_t pid) {
  const os::Fd file(::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return 0;
  char text[512] = {};
  const ssize_t got = ::read(file.get(), text, sizeof text - 1);
  if (got <= 0) return 0;
  const char* const end = std::strrchr(text, ')');
  return end == nullptr ? '\0' : end[2];
}

inline bool is_gone(pid_t pid) {
  const char state = state_of(pid);
  return state == 0 || state == 'Z';
}

// The pids of this process's children, zombies included.
inline std::vector<pid_t> children() {
  std::vector<pid_t> all;
  DIR* const folder = ::opendir("/proc");
  while (const dirent* const entry = ::readdir(folder)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    const os::Fd file(::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
    char text[512] = {};
    if (!file || ::read(file.get(), text, sizeof text - 1) <= 0) continue;
    const char* const end = std::strrchr(text, ')');
    if (end != nullptr && std::atoi(end + 4) == ::getpid()) all.push_back(pid);
  }
  ::closedir(folder);
  return all;
}

// The fork server of this process, which is begun if there is none.
inline pid_t fork_server_pid() {
  const Shared<Word> parent;
  Process process(ProcessOptions{.start_method = StartMethod::forkserver},
                  [parent = parent.get()] { *parent = ::getppid(); });
  process.start();
  process.join();
  // Nobody may signal pid 0: that is the whole group.
  if (process.exitcode() != 0 || *parent <= 1) throw std::runtime_error("there is no fork server");
  return *parent;
}

// Ends the fork server of this process and waits for that.
inline void kill_fork_server(pid_t server) {
  const os::Fd pidfd = os::open_pidfd(server);
  os::send_signal(pidfd, SIGKILL);
  os::wait_readable(pidfd.get(), os::Deadline::never());
}

// For the tests of fork, which expect no child at all.
inline void end_fork_server() {
  const pid_t server = fork_server_pid();
  kill_fork_server(server);
  ::waitpid(server, nullptr, 0);
}

inline void EveryMethod::SetUp() {
  if (GetParam() == StartMethod::forkserver) fork_server_pid();
  children_before_ = children().size();
}
inline void EveryMethod::TearDown() {
  if (GetParam() == StartMethod::forkserver) end_fork_server();
}
inline bool EveryMethod::nothing_left() const { return children().size() == children_before_; }

inline void no_core() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
}

}  // namespace brood::proc::testing
