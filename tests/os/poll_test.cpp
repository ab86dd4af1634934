#include "os/poll.hpp"

#include <vector>

#include "os/event.hpp"
#include "os/fd.hpp"
#include "os/socket.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using namespace std::chrono_literals;
using testing::Fault;

TEST(Poll, DeadlinePasses) {
  Event event;
  PollItem item{.fd = event.fd()};
  EXPECT_EQ(poll(std::span(&item, 1), Deadline::after(2ms)), 0U);
  EXPECT_FALSE(item.readable);
  EXPECT_EQ(poll({}, Deadline::after(1ms)), 0U);
}

TEST(Poll, SaysWhatIsReady) {
  auto [a, b] = socket_pair();
  PollItem items[] = {{.fd = a.get(), .want_write = true}, {.fd = b.get()}, {.fd = -1}};
  EXPECT_EQ(poll(items, Deadline::never()), 1U);
  EXPECT_TRUE(items[0].writable);
  EXPECT_FALSE(items[0].readable);
  EXPECT_FALSE(items[1].readable);
  const std::byte byte{1};
  send_message(a.get(), std::span(&byte, 1));
  items[0].want_write = false;
  EXPECT_EQ(poll(items, Deadline::never()), 1U);
  EXPECT_FALSE(items[0].writable);
  EXPECT_TRUE(items[1].readable);
  EXPECT_FALSE(items[1].hangup);
}

TEST(Poll, HangupIsReadable) {
  auto [a, b] = socket_pair();
  b.reset();
  PollItem item{.fd = a.get()};
  EXPECT_EQ(poll(std::span(&item, 1), Deadline::never()), 1U);
  EXPECT_TRUE(item.readable);
  EXPECT_TRUE(item.hangup);
}

TEST(Poll, WithoutWantReadOnlyTheHangupCounts) {
  auto [a, b] = socket_pair();
  const std::byte byte{1};
  send_message(a.get(), std::span(&byte, 1));
  PollItem item{.fd = b.get(), .want_read = false};
  EXPECT_EQ(poll(std::span(&item, 1), Deadline::at(0)), 0U);
  a.reset();
  EXPECT_EQ(poll(std::span(&item, 1), Deadline::never()), 1U);
  EXPECT_TRUE(item.hangup);
  EXPECT_FALSE(item.readable);
}

TEST(Poll, MoreItemsThanFitTheFixedBuffer) {
  std::vector<Event> events(40);
  std::vector<PollItem> items;
  for (const Event& event : events) items.push_back({.fd = event.fd()});
  events[39].set();
  EXPECT_EQ(poll(items, Deadline::never()), 1U);
  EXPECT_TRUE(items[39].readable);
  EXPECT_FALSE(items[0].readable);
}

TEST(Poll, ClosedDescriptorIsAnError) {
  PollItem item{.fd = 987654};
  EXPECT_EQ(testing::error_of([&] { poll(std::span(&item, 1), Deadline::never()); }), EBADF);
}

TEST(Poll, InterruptionKeepsTheDeadline) {
  Event event;
  PollItem item{.fd = event.fd()};
  const Fault fault(Call::poll, EINTR, 1, 3);
  const Deadline deadline = Deadline::after(2ms);
  EXPECT_EQ(poll(std::span(&item, 1), deadline), 0U);
  EXPECT_TRUE(deadline.passed());
  EXPECT_EQ(fault.hits(), 4);
}

TEST(Poll, Faults) {
  Event event;
  const Fault fault(Call::poll, ENOMEM);
  EXPECT_EQ(testing::error_of([&] { wait_readable(event.fd(), Deadline::never()); }), ENOMEM);
}

}  // namespace
}  // namespace brood::os
