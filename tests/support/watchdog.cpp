#include "support/watchdog.hpp"

#include <execinfo.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace brood::testing {
namespace {

constexpr long kDefaultLimit_s = 120;

// What the handler prints, made before the test starts: a signal handler may not format.
char message[512];
std::size_t message_size = 0;

void give_up(int) {
  // Nobody is left to tell when stderr is gone.
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, message, message_size);
  void* frames[64];
  ::backtrace_symbols_fd(frames, ::backtrace(frames, 64), STDERR_FILENO);
  ::abort();
}

long limit_s() {
  const char* text = std::getenv("BROOD_TEST_LIMIT_S");
  const long limit = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
  return limit > 0 ? limit : kDefaultLimit_s;
}

class Watchdog : public ::testing::EmptyTestEventListener {
 public:
  Watchdog() : limit_s_(limit_s()) {
    // The first backtrace() loads a library, which a signal handler must not do.
    void* frame[1];
    ::backtrace(frame, 1);

    struct sigaction action = {};
    action.sa_handler = give_up;
    check(::sigaction(SIGRTMAX, &action, nullptr), "sigaction");
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMAX;
    check(::timer_create(CLOCK_MONOTONIC, &event, &timer_), "timer_create");
  }

  void OnTestStart(const ::testing::TestInfo& test) override {
    const int size = std::snprintf(message, sizeof message, "\nwatchdog: %s.%s has been running for %ld s; giving up\n",
                                   test.test_suite_name(), test.name(), limit_s_);
    message_size = std::min(sizeof message - 1, static_cast<std::size_t>(size));
    arm(limit_s_);
  }
  void OnTestEnd(const ::testing::TestInfo&) override { arm(0); }

 private:
  static void check(int result, const char* call) {
    if (result != 0) throw std::system_error(errno, std::generic_category(), call);
  }

  void arm(long seconds) {
    itimerspec time = {};
    time.it_value.tv_sec = seconds;
    check(::timer_settime(timer_, 0, &time, nullptr), "timer_settime");
  }

  const long limit_s_;
  timer_t timer_ = {};
};

}  // namespace

void install_watchdog() { ::testing::UnitTest::GetInstance()->listeners().Append(new Watchdog); }

}  // namespace brood::testing
