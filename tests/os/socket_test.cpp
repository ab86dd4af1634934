#include "os/socket.hpp"

#include <sys/resource.h>

#include <cstring>
#include <string>
#include <tuple>

#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::error_of;
using testing::Fault;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Ends {
  Ends() { std::tie(a, b) = socket_pair(); }
  Fd a, b;
};

struct Inbox {
  Received receive(int fd, bool wait = true, std::size_t room = 1024) {
    buffer.resize(room);
    std::size_t length = 0;
    const Received result = receive_message(fd, std::as_writable_bytes(std::span(buffer)), length, fds, wait);
    text = buffer.substr(0, length);
    return result;
  }
  std::string buffer, text;
  std::vector<Fd> fds;
};

TEST(Socket, KeepsMessageBoundaries) {
  Ends ends;
  Fd &a = ends.a, &b = ends.b;
  EXPECT_TRUE(testing::is_close_on_exec(a.get()));
  EXPECT_TRUE(testing::is_close_on_exec(b.get()));
  EXPECT_TRUE(send_message(a.get(), bytes_of("one")));
  EXPECT_TRUE(send_message(a.get(), bytes_of("second")));
  Inbox inbox;
  EXPECT_EQ(inbox.receive(b.get()), Received::message);
  EXPECT_EQ(inbox.text, "one");
  EXPECT_EQ(inbox.receive(b.get()), Received::message);
  EXPECT_EQ(inbox.text, "second");
  EXPECT_EQ(inbox.receive(b.get(), false), Received::nothing);
}

TEST(Socket, EndOfThePeer) {
  Ends ends;
  Fd &a = ends.a, &b = ends.b;
  EXPECT_TRUE(send_message(a.get(), bytes_of("last")));
  a.reset();
  Inbox inbox;
  EXPECT_EQ(inbox.receive(b.get()), Received::message);
  EXPECT_EQ(inbox.text, "last");
  EXPECT_EQ(inbox.receive(b.get()), Received::end);
  EXPECT_FALSE(send_message(b.get(), bytes_of("nobody")));  // and no SIGPIPE
}

TEST(Socket, UnreadMessagesOfThePeerAreAReset) {
  Ends ends;
  Fd &a = ends.a, &b = ends.b;
  EXPECT_TRUE(send_message(a.get(), bytes_of("never read")));
  b.reset();
  Inbox inbox;
  EXPECT_EQ(inbox.receive(a.get()), Received::end);
}

TEST(Socket, CarriesDescriptors) {
  Ends ends;
  Fd &a = ends.a, &b = ends.b;
  Ends others;
  Fd &c = others.a, &d = others.b;
  const int sent[] = {c.get(), d.get(), c.get()};
  EXPECT_TRUE(send_message(a.get(), bytes_of("fds"), sent));
  c.reset();
  d.reset();
  Inbox inbox;
  ASSERT_EQ(inbox.receive(b.get()), Received::message);
  ASSERT_EQ(inbox.fds.size(), 3U);
  for (const Fd& fd : inbox.fds) EXPECT_TRUE(testing::is_close_on_exec(fd.get()));
  EXPECT_TRUE(send_message(inbox.fds[0].get(), bytes_of("through")));
  Inbox other;
  ASSERT_EQ(other.receive(inbox.fds[1].get()), Received::message);
  EXPECT_EQ(other.text, "through");
}

TEST(Socket, AsManyDescriptorsAsFit) {
  Ends ends;
  Fd &a = ends.a, &b = ends.b;
  const std::vector<int> sent(kMaxMessageFds, a.get());
  EXPECT_TRUE(send_message(a.get(), bytes_of("many"), sent));
  Inbox inbox;
  ASSERT_EQ(inbox.receive(b.get()), Received::message);
  EXPECT_EQ(inbox.fds.size(), kMaxMessageFds);
  const std::vector<int> too_many(kMaxMessageFds + 1, a.get());
  EXPECT_EQ(error_of([&] { send_message(a.get(), bytes_of("x"), too_many); }), EINVAL);
}

TEST(Socket, Misuse) {
  Ends ends;
  const Fd& a = ends.a;
  EXPECT_EQ(error_of([&] { send_message(a.get(), {}); }), EINVAL);
  EXPECT_EQ(error_of([] { send_message(-1, bytes_of("x")); }), EBADF);
  Inbox inbox;
  EXPECT_EQ(error_of([&] { inbox.receive(-1); }), EBADF);
  const int bad[] = {-1};
  EXPECT_EQ(error_of([&] { send_message(a.get(), bytes_of("x"), bad); }), EBADF);
}

TEST(Socket, MessageLongerThanTheBuffer) {
  Ends ends;
  Fd &a = ends.a, &b = ends.b;
  const int sent[] = {a.get()};
  EXPECT_TRUE(send_message(a.get(), bytes_of("too long"), sent));
  const int before = testing::count_fds();
  Inbox inbox;
  EXPECT_EQ(error_of([&] { inbox.receive(b.get(), true, 3); }), EMSGSIZE);
  EXPECT_TRUE(inbox.fds.empty());
  EXPECT_EQ(testing::count_fds(), before);
}

// What the kernel cannot install into a full table must not be mistaken for a message without descriptors.
TEST(Socket, NoRoomForTheDescriptors) {
  EXPECT_EQ(testing::run_in_child([] {
              Ends ends;
              Fd &a = ends.a, &b = ends.b;
              const int sent[] = {0, 1, 2};
              send_message(a.get(), bytes_of("x"), sent);
              const rlimit limit{64, 4096};
              ::setrlimit(RLIMIT_NOFILE, &limit);
              while (::dup(0) >= 0) {
              }
              Inbox inbox;
              return error_of([&] { inbox.receive(b.get()); }) == EMFILE && inbox.fds.empty() ? 0 : 1;
            }),
            0);
}

TEST(Socket, Faults) {
  const int before = testing::count_fds();
  {
    const Fault fault(Call::socketpair, EMFILE);
    EXPECT_EQ(error_of([] { socket_pair(); }), EMFILE);
  }
  {
    Ends ends;
    Fd &a = ends.a, &b = ends.b;
    {
      const Fault fault(Call::sendmsg, EINTR);
      EXPECT_TRUE(send_message(a.get(), bytes_of("x")));
    }
    for (const int error : {EAGAIN, ENOMEM}) {
      const Fault fault(Call::sendmsg, error);
      EXPECT_EQ(error_of([&] { send_message(a.get(), bytes_of("x")); }), error);
    }
    Inbox inbox;
    {
      const Fault fault(Call::recvmsg, EINTR);
      EXPECT_EQ(inbox.receive(b.get()), Received::message);
    }
    const Fault fault(Call::recvmsg, ENOMEM);
    EXPECT_EQ(error_of([&] { inbox.receive(b.get()); }), ENOMEM);
  }
  EXPECT_EQ(testing::count_fds(), before);
}

}  // namespace
}  // namespace brood::os
