// Millions of bytes through both rings at once, between two threads and between two processes, with sleeping and waking
// on both sides at all kinds of moments.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "channel/link.hpp"
#include "channel/rings.hpp"
#include "channel/support.hpp"
#include "os/event.hpp"
#include "os/poll.hpp"

namespace brood::channel::testing {
namespace {

// A worker that sends back what it gets, and a dispatcher that compares. Both follow the pool's protocol of sleeping.
struct Echo {
  explicit Echo(const RingSizes& ring_sizes)
      : sizes(ring_sizes),
        memory(make_channel_memory(sizes)),
        page_memory(make_pool_memory()),
        page(page_memory.get(), os::Access::read_write) {}

  const RingSizes sizes;
  os::Fd memory;
  os::Fd page_memory;
  PoolPage page;
  os::Event doorbell;
};

class EchoWorker {
 public:
  EchoWorker(Echo& echo, std::uint32_t seed)
      : link_(echo.memory.get(), echo.sizes),
        page_(echo.page_memory.get(), os::Access::read),
        doorbell_(echo.doorbell),
        dice_(seed),
        delay_(seed) {}

  // Until so many bytes were sent back.
  void run(std::uint64_t bytes) {
    for (std::uint64_t done = 0; done < bytes;) {
      const auto in = wait_for_tasks();
      const std::size_t wanted = std::min<std::size_t>(in.size(), 1 + dice_(1500));
      const auto out = room(std::min(wanted, link_.results.capacity() / 2));
      const std::size_t count = std::min(wanted, out.size());
      delay_();
      std::memcpy(out.data(), in.data(), count);
      link_.results.publish(count);
      link_.tasks.consume(count);
      link_.tasks.release();
      std::atomic_thread_fence(std::memory_order_seq_cst);
      ring();
      done += count;
    }
  }

 private:
  std::span<const std::byte> wait_for_tasks() {
    while (!link_.tasks.ready()) {
      delay_();
      link_.sleep(Sleep::for_tasks, link_.tasks.position(), [this] { ring(); });
    }
    return link_.tasks.window();
  }
  std::span<std::byte> room(std::size_t wanted) {
    for (;;) {
      const std::uint64_t seen = link_.words().result_head.load(std::memory_order_acquire);
      const auto window = link_.results.window(wanted);
      if (window.size() >= wanted) return window;
      delay_();
      link_.sleep(Sleep::for_space, seen, [this] { ring(); });
    }
  }
  void ring() {
    const std::uint32_t epoch = page_.words().sleep_epoch.load(std::memory_order_acquire);
    if (epoch == 0 || epoch == rung_) return;
    rung_ = epoch;
    doorbell_.set();
  }

  WorkerEnd link_;
  PoolPage page_;
  os::Event& doorbell_;
  Dice dice_;
  Delays delay_;
  std::uint32_t rung_ = 0;
};

class EchoDispatcher {
 public:
  EchoDispatcher(Echo& echo, std::uint32_t seed)
      : link_(echo.memory.get(), echo.sizes), echo_(echo), dice_(seed), delay_(seed + 1) {}

  // Sends so many bytes and expects them back.
  void run(std::uint64_t bytes) {
    while (received_ < bytes && !::testing::Test::HasFailure()) {
      if (step(bytes)) continue;
      sleep([&] { return something_came(bytes); });
    }
  }

  // One look at both rings. True if anything moved.
  bool step(std::uint64_t bytes) {
    const bool sent = send(bytes);
    return receive() || sent;
  }
  std::uint64_t received() const { return received_; }
  DispatcherEnd& link() { return link_; }

 private:
  bool send(std::uint64_t bytes) {
    if (sent_ == bytes) return false;
    const auto window = link_.tasks.window(1 + dice_(700));
    const std::size_t count = std::min<std::uint64_t>({window.size(), bytes - sent_, 1U + dice_(4000)});
    if (count == 0) return false;
    fill(window.first(count), sent_);
    delay_();
    link_.tasks.publish(count);
    sent_ += count;
    link_.wake();
    return true;
  }
  bool receive() {
    const auto window = link_.results.window();
    if (window.empty()) return false;
    EXPECT_EQ(right_bytes(window, received_), window.size()) << "after " << received_ << " bytes";
    link_.results.consume(window.size());
    delay_();
    link_.results.release();
    received_ += window.size();
    link_.wake();
    return true;
  }
  bool something_came(std::uint64_t bytes) {
    return link_.results.ready() || (sent_ < bytes && !link_.tasks.window(1).empty());
  }
  template <class Came>
  void sleep(Came came) {
    if (++epoch_ == 0) ++epoch_;
    echo_.page.words().sleep_epoch.store(epoch_, std::memory_order_seq_cst);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    delay_();
    if (!came()) {
      os::wait_readable(echo_.doorbell.fd(), os::Deadline::never());
      echo_.doorbell.clear();
    }
    echo_.page.words().sleep_epoch.store(0, std::memory_order_relaxed);
  }

  DispatcherEnd link_;
  Echo& echo_;
  Dice dice_;
  Delays delay_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::uint32_t epoch_ = 0;
};

constexpr std::uint64_t kBytes = std::uint64_t{24} << 20U;

class Pump : public ::testing::TestWithParam<RingSizes> {};

TEST_P(Pump, BetweenThreads) {
  Echo echo(GetParam());
  const std::uint64_t bytes = scaled(kBytes);
  EchoWorker worker(echo, 1);
  std::thread thread([&] { worker.run(bytes); });
  EchoDispatcher dispatcher(echo, 2);
  dispatcher.run(bytes);
  thread.join();
  EXPECT_EQ(dispatcher.received(), bytes);
}

TEST_P(Pump, BetweenProcesses) {
  Echo echo(GetParam());
  const std::uint64_t bytes = scaled(kBytes);
  const pid_t child = fork_child([&] {
    EchoWorker(echo, 3).run(bytes);
    return 0;
  });
  EchoDispatcher dispatcher(echo, 4);
  dispatcher.run(bytes);
  EXPECT_EQ(exit_code_of(child), 0);
  EXPECT_EQ(dispatcher.received(), bytes);
}

// Killed at any instruction, the worker leaves a prefix of its output, whole and right.
TEST_P(Pump, AKilledWorkerLeavesAPrefix) {
  Dice dice(5);
  std::uint64_t total = 0;
  for (std::size_t round = 0; round < scaled(150); ++round) {
    Echo echo(GetParam());
    const pid_t child = fork_child([&] {
      EchoWorker(echo, static_cast<std::uint32_t>(round)).run(~std::uint64_t{0});
      return 0;
    });
    EchoDispatcher dispatcher(echo, static_cast<std::uint32_t>(round));
    const std::uint64_t until = dice(64 * 1024);
    while (dispatcher.received() < until) dispatcher.step(~std::uint64_t{0});
    sleep_us(dice(200));
    ::kill(child, SIGKILL);
    EXPECT_EQ(exit_code_of(child), -SIGKILL);
    const std::uint64_t published = dispatcher.link().words().result_tail.load();
    while (dispatcher.received() < published) ASSERT_TRUE(dispatcher.step(0));
    EXPECT_EQ(dispatcher.received(), published);
    EXPECT_LE(dispatcher.link().words().task_head.load(), published) << "released before it was sent back";
    total += published;
  }
  EXPECT_GT(total, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    Rings, Pump, ::testing::Values(RingSizes{4096, 4096}, RingSizes{65536, 4096}, RingSizes{4096, 131072}, RingSizes{}),
    [](const auto& test) { return std::to_string(test.param.tasks) + "To" + std::to_string(test.param.results); });

// Ping-pong of single bytes: each side sleeps all the time, so that every wake-up counts.
TEST(Pump, NoWakeUpIsLostInPingPong) {
  Echo echo(RingSizes{4096, 4096});
  const std::uint64_t rounds = scaled(60'000);
  const pid_t child = fork_child([&] {
    EchoWorker(echo, 7).run(rounds);
    return 0;
  });
  EchoDispatcher dispatcher(echo, 8);
  for (std::uint64_t i = 1; i <= rounds; ++i) {
    dispatcher.run(i);
    if (HasFailure()) break;
  }
  EXPECT_EQ(exit_code_of(child), 0);
}

}  // namespace
}  // namespace brood::channel::testing
