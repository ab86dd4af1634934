#include "os/fd.hpp"

#include <csignal>
#include <string>
#include <vector>

#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::error_of;
using testing::Fault;

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader = Fd(ends[0]);
    writer = Fd(ends[1]);
  }
  Fd reader, writer;
};

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, OwnsAndCloses) {
  int raw = -1;
  {
    const Fd fd = open_file("/dev/null", O_RDONLY);
    raw = fd.get();
    EXPECT_TRUE(fd);
    EXPECT_TRUE(is_open(raw));
  }
  EXPECT_FALSE(is_open(raw));
  EXPECT_FALSE(Fd());
  EXPECT_EQ(Fd().get(), -1);
}

TEST(Fd, MovesAndReleases) {
  Fd a = open_file("/dev/null", O_RDONLY);
  const int raw = a.get();
  Fd b = std::move(a);
  EXPECT_FALSE(a);
  EXPECT_EQ(b.get(), raw);
  Fd c = open_file("/dev/null", O_RDONLY);
  const int other = c.get();
  c = std::move(b);
  EXPECT_FALSE(is_open(other));
  EXPECT_EQ(c.get(), raw);
  Fd& same = c;
  c = std::move(same);
  EXPECT_EQ(c.get(), raw);
  EXPECT_EQ(c.release(), raw);
  EXPECT_FALSE(c);
  EXPECT_TRUE(is_open(raw));
  Fd(raw).reset();
  EXPECT_FALSE(is_open(raw));
}

TEST(Fd, CloseIsNeverRepeatedAndKeepsErrno) {
  Fd fd = open_file("/dev/null", O_RDONLY);
  const Fault fault(Call::close, EINTR);
  errno = ENOTTY;
  fd.reset();
  EXPECT_EQ(errno, ENOTTY);
  EXPECT_EQ(fault.hits(), 1);
  fd.reset();
  EXPECT_EQ(fault.hits(), 1);
}

TEST(Fd, EveryWayOfOpeningIsCloseOnExec) {
  const Fd fd = open_file("/dev/null", O_RDONLY);
  EXPECT_TRUE(testing::is_close_on_exec(fd.get()));
  const Fd copy = fd.duplicate();
  EXPECT_TRUE(testing::is_close_on_exec(copy.get()));
  EXPECT_NE(copy.get(), fd.get());
}

TEST(Fd, Inheritable) {
  const Fd fd = open_file("/dev/null", O_RDONLY);
  set_inheritable(fd.get(), true);
  EXPECT_FALSE(testing::is_close_on_exec(fd.get()));
  set_inheritable(fd.get(), false);
  EXPECT_TRUE(testing::is_close_on_exec(fd.get()));
  EXPECT_EQ(error_of([] { set_inheritable(-1, true); }), EBADF);
}

TEST(Fd, Nonblocking) {
  Pipe pipe;
  set_nonblocking(pipe.reader.get(), true);
  char byte = 0;
  EXPECT_EQ(error_of([&] { read_some(pipe.reader.get(), &byte, 1); }), EAGAIN);
  set_nonblocking(pipe.reader.get(), false);
  EXPECT_EQ(::fcntl(pipe.reader.get(), F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(error_of([] { set_nonblocking(-1, true); }), EBADF);
}

TEST(Fd, OpenNamesThePath) {
  EXPECT_NE(testing::message_of([] { open_file("/no/such/file", O_RDONLY); }).find("open(/no/such/file)"),
            std::string::npos);
  EXPECT_EQ(error_of([] { open_file("/no/such/file", O_RDONLY); }), ENOENT);
}

TEST(Fd, DuplicateFails) {
  EXPECT_EQ(error_of([] { (void)Fd().duplicate(); }), EBADF);
  const Fd fd = open_file("/dev/null", O_RDONLY);
  const Fault fault(Call::dup, EMFILE);
  EXPECT_EQ(error_of([&] { (void)fd.duplicate(); }), EMFILE);
}

TEST(Fd, ReadsToTheEnd) {
  Pipe pipe;
  EXPECT_EQ(write_some(pipe.writer.get(), "abc", 3), 3U);
  pipe.writer.reset();
  char text[8] = {};
  EXPECT_EQ(read_some(pipe.reader.get(), text, sizeof text), 3U);
  EXPECT_STREQ(text, "abc");
  EXPECT_EQ(read_some(pipe.reader.get(), text, sizeof text), 0U);
  EXPECT_EQ(read_all(pipe.reader.get(), text, sizeof text), 0U);
}

TEST(Fd, ReadAndWriteFailures) {
  char byte = 0;
  EXPECT_EQ(error_of([&] { read_some(-1, &byte, 1); }), EBADF);
  EXPECT_EQ(error_of([&] { write_some(-1, &byte, 1); }), EBADF);
  EXPECT_EQ(error_of([&] { read_all(-1, &byte, 1); }), EBADF);
  EXPECT_EQ(error_of([&] { write_all(-1, &byte, 1); }), EBADF);
}

// More than a pipe holds, both ends non-blocking, one signal's worth of EINTR and EAGAIN on top.
TEST(Fd, WriteAllAndReadAllThroughANonblockingPipe) {
  Pipe pipe;
  set_nonblocking(pipe.reader.get(), true);
  set_nonblocking(pipe.writer.get(), true);
  const std::string sent(1 << 20, 'x');
  std::string received(sent.size(), ' ');
  const Fault fault(Call::write, EAGAIN, 3, 2);
  std::thread writer([&] {
    EXPECT_TRUE(write_all(pipe.writer.get(), sent.data(), sent.size()));
    pipe.writer.reset();
  });
  EXPECT_EQ(read_all(pipe.reader.get(), received.data(), received.size()), sent.size());
  writer.join();
  EXPECT_EQ(received, sent);
}

TEST(Fd, WriteWithoutAReader) {
  EXPECT_EQ(testing::run_in_child([] {
              std::signal(SIGPIPE, SIG_IGN);
              Pipe pipe;
              pipe.reader.reset();
              if (write_all(pipe.writer.get(), "x", 1)) return 1;
              return error_of([&] { write_some(pipe.writer.get(), "x", 1); }) == EPIPE ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace brood::os
