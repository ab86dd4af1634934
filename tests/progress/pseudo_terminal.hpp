// A pseudo terminal whose other side is an Emulator that a thread keeps fed.
//
// Across fork: the child may write to fd() and must not destroy its copy.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "progress/emulator.hpp"

namespace brood::testing {

class PseudoTerminal {
 public:
  explicit PseudoTerminal(int columns = 80, int rows = 24) : emulator_(columns, rows) {
    winsize size = size_of(columns, rows);
    if (::openpty(&master_, &slave_, nullptr, nullptr, &size) != 0) std::abort();
    reader_ = std::thread([this] { read(); });
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;
  ~PseudoTerminal() {
    EXPECT_EQ(settled().strange(), "");
    ended_.store(true);
    mark();
    reader_.join();
    ::close(slave_);
    ::close(master_);
  }

  int fd() const { return slave_; }

  // Everything that has been written until now.
  std::vector<std::string> lines() { return settled().lines(); }
  // A copy of the terminal after everything that has been written until now.
  Emulator settled() {
    std::unique_lock lock(mutex_);
    const int wanted = ++marks_;
    lock.unlock();
    mark();
    lock.lock();
    changed_.wait(lock, [&] { return emulator_.marks() >= wanted; });
    return emulator_;
  }
  std::string raw() {
    settled();
    const std::lock_guard lock(mutex_);
    return raw_;
  }

  void resize(int columns, int rows) {
    settled();
    const std::lock_guard lock(mutex_);
    const winsize size = size_of(columns, rows);
    ::ioctl(slave_, TIOCSWINSZ, &size);
    emulator_.resize(columns, rows);
  }

  // While it is stopped, nobody reads what is written.
  void stop() { stopped_.store(true); }
  void go_on() { stopped_.store(false); }

 private:
  static winsize size_of(int columns, int rows) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    return size;
  }

  void mark() const {
    if (::write(slave_, "\x1b[z", 3) != 3) std::abort();
  }

  void read() {
    char buffer[4096];
    while (!ended_.load()) {
      pollfd item{master_, POLLIN, 0};
      if (stopped_.load() || ::poll(&item, 1, 1000) <= 0) {
        std::this_thread::yield();
        continue;
      }
      const ssize_t count = ::read(master_, buffer, sizeof buffer);
      if (count <= 0) return;
      const std::lock_guard lock(mutex_);
      raw_.append(buffer, static_cast<std::size_t>(count));
      emulator_.feed({buffer, static_cast<std::size_t>(count)});
      changed_.notify_all();
    }
  }

  int master_ = -1;
  int slave_ = -1;
  std::mutex mutex_;
  std::condition_variable changed_;
  Emulator emulator_;
  std::string raw_;
  int marks_ = 0;
  std::atomic<bool> ended_{false};
  std::atomic<bool> stopped_{false};
  std::thread reader_;
};

}  // namespace brood::testing
