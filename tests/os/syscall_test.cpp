#include "os/syscall.hpp"

#include <sys/mman.h>
#include <sys/time.h>

#include <csignal>

#include "os/fd.hpp"
#include "os/socket.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::Fault;

TEST(Syscall, ErrorNamesCallArgumentAndReason) {
  const std::string text = testing::message_of([] { throw_errno(ENOENT, "open", "/nowhere"); });
  EXPECT_NE(text.find("open(/nowhere)"), std::string::npos) << text;
  EXPECT_NE(text.find("No such file or directory"), std::string::npos) << text;
  EXPECT_EQ(testing::error_of([] { throw_errno(EMFILE, "dup"); }), EMFILE);
}

TEST(Syscall, RetriesWhileInterrupted) {
  const Fault fault(Call::read, EINTR, 1, 5);
  int made = 0;
  EXPECT_EQ(call(Call::read, [&] { return ++made; }), 1);
  EXPECT_EQ(fault.hits(), 6);
}

TEST(Syscall, OnceDoesNotRetry) {
  const Fault fault(Call::futex, EINTR);
  EXPECT_EQ(call_once(Call::futex, [] { return 7; }), -1);
  EXPECT_EQ(errno, EINTR);
  EXPECT_EQ(call_once(Call::futex, [] { return 7; }), 7);
}

TEST(Syscall, OtherErrorsAreReturned) {
  const Fault fault(Call::read, ENOMEM, 2);
  EXPECT_EQ(call(Call::read, [] { return 7; }), 7);
  EXPECT_EQ(call(Call::read, [] { return 7; }), -1);
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(call(Call::write, [] { return 7; }), 7);
}

TEST(Syscall, PointerResultFailsAsMapFailed) {
  const Fault fault(Call::mmap, ENOMEM);
  int x = 0;
  EXPECT_EQ(call(Call::mmap, [&] { return static_cast<void*>(&x); }), MAP_FAILED);
}

// The real thing: a signal every millisecond, without SA_RESTART, while reads and writes block.
TEST(Syscall, SignalsDuringBlockingCalls) {
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGALRM, &action, &before), 0);
  const itimerval every_millisecond{{0, 1000}, {0, 1000}};
  ASSERT_EQ(::setitimer(ITIMER_REAL, &every_millisecond, nullptr), 0);

  auto [a, b] = socket_pair();
  std::thread writer([&, fd = b.get()] {
    for (int i = 0; i < 20; ++i) {
      ::usleep(3000);
      const auto byte = static_cast<std::byte>(i);
      EXPECT_TRUE(send_message(fd, std::span(&byte, 1)));
    }
  });
  for (int i = 0; i < 20; ++i) {
    std::byte byte{};
    std::size_t length = 0;
    std::vector<Fd> fds;
    EXPECT_EQ(receive_message(a.get(), std::span(&byte, 1), length, fds, true), Received::message);
    EXPECT_EQ(std::to_integer<int>(byte), i);
  }
  writer.join();
  const itimerval off{};
  ::setitimer(ITIMER_REAL, &off, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
}

}  // namespace
}  // namespace brood::os
