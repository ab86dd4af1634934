#include "os/poll_set.hpp"

#include "os/event.hpp"
#include "os/poll.hpp"
#include "os/support.hpp"

namespace brood::os {
namespace {

using testing::error_of;
using testing::Fault;

bool is_readable(const PollSet& set) { return wait_readable(set.fd(), Deadline::at(0)); }

TEST(PollSet, ReadableWhileAnyOfThemIs) {
  Event first, second;
  PollSet set = PollSet::make();
  set.add(first.fd());
  set.add(second.fd());
  EXPECT_TRUE(testing::is_close_on_exec(set.fd()));
  EXPECT_FALSE(is_readable(set));
  first.set();
  second.set();
  EXPECT_TRUE(is_readable(set));
  EXPECT_TRUE(is_readable(set)) << "as long as it is";
  first.clear();
  EXPECT_TRUE(is_readable(set));
  second.clear();
  EXPECT_FALSE(is_readable(set));
}

TEST(PollSet, Failures) {
  const int before = testing::count_fds();
  {
    const Fault fault(Call::poll, EMFILE);
    EXPECT_EQ(error_of([] { PollSet::make(); }), EMFILE);
  }
  {
    PollSet set = PollSet::make();
    EXPECT_EQ(error_of([&] { set.add(-1); }), EBADF);
  }
  EXPECT_EQ(testing::count_fds(), before);
  EXPECT_LT(PollSet().fd(), 0);
}

}  // namespace
}  // namespace brood::os
