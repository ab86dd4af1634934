#include "os/interrupt.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

#include "os/syscall.hpp"

namespace brood::os {
namespace {

constexpr std::size_t kMostWatches = 256;  // further ones work, but a call that sleeps notices later

std::atomic<std::uint64_t> interrupts{0};
std::atomic<int> calls{0};
std::atomic<bool> unreported{false};
std::array<std::atomic<int>, kMostWatches> event_fds{};  // fd + 1; 0: free
std::mutex watches_mutex;
int watches = 0;  // guarded by watches_mutex

void on_interrupt(int signal) {
  const int saved = errno;
  if (calls.load() == 0 || unreported.exchange(true)) {
    // As if there had been no handler: it comes again as soon as this one returns.
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
    ::kill(::getpid(), signal);
  } else {
    interrupts.fetch_add(1);
    const std::uint64_t one = 1;
    for (auto& slot : event_fds) {
      const int fd = slot.load() - 1;
      if (fd >= 0 && ::write(fd, &one, sizeof one) < 0) continue;  // it is set already
    }
  }
  errno = saved;
}

bool handles(void (*handler)(int)) {
  struct sigaction action {};
  if (call(Call::sigaction, [&] { return ::sigaction(SIGINT, nullptr, &action); }) < 0) return false;
  return (action.sa_flags & SA_SIGINFO) == 0 && action.sa_handler == handler;
}

void install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  call(Call::sigaction, [&] { return ::sigaction(SIGINT, &action, nullptr); });
}

}  // namespace

void end_by_interrupt() noexcept {
  if (handles(&on_interrupt)) install(SIG_DFL);
  if (handles(SIG_DFL)) ::raise(SIGINT);
}

InterruptWatch::InterruptWatch(int event_fd) {
  const std::lock_guard lock(watches_mutex);
  for (std::size_t i = 0; i < event_fds.size() && slot_ < 0; ++i) {
    if (event_fds[i].load() != 0) continue;
    event_fds[i].store(event_fd + 1);
    slot_ = static_cast<int>(i);
  }
  ++watches;
  if (handles(SIG_DFL)) install(&on_interrupt);
}

InterruptWatch::~InterruptWatch() {
  const std::lock_guard lock(watches_mutex);
  if (slot_ >= 0) event_fds[static_cast<std::size_t>(slot_)].store(0);
  if (--watches == 0 && handles(&on_interrupt)) install(SIG_DFL);
}

InterruptibleCall::InterruptibleCall() noexcept : begun_(interrupts.load(std::memory_order_relaxed)) {
  calls.fetch_add(1, std::memory_order_relaxed);
}

InterruptibleCall::~InterruptibleCall() { calls.fetch_sub(1, std::memory_order_relaxed); }

bool InterruptibleCall::interrupted() const noexcept { return interrupts.load(std::memory_order_relaxed) != begun_; }

void InterruptibleCall::reported() noexcept { unreported.store(false); }

}  // namespace brood::os
