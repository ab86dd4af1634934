#include "os/event.hpp"

#include "os/poll.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::Fault;

TEST(Event, SetAndClear) {
  Event event;
  EXPECT_TRUE(testing::is_close_on_exec(event.fd()));
  EXPECT_FALSE(event.clear());
  EXPECT_FALSE(wait_readable(event.fd(), Deadline::at(0)));
  event.set();
  event.set();
  EXPECT_TRUE(wait_readable(event.fd(), Deadline::at(0)));
  EXPECT_TRUE(event.clear());
  EXPECT_FALSE(event.clear());
}

TEST(Event, SharedWithAChild) {
  Event event;
  EXPECT_EQ(testing::run_in_child([&] {
              event.set();
              return 0;
            }),
            0);
  EXPECT_TRUE(event.clear());
}

TEST(Event, AdoptedDescriptorIsTheSameFlag) {
  Event event;
  Event other = Event::adopt(Fd(::fcntl(event.fd(), F_DUPFD_CLOEXEC, 0)));
  other.set();
  EXPECT_TRUE(event.clear());
}

TEST(Event, SetAndClearKeepErrno) {
  Event event;
  errno = ENOTTY;
  EXPECT_FALSE(event.clear());
  event.set();
  EXPECT_EQ(errno, ENOTTY);
}

TEST(Event, Faults) {
  {
    const Fault fault(Call::eventfd, EMFILE);
    EXPECT_EQ(testing::error_of([] { Event event; }), EMFILE);
  }
  Event event;
  {
    const Fault fault(Call::write, EINTR);
    event.set();
  }
  const Fault fault(Call::read, EINTR);
  EXPECT_TRUE(event.clear());
}

}  // namespace
}  // namespace brood::os
